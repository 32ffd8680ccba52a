"""Same weights in, same numbers out: the three encoders of `transformers`."""

import re

import pytest
import torch
from transformers import (
    Data2VecAudioConfig,
    Data2VecAudioModel,
    Data2VecTextConfig,
    Data2VecTextModel,
    Data2VecVisionConfig,
    Data2VecVisionModel,
)
from transformers.models.data2vec.modeling_data2vec_audio import (
    Data2VecAudioPositionalConvLayer,
)

from mmdl_lib.core import generator
from mmdl_lib.models.data2vec import Data2Vec, Data2VecConfig
from mmdl_lib.models.data2vec_encoders import PatchConfig, SoundConfig, TokenConfig

SIZES = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4}
SIZES |= {"intermediate_size": 128}
NAMES = {"ours": "mmdl_lib.models.data2vec.Data2Vec", "package": "transformers"}

# names of theirs, as patterns, and of ours; q, k and v are put together below
COMMON = [
    (r"encoder\.layers?\.(\d+)\.", r"student.blocks.\1."),
    (r"attention\.(attention|self)\.(query|key|value)", r"attention.\2"),
    (r"attention\.([qkv])_proj", r"attention.\1"),
    (r"attention\.(output\.dense|out_proj)\.", "attention.out."),
    (r"attention\.output\.LayerNorm", "norm1"),
    (r"feed_forward\.intermediate_dense|intermediate\.dense", "fc1"),
    (r"feed_forward\.output_dense|output\.dense", "fc2"),
    (r"output\.LayerNorm|layernorm_after|\.final_layer_norm", "norm2"),
    (r"blocks\.(\d+)norm2", r"blocks.\1.norm2"),
    (r"layernorm_before|(?<=\d\.)layer_norm", "norm1"),
    (r"lambda_", "scale"),
]
KINDS = {
    "vision": [
        (r"embeddings\.cls_token", "front.class_token"),
        (r"embeddings\.mask_token", "front.mask_vector"),
        (r"embeddings\.patch_embeddings\.projection", "front.projection"),
        (r"encoder\.relative_position_bias\.relative.*", "front.bias.table"),
        (r"^layernorm", "student.norm"),
    ],
    "text": [
        (r"embeddings\.word_embeddings", "front.tokens"),
        (r"embeddings\.position_embeddings\.weight", "front.positions.table"),
        (r"embeddings\.LayerNorm", "front.norm"),
    ],
    "audio": [
        (r"masked_spec_embed", "front.mask_vector"),
        (r"feature_extractor\.conv_layers\.(\d)\.conv", r"front.convolutions.\1"),
        (r"feature_extractor\.conv_layers\.(\d)\.layer_norm", r"front.norms.\1"),
        (r"feature_projection\.layer_norm", "front.norm"),
        (r"feature_projection\.projection", "front.projection"),
        (r"encoder\.pos_conv_embed\.layers\.(\d)\.conv", r"front.place.\1"),
        (r"^encoder\.layer_norm", "front.norm_place"),
    ],
}


def renamed(kind, state):
    """Their weights under our names."""
    found = {}
    for name, value in state.items():
        for pattern, ours in KINDS[kind] + COMMON:
            name = re.sub(pattern, ours, name)
        found[name] = value
    for name in [n for n in found if re.search(r"attention\.(query|q)\.weight", n)]:
        stem, last = name[: -len(".weight")].rsplit(".", 1)
        parts = "qkv" if last == "q" else ("query", "key", "value")
        zero = torch.zeros(len(found[name]))  # the pictures' keys have no bias
        for end, missing in (("weight", None), ("bias", zero)):
            three = [found.pop(f"{stem}.{part}.{end}", missing) for part in parts]
            found[f"{stem}.qkv.{end}"] = torch.cat(three)
    return found


def filled(peer):
    """Every parameter random, so that none can be forgotten."""
    g = generator(3)
    for parameter in peer.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=g)
    return peer.eval()


def ours(kind, peer, front, **changes):
    """A model with the weights of theirs; nothing is left over on either side."""
    sizes = {"width": 32, "depth": 3, "heads": 4, "k": 2}
    model = Data2Vec(Data2VecConfig(front=front, **sizes, **changes)).eval()
    state = renamed(kind, peer.state_dict())
    state = {n: v.reshape_as(model.state_dict()[n]) for n, v in state.items()}
    missing, extra = model.load_state_dict(state, strict=False)
    assert extra == []
    kept = {n for n in missing if n.startswith(("front.", "student."))}
    assert kept <= {"student.norm.weight", "student.norm.bias"} - state.keys()
    return model


def compare(agree, kind, model, batch, hidden, theirs):
    """All blocks and the last, of the whole input and of a part of it."""
    peer = {"pictures": "Vision", "texts": "Text"}.get(kind, "Audio")
    names = NAMES | {"reference": f"transformers Data2Vec{peer}Model"}
    names["tolerance"] = 2e-5
    for words, mask in (("whole", None), ("masked", hidden)):
        found = [layer.end for layer in model.layers(batch, mask)]
        want = theirs(mask)
        real = batch.get("mask", torch.ones(found[0].shape[:2]))[..., None]
        assert len(want.hidden_states) == len(found) + 1
        for i, (a, b) in enumerate(
            zip(found[:-1], want.hidden_states[1:-1], strict=True)
        ):
            agree(f"{kind}, {words}, block {i + 1}", a * real, b * real, **names)
        last = model.student.norm(found[-1])
        agree(
            f"{kind}, {words}, last",
            last * real,
            want.last_hidden_state * real,
            **names,
        )


@torch.no_grad()
def test_pictures_agree_with_layer_scale_and_one_table_of_ways(agree):
    config = Data2VecVisionConfig(
        **SIZES, image_size=24, patch_size=4, layer_norm_eps=1e-6, use_mask_token=True,
        use_shared_relative_position_bias=True, use_mean_pooling=False,
    )  # fmt: skip
    peer = filled(Data2VecVisionModel(config))
    model = ours("vision", peer, PatchConfig(image_size=(24, 24), patch=4))
    batch = Data2Vec.example_batch(model.config, 3, generator=generator(4))
    hidden = model.hide(batch, generator=generator(5))

    class Theirs:
        def __call__(self, mask):
            options = {"bool_masked_pos": mask, "output_hidden_states": True}
            return peer(batch["image"], **options)

    compare(agree, "pictures", model, batch, hidden, Theirs())


@torch.no_grad()
def test_texts_agree_where_they_are_real(agree):
    sizes = {"vocab_size": 50, "max_position_embeddings": 22, "type_vocab_size": 1}
    config = Data2VecTextConfig(**SIZES, **sizes, layer_norm_eps=1e-5)
    peer = filled(Data2VecTextModel(config, add_pooling_layer=False))
    # theirs counts from pad + 1 and adds the one type of text everywhere
    embeddings = peer.embeddings
    table = embeddings.position_embeddings.weight[2:]
    kind = embeddings.token_type_embeddings.weight[0]
    state = peer.state_dict()
    del state["embeddings.token_type_embeddings.weight"]
    state["embeddings.position_embeddings.weight"] = table + kind

    class Shell:
        state_dict = staticmethod(lambda: state)

    front = TokenConfig(vocab=50, positions=20, mask_token=49)
    model = ours("text", Shell(), front)
    batch = Data2Vec.example_batch(model.config, 4, generator=generator(4))
    hidden = model.hide(batch, generator=generator(5))

    class Theirs:
        def __call__(self, mask):
            tokens = batch["tokens"] if mask is None else batch["tokens"].clone()
            if mask is not None:
                tokens[mask] = 49
            options = {"attention_mask": batch["mask"].long()}
            return peer(tokens, **options, output_hidden_states=True)

    assert not batch["mask"].all()
    compare(agree, "texts", model, batch, hidden, Theirs())


@torch.no_grad()
@pytest.mark.parametrize("kernel", [5, 4])
def test_sounds_agree_from_the_waveform_on(agree, kernel):
    config = Data2VecAudioConfig(
        **SIZES, conv_dim=(16, 16, 16), conv_stride=(5, 4, 2), conv_kernel=(10, 8, 2),
        conv_pos_kernel_size=kernel, num_conv_pos_embeddings=2,
        num_conv_pos_embedding_groups=4, layer_norm_eps=1e-5, num_feat_extract_layers=3,
    )  # fmt: skip
    peer = filled(Data2VecAudioModel(config))
    front = SoundConfig(
        channels=16, kernels=(10, 8, 2), strides=(5, 4, 2), place_layers=2,
        place_kernel=kernel, place_groups=4,
    )  # fmt: skip
    model = ours("audio", peer, front, norm="instance", target="fed", beta=0.0)
    batch = {"sound": torch.randn(3, 2000, generator=generator(4))}
    hidden = model.hide(batch, generator=generator(5))
    # what their processor does before the model
    sound = torch.nn.functional.layer_norm(batch["sound"], (2000,))
    assert isinstance(
        peer.encoder.pos_conv_embed.layers[0], Data2VecAudioPositionalConvLayer
    )

    class Theirs:
        def __call__(self, mask):
            options = {"mask_time_indices": mask, "output_hidden_states": True}
            return peer(sound, **options)

    compare(agree, f"sounds, {kernel}", model, batch, hidden, Theirs())


@torch.no_grad()
def test_a_bias_of_keys_changes_nothing():
    model = Data2Vec.from_preset("tiny-image").eval()
    batch = Data2Vec.example_batch(model.config, 2, generator=generator(0))
    before = model.hear(batch)
    for block in model.student.blocks:
        block.attention.qkv.bias[32:64] = torch.randn(32, generator=generator(1))
    assert torch.allclose(model.hear(batch), before, atol=1e-5)
