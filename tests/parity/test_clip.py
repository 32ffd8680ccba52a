"""Same weights in, same numbers out: CLIP of `transformers` and OpenAI's own code."""

import importlib.util
from dataclasses import replace
from importlib.metadata import files

import pytest
import torch
from transformers import CLIPConfig as PeerConfig
from transformers import CLIPModel

from mmdl_lib.core import generator
from mmdl_lib.models.clip import CLIP, TINY, CLIPConfig, ResNetConfig, ViTConfig

VIT = replace(TINY, vision=ViTConfig(patch=8, width=64, depth=2, heads=1), text_heads=2)
# the original code fixes the heads at width / 64 and the ResNet at four stages
ORIGINAL = replace(VIT, text_width=128, text_heads=2)
ORIGINAL_VIT = replace(ORIGINAL, vision=replace(VIT.vision, width=128, heads=2))
ORIGINAL_RESNET = replace(
    ORIGINAL, image_size=64, vision=ResNetConfig(blocks=(1, 2, 1, 1), width=16, heads=8)
)


def noisy(model):
    """Random values everywhere, norms and running statistics included."""
    g = generator(3)
    for name, value in model.state_dict().items():
        if value.is_floating_point() and value.ndim > 0:
            noise = 0.05 * torch.randn(value.shape, generator=g)
            value += noise.abs() if name.endswith("running_var") else noise
    return model.eval()


def peer_names(ours: dict) -> dict:
    """Our state dict under the names of `transformers`."""
    out = {
        "logit_scale": ours["log_scale"],
        "text_projection.weight": ours["text.project.weight"],
        "visual_projection.weight": ours["vision.project.weight"],
        "text_model.embeddings.token_embedding.weight": ours["text.tokens.weight"],
        "text_model.embeddings.position_embedding.weight": ours["text.positions"],
        "vision_model.embeddings.class_embedding": ours["vision.class_token"],
        "vision_model.embeddings.patch_embedding.weight": ours[
            "vision.patchify.weight"
        ],
        "vision_model.embeddings.position_embedding.weight": ours["vision.positions"],
    }
    norms = {"text.norm": "text_model.final_layer_norm"}
    norms["vision.norm_pre"] = "vision_model.pre_layrnorm"
    norms["vision.norm_post"] = "vision_model.post_layernorm"
    parts = {"norm1": "layer_norm1", "norm2": "layer_norm2", "fc1": "mlp.fc1"}
    parts |= {"fc2": "mlp.fc2", "attention.out": "self_attn.out_proj"}
    for name, value in ours.items():
        module, _, kind = name.rpartition(".")
        if module in norms:
            out[f"{norms[module]}.{kind}"] = value
        if ".blocks." in name:
            tower, rest = name.split(".transformer.blocks.")
            layer, part = rest.removesuffix(f".{kind}").split(".", 1)
            prefix = f"{tower}_model.encoder.layers.{layer}"
            if part == "attention.qkv":
                for letter, third in zip("qkv", value.chunk(3), strict=True):
                    out[f"{prefix}.self_attn.{letter}_proj.{kind}"] = third
            else:
                out[f"{prefix}.{parts[part]}.{kind}"] = value
    return out


def transformers_peer(config: CLIPConfig, activation="quick_gelu") -> CLIPModel:
    shared = {"hidden_act": activation, "projection_dim": config.embed}
    text = shared | {
        "hidden_size": config.text_width,
        "intermediate_size": 4 * config.text_width,
        "num_hidden_layers": config.text_depth,
        "num_attention_heads": config.text_heads,
        "max_position_embeddings": config.context,
        "vocab_size": config.vocab,
        "eos_token_id": config.vocab - 1,
        "bos_token_id": 1,
        "pad_token_id": 0,
    }
    vision = shared | {
        "hidden_size": config.vision.width,
        "intermediate_size": 4 * config.vision.width,
        "num_hidden_layers": config.vision.depth,
        "num_attention_heads": config.vision.heads,
        "image_size": config.image_size,
        "patch_size": config.vision.patch,
    }
    peer = PeerConfig(
        text_config=text, vision_config=vision, projection_dim=config.embed
    )
    return CLIPModel(peer).eval()


def batch_with_end_tokens(config: CLIPConfig):
    """Random captions that end, as both peers expect, with the largest token id."""
    batch = CLIP.example_batch(config, 5, generator=generator(7))
    tokens = batch["tokens"].clamp(max=config.vocab - 2) * batch["mask"]
    tokens[torch.arange(5), batch["mask"].sum(1) - 1] = config.vocab - 1
    return batch["image"], tokens, batch["mask"]


@torch.no_grad()
def test_transformers_agrees_on_features_logits_and_loss(agree):
    ours, peer = noisy(CLIP(VIT)), transformers_peer(VIT)
    missing, unexpected = peer.load_state_dict(
        peer_names(ours.state_dict()), strict=False
    )
    assert unexpected == []
    assert [name for name in missing if "position_ids" not in name] == []
    image, tokens, mask = batch_with_end_tokens(VIT)
    theirs = peer(
        input_ids=tokens, pixel_values=image, attention_mask=mask, return_loss=True
    )
    out = ours(image, tokens, mask)
    loss = ours.loss({"image": image, "tokens": tokens, "mask": mask})["loss"]
    peer = {
        "ours": "mmdl_lib.models.clip.CLIP",
        "package": "transformers",
        "reference": "transformers CLIPModel",
    }
    pairs = {
        "CLIP ViT, picture features": (out.image, theirs.image_embeds, 1e-5),
        "CLIP ViT, sentence features": (out.text, theirs.text_embeds, 1e-5),
        # logits are cosines times 14.3, so they carry 14.3 times the rounding
        "CLIP ViT, logits": (out.logits, theirs.logits_per_image, 2e-5),
        "CLIP, loss": (loss, theirs.loss, 1e-5),
    }
    for what, (mine, their, tolerance) in pairs.items():
        agree(what, mine, their, tolerance=tolerance, **peer)


def original_code():
    """OpenAI's `clip/model.py` , imported without torchvision."""
    path = next(f for f in files("clip-anytorch") if str(f) == "clip/model.py")
    spec = importlib.util.spec_from_file_location("openai_clip", path.locate())
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def original_names(ours: dict) -> dict:
    """Our state dict under OpenAI's names."""
    out = {}
    for name, value in ours.items():
        for old, new in RENAMES:
            name = name.replace(old, new)
        transposed = name in ("text_projection", "visual.proj")
        out[name] = value.T if transposed else value
    return out


RENAMES = [
    ("log_scale", "logit_scale"),
    ("text.tokens", "token_embedding"),
    ("text.positions", "positional_embedding"),
    ("text.transformer", "transformer"),
    ("text.norm", "ln_final"),
    ("text.project.weight", "text_projection"),
    ("vision.patchify", "visual.conv1"),
    ("vision.class_token", "visual.class_embedding"),
    ("vision.norm_pre", "visual.ln_pre"),
    ("vision.norm_post", "visual.ln_post"),
    ("vision.project.weight", "visual.proj"),
    ("vision.pool.positions", "visual.attnpool.positional_embedding"),
    ("vision.positions", "visual.positional_embedding"),
    ("vision.pool.out", "visual.attnpool.c_proj"),
    *((f"vision.pool.{x}.", f"visual.attnpool.{x}_proj.") for x in "qkv"),
    *((f"vision.stem.{3 * i}.", f"visual.conv{i + 1}.") for i in range(3)),
    *((f"vision.stem.{3 * i + 1}.", f"visual.bn{i + 1}.") for i in range(3)),
    ("vision.", "visual."),
    ("blocks", "resblocks"),
    ("attention.qkv.", "attn.in_proj_"),
    ("attention.out", "attn.out_proj"),
    ("fc1", "mlp.c_fc"),
    ("fc2", "mlp.c_proj"),
]


def original_stage(name: str, blocks: tuple[int, ...]) -> str:
    """Names inside the towers that depend on where they stand."""
    if "visual.stages." in name:
        index, rest = name.removeprefix("visual.stages.").split(".", 1)
        index, stage = int(index), 0
        while index >= blocks[stage]:
            index, stage = index - blocks[stage], stage + 1
        rest = rest.replace("norm", "bn").replace("shortcut.1", "downsample.0")
        rest = rest.replace("shortcut.2", "downsample.1")
        return f"visual.layer{stage + 1}.{index}.{rest}"
    return name.replace("norm1", "ln_1").replace("norm2", "ln_2")


def noisy_peer(peer):
    """The same for a reference implementation."""
    return noisy(peer)


def original_peer(config):
    """OpenAI's CLIP of the given size."""
    vision = config.vision
    return original_code().CLIP(
        embed_dim=config.embed,
        image_resolution=config.image_size,
        vision_layers=getattr(vision, "blocks", ()) or vision.depth,
        vision_width=vision.width,
        vision_patch_size=getattr(vision, "patch", None),
        context_length=config.context,
        vocab_size=config.vocab,
        transformer_width=config.text_width,
        transformer_heads=config.text_heads,
        transformer_layers=config.text_depth,
    )


@torch.no_grad()
@pytest.mark.parametrize("config", [ORIGINAL_VIT, ORIGINAL_RESNET])
def test_the_original_code_agrees(config, agree):
    blocks = getattr(config.vision, "blocks", ())
    peer, ours = original_peer(config), noisy(CLIP(config))
    named = original_names(ours.state_dict())
    named = {original_stage(name, blocks): value for name, value in named.items()}
    peer.load_state_dict(named)
    peer.eval()
    image, tokens, mask = batch_with_end_tokens(config)
    full = torch.zeros(5, config.context, dtype=torch.long)
    full[:, : tokens.shape[1]] = tokens
    logits, _ = peer(image, full)
    out = ours(image, tokens, mask)
    features = peer.encode_image(image)
    features = features / features.norm(dim=-1, keepdim=True)
    kind = "ResNet" if blocks else "ViT"
    peer = {
        "ours": "mmdl_lib.models.clip.CLIP",
        "package": "clip-anytorch",
        "reference": "OpenAI's code in clip-anytorch",
    }
    agree(f"CLIP {kind}, picture features", out.image, features, tolerance=1e-5, **peer)
    agree(f"CLIP {kind}, logits", out.logits, logits, tolerance=2e-5, **peer)
