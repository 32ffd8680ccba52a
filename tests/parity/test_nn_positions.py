"""Same positions in, same numbers out: waves, buckets and rotations of transformers."""

import pytest
import torch
from transformers import LlamaConfig, RoFormerConfig, ViTMAEConfig
from transformers.models.gpt_neox import modeling_gpt_neox
from transformers.models.llama import modeling_llama
from transformers.models.roformer import modeling_roformer
from transformers.models.speecht5.modeling_speecht5 import (
    SpeechT5ScaledPositionalEncoding,
)
from transformers.models.t5.modeling_t5 import T5Attention
from transformers.models.vit_mae.modeling_vit_mae import ViTMAEEmbeddings

from mmdl_lib.core import generator
from mmdl_lib.nn import Rotary, sinusoidal, sinusoidal_2d
from mmdl_lib.nn.positions import relative_bucket


def peers(name, reference):
    return {
        "ours": f"mmdl_lib.nn.positions.{name}",
        "package": "transformers",
        "reference": f"transformers {reference}",
    }


def test_sinusoidal_positions_agree(agree):
    theirs = SpeechT5ScaledPositionalEncoding(0.0, 48, 1000).pe[0]
    mine = sinusoidal(torch.arange(1000), 48)
    reference = peers("sinusoidal", "SpeechT5ScaledPositionalEncoding")
    # an angle of 1000 has a rounding error of 6e-5 in float32
    agree("1000 positions", mine, theirs, tolerance=1e-4, **reference)


@torch.no_grad()
def test_positions_of_a_grid_agree(agree):
    sizes = {"num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    config = ViTMAEConfig(hidden_size=24, image_size=40, patch_size=8, **sizes)
    embeddings = ViTMAEEmbeddings(config)
    embeddings.initialize_weights()
    theirs = embeddings.position_embeddings[0, 1:]
    reference = peers("sinusoidal_2d", "ViTMAEEmbeddings")
    agree("5 x 5", sinusoidal_2d((5, 5), 24), theirs, tolerance=1e-6, **reference)


@pytest.mark.parametrize("both_sides", [True, False])
@pytest.mark.parametrize("buckets, farthest", [(32, 128), (16, 50), (8, 20)])
def test_buckets_agree(agree, both_sides, buckets, farthest):
    distance = torch.arange(-300, 301)
    theirs = T5Attention._relative_position_bucket(
        distance, both_sides, buckets, farthest
    )
    mine = relative_bucket(
        distance, buckets=buckets, farthest=farthest, both_sides=both_sides
    )
    name = f"{buckets} buckets to {farthest}, both sides {both_sides}"
    reference = peers("relative_bucket", "T5Attention")
    agree(name, mine, theirs, tolerance=0, **reference)


def test_rotation_agrees_with_roformer(agree):
    x = torch.randn(2, 3, 40, 16, generator=generator(0))
    table = modeling_roformer.RoFormerSinusoidalPositionalEmbedding(64, 16)
    table.weight.data = table.create_weight()
    place = table(torch.Size([2, 40]), 7)[None, None]
    encoder = modeling_roformer.RoFormerSelfAttention(
        RoFormerConfig(hidden_size=48, num_attention_heads=3)
    )
    theirs, _ = encoder.apply_rotary_position_embeddings(place, x, x)
    mine = Rotary()(x, start=7)
    agree("rotation", mine, theirs, tolerance=1e-5, **peers("Rotary", "RoFormer"))


@pytest.mark.parametrize("module", [modeling_llama, modeling_gpt_neox])
def test_rotation_agrees_with_code_that_pairs_halves(agree, module):
    x = torch.randn(2, 3, 40, 16, generator=generator(0))
    config = LlamaConfig(hidden_size=48, num_attention_heads=3)
    angles = modeling_llama.LlamaRotaryEmbedding(config)
    cosine, sine = angles(x, torch.arange(40)[None])
    theirs, _ = module.apply_rotary_pos_emb(x, x, cosine, sine)
    # our channels 0, 2, 4, ... are their first half, 1, 3, 5, ... their second
    order = torch.arange(16).view(2, 8).T.flatten()
    mine = Rotary()(x[..., order])[..., order.argsort()]
    name = module.__name__.rsplit("_", 1)[-1]
    agree("rotation", mine, theirs, tolerance=1e-5, **peers("Rotary", name))
