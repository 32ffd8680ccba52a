"""ViT weights: ours, and two public checkpoint formats.

| format | file | names |
|---|---|---|
| transformers | folder, `.safetensors`, `.bin`; `config.json` | `vit.encoder.layer` |
| the original release | `.npz`, written by JAX | `Transformer/encoderblock_0/...` |

The model eats pixels in [-1, 1], as all models of this book do. Where a file
`preprocessor_config.json` names another mean and deviation, the first layer takes them
in.
"""

import re
from pathlib import Path

import torch
from einops import rearrange
from torch import Tensor

from mmdl_lib.models.vit import ViT, ViTConfig
from mmdl_lib.pretrained import files, small


def load(source: str | Path = "shapes") -> ViT:
    """ViT in eval mode.

    Args:
        source: "shapes" for the small model of this book, or the path of a public
            checkpoint in one of the two formats above. A checkpoint without a
            classifier gets one of zeros with 1,000 classes.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a damaged file, or one of another model.
    """
    path = files.locate(source)
    if not path.suffix or not path.exists():
        return small.load("vit", source)
    state, facts = files.read(path)
    if "config" in facts:
        return small.load("vit", path)
    if path.suffix == ".npz":
        ours, config = from_jax(state)
    else:
        facts = files.read_json(path.with_name("config.json"))
        ours, config = from_transformers(state, facts)
        if pixels := files.normalization(path):
            _take_in(ours, *pixels)
    return files.fill(ViT(ViTConfig(**config)), ours, path)


# transformers' name -> ours; files hold the older names, version 5's modules the newer
TRANSFORMERS = [
    (r"^vit\.", ""),
    (r"^embeddings\.cls_token$", "class_token"),
    (r"^embeddings\.position_embeddings$", "positions.table"),
    (r"^embeddings\.patch_embeddings\.projection\.", "projection."),
    (r"^(encoder\.layer|layers)\.", "transformer.blocks."),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
    (r"\.attention\.(?:attention\.)?([qkv])(uery|ey|alue|_proj)\.", r".\1."),
    (r"\.attention\.(output\.dense|o_proj)\.", ".attention.out."),
    (r"\.(intermediate\.dense|mlp\.fc1)\.", ".fc1."),
    (r"\.(output\.dense|mlp\.fc2)\.", ".fc2."),
    (r"^layernorm\.", "norm."),
    (r"^classifier\.", "head.0."),
]


def from_transformers(state: dict[str, Tensor], facts: dict):
    """Our names and the config; what no weight shows comes from `config.json`."""
    ours = {}
    for name, value in state.items():
        for pattern, new in TRANSFORMERS:
            name = re.sub(pattern, new, name)
        if not name.startswith("pooler.") and not name.endswith("mask_token"):
            ours[name] = value
    _check_names(ours, state)
    kernel = ours.pop("projection.weight")
    ours["projection.weight"] = rearrange(kernel, "d c p q -> d (c p q)")
    _join_qkv(ours)
    config = _config(ours, patch=kernel.shape[-1])
    config["heads"] = facts.get("num_attention_heads", config["width"] // 64 or 1)
    config["epsilon"] = facts.get("layer_norm_eps", 1e-12)
    if facts.get("hidden_act", "gelu") != "gelu":
        raise ValueError(f"expected a ViT with gelu, got {facts['hidden_act']!r}.")
    if "image_size" in facts:
        size = facts["image_size"]
        config["image_size"] = tuple(size) if isinstance(size, list) else (size, size)
    return ours, config


# the original release's name -> ours
JAX = [
    (r"^cls$", "class_token"),
    (r"^Transformer/posembed_input/pos_embedding$", "positions.table"),
    (r"^embedding/", "projection."),
    (r"^Transformer/encoder_norm/", "norm."),
    (r"^Transformer/encoderblock_(\d+)/", r"transformer.blocks.\1."),
    (r"\.LayerNorm_0/", ".norm1."),
    (r"\.LayerNorm_2/", ".norm2."),
    (r"\.MultiHeadDotProductAttention_1/([qkv])(uery|ey|alue)/", r".\1."),
    (r"\.MultiHeadDotProductAttention_1/out/", ".attention.out."),
    (r"\.MlpBlock_3/Dense_0/", ".fc1."),
    (r"\.MlpBlock_3/Dense_1/", ".fc2."),
    (r"^pre_logits/", "head.0."),
    (r"^head/", "head.2."),
    (r"(kernel|scale)$", "weight"),
]


def from_jax(state: dict[str, Tensor]):
    """Our names and the config of an original file; JAX's matrices are transposed."""
    heads, ours = 0, {}
    for name, value in state.items():
        for pattern, new in JAX:
            name = re.sub(pattern, new, name)
        if re.search(r"\.[qkv]\.weight$", name):
            heads, value = value.shape[1], rearrange(value, "i heads d -> (heads d) i")
        elif re.search(r"\.[qkv]\.bias$", name):
            value = value.flatten()
        elif name.endswith("attention.out.weight"):
            value = rearrange(value, "heads d o -> o (heads d)")
        elif name == "projection.weight":
            patch, value = value.shape[0], rearrange(value, "p q c d -> d (c p q)")
        elif name.endswith("weight") and value.ndim == 2:
            value = value.T
        ours[name] = value
    _check_names(ours, state)
    _join_qkv(ours)
    if "head.0.weight" not in ours:  # no hidden layer: the fine-tuned models
        ours = {k.replace("head.2.", "head.0."): v for k, v in ours.items()}
    return ours, _config(ours, patch=patch) | {"heads": heads}


def _take_in(ours: dict[str, Tensor], mean: tuple, std: tuple) -> None:
    """Let the first layer normalize: it sees x in [-1, 1] instead of x', in place.

    x' = ((x + 1) / 2 - mean) / std = x / (2 std) + (1/2 - mean) / std for each channel;
    nothing is padded, so that the constant goes into the bias.
    """
    weight = ours["projection.weight"].float()
    mean, std = (torch.tensor(v)[:, None] for v in (mean, std))
    each = rearrange(weight, "d (c p) -> d c p", c=3)
    shift = (each * ((0.5 - mean) / std)).sum((1, 2))
    ours["projection.weight"] = rearrange(each / (2 * std), "d c p -> d (c p)")
    ours["projection.bias"] = ours["projection.bias"].float() + shift


def _check_names(ours: dict, state: dict) -> None:
    if not {"positions.table", "class_token", "projection.weight"} <= ours.keys():
        raise ValueError(
            "expected the names of a ViT of transformers or of the original release, "
            f"got {', '.join(list(state)[:3])}, ..."
        )


def _join_qkv(ours: dict[str, Tensor]) -> None:
    """Three projections become one, and leading axes of length one go, in place."""
    for name in [name for name in ours if re.search(r"\.q\.\w+$", name)]:
        parts = [ours.pop(re.sub(r"\.q\.", f".{x}.", name), None) for x in "qkv"]
        if all(part is not None for part in parts):
            ours[re.sub(r"\.q\.", ".attention.qkv.", name)] = torch.cat(parts)
    ours["class_token"] = ours["class_token"].flatten()
    ours["positions.table"] = ours["positions.table"].squeeze(0)


def _config(ours: dict[str, Tensor], *, patch: int) -> dict:
    count, width = ours["positions.table"].shape
    side = patch * round((count - 1) ** 0.5)
    last = "head.2" if "head.2.weight" in ours else "head.0"
    if f"{last}.weight" not in ours:
        ours |= {"head.0.weight": torch.zeros(1000, width)}
        ours |= {"head.0.bias": torch.zeros(1000)}
    depth = len({n.split(".")[2] for n in ours if n.startswith("transformer.blocks.")})
    return {
        "image_size": (side, side),
        "patch": patch,
        "width": width,
        "depth": depth,
        "classes": len(ours[f"{last}.weight"]),
        "head": "mlp" if last == "head.2" else "linear",
    }
