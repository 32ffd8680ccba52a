"""CLIP weights: ours, and the three public checkpoint formats.

| format | file | names |
|---|---|---|
| OpenAI | `.pt`, TorchScript or a state dict, float16 | `visual.conv1.weight` |
| OpenCLIP | `.bin`, `.pt` or `.safetensors`, also a training checkpoint | as OpenAI's |
| transformers | `.safetensors` or `.bin`, `config.json` beside it | `vision_model...` |
"""

import re
from pathlib import Path

import torch
from torch import Tensor

from mmdl_lib.data.text import BPETokenizer, WordTokenizer
from mmdl_lib.models.clip import ACTIVATIONS, CLIP, CLIPConfig, ResNetConfig, ViTConfig
from mmdl_lib.pretrained import files, small

TINY = ("shapes", "emoji")


def load(source: str | Path, *, activation: str | None = None):
    """CLIP in eval mode and its tokenizer.

    Args:
        source: "shapes" or "emoji" for the small models of this book, or the path of a
            file, or of a folder of transformers, in one of the formats above.
        activation: "quick_gelu" (OpenAI's models) or "gelu" (most of OpenCLIP's). No
            weight shows which one a file needs; None reads `config.json` where there is
            one and takes OpenAI's otherwise.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a damaged file, or one of another model.
    """
    if activation not in (None, *ACTIVATIONS):
        known = ", ".join(ACTIVATIONS)
        raise ValueError(f"expected activation to be {known}, got {activation!r}.")
    if str(source) in TINY:
        return _ours(source)
    path = files.locate(source)
    if not path.exists():
        raise FileNotFoundError(
            f"expected trained weights at {path}: give {', '.join(TINY)} or the path "
            "of a file."
        )
    state, facts = files.read(path)
    if "config" in facts:
        return _ours(path)
    model = from_state(
        state,
        files.read_json(path.with_name("config.json")),
        activation=activation,
        source=path,
    )
    return model, BPETokenizer(length=model.config.context)


def _ours(source: str | Path):
    """A small model of this book, with config and words from the file."""
    model, facts = small.load_with_facts("clip", source)
    if "words" not in facts:
        raise ValueError(
            f"expected the words of the tokenizer in {source}, got none: save the "
            "model with words=."
        )
    return model, WordTokenizer(facts["words"], length=model.config.context)


def from_state(
    state: dict[str, Tensor],
    facts: dict | None = None,
    *,
    activation: str | None = None,
    source: str | Path = "a state dict",
) -> CLIP:
    """CLIP in eval mode from a state dict with the names of any of the formats.

    Args:
        state: tensors by their names.
        facts: the `config.json` of transformers, which knows heads and activation.
        activation: as in `load`.
        source: how an error calls the weights.

    Raises:
        ValueError: names or shapes of another model.
    """
    if any(name.startswith("vision_model.") for name in state):
        ours, config = from_transformers(state, facts or {})
    else:
        ours, config = from_openai(state)
    if activation is not None:
        config["activation"] = activation
    return files.fill(CLIP(CLIPConfig(**config)), ours, source)


# OpenAI's name -> ours, applied in this order as regular expressions.
OPENAI = [
    (r"^module\.", ""),
    (r"^text\.(?!blocks)", ""),  # OpenCLIP's models with a text tower of its own
    (r"^logit_scale$", "log_scale"),
    (r"^token_embedding\.", "text.tokens."),
    (r"^positional_embedding$", "text.positions"),
    (r"^ln_final\.", "text.norm."),
    (r"^text_projection$", "text.project.weight"),
    (r"^transformer\.", "text.transformer."),
    (r"^visual\.proj$", "vision.project.weight"),
    (r"^visual\.class_embedding$", "vision.class_token"),
    (r"^visual\.positional_embedding$", "vision.positions"),
    (r"^visual\.ln_pre\.", "vision.norm_pre."),
    (r"^visual\.ln_post\.", "vision.norm_post."),
    (r"^visual\.attnpool\.positional_embedding$", "vision.pool.positions"),
    (r"^visual\.attnpool\.c_proj\.", "vision.pool.out."),
    (r"^visual\.attnpool\.([qkv])_proj\.", r"vision.pool.\1."),
    (r"\.resblocks\.(\d+)\.ln_(\d)\.", r".blocks.\1.norm\2."),
    (r"\.resblocks\.(\d+)\.attn\.in_proj_", r".blocks.\1.attention.qkv."),
    (r"\.resblocks\.(\d+)\.attn\.out_proj\.", r".blocks.\1.attention.out."),
    (r"\.resblocks\.(\d+)\.mlp\.c_fc\.", r".blocks.\1.fc1."),
    (r"\.resblocks\.(\d+)\.mlp\.c_proj\.", r".blocks.\1.fc2."),
    (r"\.downsample\.0\.", ".shortcut.1."),
    (r"\.downsample\.1\.", ".shortcut.2."),
    (r"(visual\.layer\d\.\d+\.)bn(\d)\.", r"\1norm\2."),
    (r"^visual\.", "vision."),
]
NOT_WEIGHTS = {"input_resolution", "context_length", "vocab_size", "attn_mask"}


def from_openai(state: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict]:
    """Our names, and the config read off the shapes; for OpenCLIP's files as well."""
    ours = {}
    for name, value in state.items():
        for pattern, new in OPENAI:
            name = re.sub(pattern, new, name)
        if name.split(".")[-1] not in NOT_WEIGHTS:
            flip = name in ("text.project.weight", "vision.project.weight")
            ours[name] = value.T.contiguous() if flip else value
    if "text.positions" not in ours:
        raise ValueError(
            "expected the names of an OpenAI, OpenCLIP or transformers CLIP, got "
            f"{', '.join(list(state)[:3])}, ..."
        )
    if "vision.patchify.weight" in ours or "vision.conv1.weight" not in ours:
        raise ValueError("expected a tower with a first convolution named conv1.")
    if ours["vision.conv1.weight"].shape[-1] > 3:
        ours["vision.patchify.weight"] = ours.pop("vision.conv1.weight")
        return ours, _text_config(ours) | _vit_config(ours)
    stages = sorted({name.split(".")[1] for name in ours if ".layer" in name})
    blocks = tuple(_count(ours, f"vision.{stage}.") for stage in stages)
    ours = {_resnet_name(name, blocks): value for name, value in ours.items()}
    return ours, _text_config(ours) | _resnet_config(ours, blocks)


def _resnet_name(name: str, blocks: tuple[int, ...]) -> str:
    """OpenAI numbers the stages and the three stem layers; we number them in a row."""
    if found := re.match(r"vision\.layer(\d)\.(\d+)\.(.*)", name):
        stage, index, rest = int(found[1]) - 1, int(found[2]), found[3]
        return f"vision.stages.{sum(blocks[:stage]) + index}.{rest}"
    if found := re.match(r"vision\.(conv|bn)(\d)\.(.*)", name):
        index = 3 * (int(found[2]) - 1) + (found[1] == "bn")
        return f"vision.stem.{index}.{found[3]}"
    return name


def _count(names, prefix: str) -> int:
    """Number of children 0, 1, ... below a prefix."""
    return len({n.removeprefix(prefix).split(".")[0] for n in names if prefix in n})


def _text_config(ours: dict[str, Tensor]) -> dict:
    vocab, width = ours["text.tokens.weight"].shape
    return {
        "embed": len(ours["text.project.weight"]),
        "context": len(ours["text.positions"]),
        "vocab": vocab,
        "text_width": width,
        "text_depth": _count(ours, "text.transformer.blocks."),
        "text_heads": max(1, width // 64),
    }


def _vit_config(ours: dict[str, Tensor]) -> dict:
    width, _, patch, _ = ours["vision.patchify.weight"].shape
    side = round((len(ours["vision.positions"]) - 1) ** 0.5)
    depth = _count(ours, "vision.transformer.blocks.")
    heads = max(1, width // 64)
    vision = ViTConfig(patch=patch, width=width, depth=depth, heads=heads)
    return {"image_size": side * patch, "vision": vision}


def _resnet_config(ours: dict[str, Tensor], blocks: tuple[int, ...]) -> dict:
    width = len(ours["vision.stem.6.weight"])
    side = round((len(ours["vision.pool.positions"]) - 1) ** 0.5)
    # "width * 32 // 64" heads in the original code
    vision = ResNetConfig(blocks=blocks, width=width, heads=width // 2)
    return {"image_size": side * 4 * 2 ** (len(blocks) - 1), "vision": vision}


# transformers' name -> ours.
TRANSFORMERS = [
    (r"^logit_scale$", "log_scale"),
    (r"^text_projection\.", "text.project."),
    (r"^visual_projection\.", "vision.project."),
    (r"^text_model\.embeddings\.token_embedding\.", "text.tokens."),
    (r"^text_model\.embeddings\.position_embedding\.weight", "text.positions"),
    (r"^text_model\.final_layer_norm\.", "text.norm."),
    (r"^vision_model\.embeddings\.class_embedding", "vision.class_token"),
    (r"^vision_model\.embeddings\.patch_embedding\.", "vision.patchify."),
    (r"^vision_model\.embeddings\.position_embedding\.weight", "vision.positions"),
    (r"^vision_model\.pre_layrnorm\.", "vision.norm_pre."),
    (r"^vision_model\.post_layernorm\.", "vision.norm_post."),
    (r"^(text|vision)_model\.encoder\.layers\.", r"\1.transformer.blocks."),
    (r"\.layer_norm(\d)\.", r".norm\1."),
    (r"\.mlp\.fc", ".fc"),
    (r"\.self_attn\.out_proj\.", ".attention.out."),
]


def from_transformers(state: dict[str, Tensor], facts: dict):
    """Our names and the config; heads and activation come from `config.json`."""
    ours, thirds = {}, {}
    for name, value in state.items():
        for pattern, new in TRANSFORMERS:
            name = re.sub(pattern, new, name)
        if found := re.match(r"(.*)\.self_attn\.([qkv])_proj\.(\w+)", name):
            whole = f"{found[1]}.attention.qkv.{found[3]}"
            thirds.setdefault(whole, {})[found[2]] = value
        elif not name.endswith("position_ids"):
            ours[name] = value
    for whole, parts in thirds.items():
        ours[whole] = torch.cat([parts[letter] for letter in "qkv"])
    config = _text_config(ours) | _vit_config(ours)
    text, vision = facts.get("text_config", {}), facts.get("vision_config", {})
    config["text_heads"] = text.get("num_attention_heads", config["text_heads"])
    config["activation"] = text.get("hidden_act", "quick_gelu")
    if heads := vision.get("num_attention_heads"):
        vit = config["vision"]
        config["vision"] = ViTConfig(
            patch=vit.patch, width=vit.width, depth=vit.depth, heads=heads
        )
    return ours, config
