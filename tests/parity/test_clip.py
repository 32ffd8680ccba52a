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
from mmdl_lib.pretrained import clip
from tests.parity.conftest import rows_differ

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
            # as they start, some norms let no picture through, and convolutions little
            if value.ndim == 1 and name.endswith(".weight"):
                value.fill_(1)
            if value.ndim == 4:
                value *= (2 / value[0].numel()) ** 0.5 / value.std()
            noise = 0.05 * torch.randn(value.shape, generator=g)
            value += noise.abs() if name.endswith("running_var") else noise
    return model.eval()


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
    peer = noisy(transformers_peer(VIT))
    ours = clip.from_state(peer.state_dict(), peer.config.to_dict())
    assert ours.config == VIT
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
    assert rows_differ(theirs.image_embeds) and rows_differ(theirs.text_embeds)
    for what, (mine, their, tolerance) in pairs.items():
        agree(what, mine, their, tolerance=tolerance, **peer)


def original_code():
    """OpenAI's `clip/model.py` , imported without torchvision."""
    path = next(f for f in files("clip-anytorch") if str(f) == "clip/model.py")
    spec = importlib.util.spec_from_file_location("openai_clip", path.locate())
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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
    peer = noisy(original_peer(config))
    ours = clip.from_state(peer.state_dict())
    assert ours.config == config
    image, tokens, mask = batch_with_end_tokens(config)
    full = torch.zeros(5, config.context, dtype=torch.long)
    full[:, : tokens.shape[1]] = tokens
    logits, _ = peer(image, full)
    out = ours(image, tokens, mask)
    features = peer.encode_image(image)
    features = features / features.norm(dim=-1, keepdim=True)
    assert rows_differ(features) and rows_differ(logits.T)
    kind = "ViT" if isinstance(config.vision, ViTConfig) else "ResNet"
    peer = {
        "ours": "mmdl_lib.models.clip.CLIP",
        "package": "clip-anytorch",
        "reference": "OpenAI's code in clip-anytorch",
    }
    agree(f"CLIP {kind}, picture features", out.image, features, tolerance=1e-5, **peer)
    agree(f"CLIP {kind}, logits", out.logits, logits, tolerance=2e-5, **peer)
