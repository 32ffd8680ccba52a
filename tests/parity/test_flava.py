"""Same weights in, same numbers out: FLAVA of `transformers`."""

import torch
import torch.nn.functional as F
from transformers import FlavaConfig as PeerConfig
from transformers import FlavaForPreTraining

from mmdl_lib.core import generator
from mmdl_lib.models.clip import contrastive_loss
from mmdl_lib.models.flava import FLAVA, FLAVAConfig

PEERS = {
    "ours": "mmdl_lib.models.flava.FLAVA",
    "package": "transformers",
    "reference": "transformers FLAVA",
    "tolerance": 1e-5,
}
CONFIG = FLAVAConfig(
    image_size=32, patch=8, vocab=70, positions=20, codes=30, width=48, heads=4,
    depth_image=3, depth_text=2, depth_both=2, embed=40, cls_token=2, sep_token=3,
    mask_token=4,
)  # fmt: skip


def make_peer():
    """A small FLAVA whose every parameter is random, so that none can be forgotten."""
    size = {"hidden_size": 48, "num_attention_heads": 4, "intermediate_size": 192}
    image = {"num_hidden_layers": 3, "image_size": 32, "patch_size": 8}
    text = {"num_hidden_layers": 2, "vocab_size": 70, "max_position_embeddings": 20}
    config = PeerConfig(
        image_config=size | image | {"vocab_size": 30}, text_config=size | text,
        multimodal_config=size | {"num_hidden_layers": 2}, hidden_size=48,
        projection_dim=40, init_codebook=False,
    )  # fmt: skip
    peer = FlavaForPreTraining(config).eval()
    g = generator(3)
    for parameter in peer.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=g)
    return peer


def blocks(theirs, prefix, depth):
    """The blocks of one encoder, and its last norm, under our names."""
    found = {}
    for i in range(depth):
        a, b = f"{prefix}encoder.layer.{i}.", f"transformer.blocks.{i}."
        for kind in ("weight", "bias"):
            names = ("query", "key", "value")
            parts = [theirs[f"{a}attention.attention.{n}.{kind}"] for n in names]
            found[f"{b}attention.qkv.{kind}"] = torch.cat(parts)
            for mine, name in (
                ("attention.out", "attention.output.dense"), ("fc2", "output.dense"),
                ("fc1", "intermediate.dense"), ("norm1", "layernorm_before"),
                ("norm2", "layernorm_after"),
            ):  # fmt: skip
                found[f"{b}{mine}.{kind}"] = theirs[f"{a}{name}.{kind}"]
    for kind in ("weight", "bias"):
        found[f"norm.{kind}"] = theirs[f"{prefix}layernorm.{kind}"]
    return found


def copied(peer) -> FLAVA:
    """Ours with the weights of theirs; all that is left over are unused poolers."""
    theirs, state = peer.state_dict(), {}
    f, depths = "flava.", {"image": 3, "text": 2, "both": 2}
    for part, depth in depths.items():
        name = "multimodal" if part == "both" else part
        found = blocks(theirs, f"{f}{name}_model.", depth)
        state |= {f"{part}.{k}": v for k, v in found.items()}
    a = f"{f}image_model.embeddings."
    state["image.class_token"] = theirs[f"{a}cls_token"].flatten()
    state["image.mask_token"] = theirs[f"{a}mask_token"].flatten()
    state["image.positions.table"] = theirs[f"{a}position_embeddings"][0]
    kernel = theirs[f"{a}patch_embeddings.projection.weight"]
    state["image.projection.weight"] = kernel.flatten(1)
    state["image.projection.bias"] = theirs[f"{a}patch_embeddings.projection.bias"]
    a = f"{f}text_model.embeddings."
    state["text.tokens.weight"] = theirs[f"{a}word_embeddings.weight"]
    segment = theirs[f"{a}token_type_embeddings.weight"][0]
    table = theirs[f"{a}position_embeddings.weight"] + segment
    state["text.positions.table"] = table
    state["both.class_token"] = theirs[f"{f}multimodal_model.cls_token"].flatten()
    state["log_scale"] = theirs[f"{f}logit_scale"]
    pairs = {
        "text.norm_embedded": f"{a}LayerNorm",
        "itm.2": "itm_head.seq_relationship",
    }
    pairs |= {"itm.0": "itm_head.pooler.dense"}
    for part in ("image", "text"):
        pairs[f"both.from_{part}"] = f"{f}{part}_to_mm_projection"
        pairs[f"project_{part}"] = f"{f}{part}_projection"
    for head in ("mim", "mlm", "mmm_image", "mmm_text"):
        pairs[f"{head}.0"] = f"{head}_head.transform.dense"
        pairs[f"{head}.2"] = f"{head}_head.transform.LayerNorm"
        pairs[f"{head}.3"] = f"{head}_head.decoder"
    for mine, name in pairs.items():
        for kind in ("weight", "bias"):
            state[f"{mine}.{kind}"] = theirs[f"{name}.{kind}"]
    model = FLAVA(CONFIG).eval()
    model.load_state_dict(state)
    return model


def data():
    """Pictures, and texts of which two end in padding of any ids."""
    image = torch.rand(3, 3, 32, 32, generator=generator(4)) * 2 - 1
    tokens = torch.randint(5, 70, (3, 12), generator=generator(5))
    mask = torch.arange(12) < torch.tensor([[12], [8], [5]])
    return image, tokens, mask


@torch.no_grad()
def test_transformers_agrees_on_the_states_of_all_three_encoders(agree):
    peer = make_peer()
    model, (image, tokens, mask) = copied(peer), data()
    theirs = peer.flava(tokens, image, attention_mask=mask.long())
    ours = model(image, tokens, mask)
    agree("states of the picture", ours.image, theirs.image_embeddings, **PEERS)
    some = theirs.text_embeddings[mask]
    agree("states of the text", ours.text[mask], some, **PEERS)
    real = torch.cat([mask.new_ones(3, 18), mask], 1)
    some = theirs.multimodal_embeddings[real]
    agree("states of both", ours.both[real], some, **PEERS)


@torch.no_grad()
def test_without_a_mask_transformers_lets_all_read_the_padding():
    peer = make_peer()
    model, (image, tokens, mask) = copied(peer), data()
    careless = peer.flava(tokens, image).multimodal_embeddings
    ours = model(image, tokens, mask).both
    # the row without padding agrees; in the others even [CLS_M] has read it
    assert torch.allclose(ours[0], careless[0], atol=1e-5)
    assert (ours[1:, 0] - careless[1:, 0]).abs().max() > 1e-2
    full = model(image, tokens, torch.ones_like(mask)).both
    assert torch.allclose(full, careless, atol=1e-5)


@torch.no_grad()
def test_transformers_agrees_on_the_losses_of_pairs(agree):
    peer = make_peer()
    model, (image, tokens, mask) = copied(peer), data()
    g = generator(6)
    hidden = torch.rand(3, 16, generator=g) < 0.4
    codes = torch.randint(30, (3, 16), generator=g)
    chosen = (torch.rand(3, 12, generator=g) < 0.4) & mask
    read = tokens.masked_fill(chosen, 4)
    theirs = peer(
        tokens, read, image, attention_mask=mask.long(), bool_masked_pos=hidden,
        mim_labels=codes.clone(), mlm_labels=tokens.masked_fill(~chosen, -100),
        itm_labels=torch.tensor([1, 1, 1]), skip_unmasked_multimodal_encoder=True,
        return_loss=True,
    )  # fmt: skip
    both = model.both(model.image(image, hidden), model.text(read, mask), mask)
    logits = (
        model.mmm_image(both[:, 2:18])[hidden],
        model.mmm_text(both[:, 18:])[chosen],
    )
    targets, info = (codes[hidden], tokens[chosen]), theirs.loss_info
    for name, x, y, want in zip(
        ("MMM, patches", "MMM, words"), logits, targets,
        (info.mmm_image, info.mmm_text), strict=True,
    ):  # fmt: skip
        agree(name, F.cross_entropy(x, y), want, **PEERS)
    agree("ITM, logits", model.itm(both[:, 0]), theirs.itm_logits, **PEERS)
    image_side, text_side = model.encode_image(image), model.encode_text(tokens, mask)
    loss = contrastive_loss(model.log_scale.exp() * image_side @ text_side.T)["loss"]
    agree("contrast", loss, info.global_contrastive, **PEERS)


@torch.no_grad()
def test_transformers_agrees_on_the_losses_without_partner(agree):
    peer = make_peer()
    model, (image, tokens, mask) = copied(peer), data()
    g = generator(7)
    hidden = torch.rand(3, 16, generator=g) < 0.4
    codes = torch.randint(30, (3, 16), generator=g)
    theirs = peer(
        pixel_values=image, bool_masked_pos=hidden, mim_labels=codes.clone(),
        return_loss=True,
    )  # fmt: skip
    states = model.image.norm(model.image(image, hidden))[:, 1:]
    loss = F.cross_entropy(model.mim(states)[hidden], codes[hidden])
    agree("MIM", loss, theirs.loss_info.mim, **PEERS)
    chosen = (torch.rand(3, 12, generator=g) < 0.4) & mask
    read = tokens.masked_fill(chosen, 4)
    theirs = peer(
        tokens, read, attention_mask=mask.long(), return_loss=True,
        mlm_labels=tokens.masked_fill(~chosen, -100),
    )  # fmt: skip
    states = model.text.norm(model.text(read, mask))
    loss = F.cross_entropy(model.mlm(states)[chosen], tokens[chosen])
    agree("MLM", loss, theirs.loss_info.mlm, **PEERS)


def test_the_released_size_has_as_many_parameters_but_for_what_nobody_reads():
    with torch.device("meta"):
        model = FLAVA.from_preset("base")
        peer = FlavaForPreTraining(PeerConfig(init_codebook=False))

    def count(module):
        return sum(p.numel() for p in module.parameters())

    inner = peer.flava
    models = (inner.image_model, inner.text_model, inner.multimodal_model)
    unread = sum(count(m.pooler) for m in models)
    # two segments, of which the first is part of our positions
    unread += inner.text_model.embeddings.token_type_embeddings.weight.numel()
    # biases of the heads are held twice where they are not tied
    heads = (peer.mim_head, peer.mlm_head, peer.mmm_image_head, peer.mmm_text_head)
    unread += sum(h.bias.numel() for h in heads if h.bias is not h.decoder.bias)
    assert count(model) == count(peer) - unread
