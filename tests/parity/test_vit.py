"""Same weights in, same numbers out: ViT of `transformers`, and its files."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from transformers import ViTConfig as PeerConfig
from transformers import ViTForImageClassification, ViTImageProcessorPil, ViTModel

from mmdl_lib import pretrained
from mmdl_lib.core import generator
from mmdl_lib.models.vit import ViT
from mmdl_lib.pretrained import files, vit

PEERS = {
    "ours": "mmdl_lib.models.vit.ViT",
    "package": "transformers",
    "reference": "transformers ViT",
}


def make_peer(kind=ViTForImageClassification, **changes):
    """A small ViT whose every parameter is random, so that none can be forgotten."""
    sizes = {"hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4}
    sizes |= {"intermediate_size": 192, "image_size": 32, "patch_size": 8}
    peer = kind(PeerConfig(**sizes, num_labels=7, **changes)).eval()
    g = generator(3)
    for parameter in peer.parameters():
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=g)
    # eager attention, because only it returns the weights
    peer.set_attn_implementation("eager")
    return peer


def pictures(h=32, w=32):
    return torch.rand(3, 3, h, w, generator=generator(4)) * 2 - 1


@torch.no_grad()
def test_transformers_agrees_on_tokens_attention_and_logits(tmp_path, agree):
    peer = make_peer()
    peer.save_pretrained(tmp_path)
    model, image = pretrained.load("vit", tmp_path), pictures()
    theirs = peer(image, output_attentions=True, output_hidden_states=True)
    agree("ViT, logits", model(image), theirs.logits, tolerance=1e-5, **PEERS)
    last = peer.vit(image).last_hidden_state
    agree("ViT, all tokens", model.hidden(image), last, tolerance=1e-5, **PEERS)
    weights = torch.stack(theirs.attentions, 1)
    agree("ViT, attention", model.attention(image), weights, tolerance=1e-6, **PEERS)


@torch.no_grad()
@pytest.mark.parametrize("size", [(48, 48), (32, 64), (40, 24)])
def test_transformers_agrees_on_interpolated_positions(tmp_path, agree, size):
    peer = make_peer()
    peer.save_pretrained(tmp_path)
    model, image = pretrained.load("vit", tmp_path), pictures(*size)
    theirs = peer(image, interpolate_pos_encoding=True).logits
    name = f"ViT, logits of {size[0]} x {size[1]} pixels"
    agree(name, model(image), theirs, tolerance=1e-5, **PEERS)
    again = model.resized(size)(image)
    assert torch.allclose(again, theirs, atol=1e-5)


@torch.no_grad()
def test_both_generations_of_names_and_both_kinds_of_files_are_read(tmp_path):
    peer, image = make_peer(), pictures()
    peer.save_pretrained(tmp_path / "a")
    config = (tmp_path / "a/config.json").read_text()
    assert "encoder.layer" in str(
        files.read(tmp_path / "a/model.safetensors")[0].keys()
    )
    for name, write in (("b", torch.save), ("c", save_file)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.json").write_text(config)
        file = folder / ("pytorch_model.bin" if name == "b" else "model.safetensors")
        write({k: v.contiguous() for k, v in peer.state_dict().items()}, file)
        assert torch.allclose(vit.load(folder)(image), peer(image).logits, atol=1e-5)
        assert torch.allclose(vit.load(file)(image), peer(image).logits, atol=1e-5)


@torch.no_grad()
def test_a_model_without_classifier_gets_one_of_zeros(tmp_path):
    peer = make_peer(ViTModel)
    peer.save_pretrained(tmp_path)
    model, image = vit.load(tmp_path), pictures()
    assert torch.allclose(model.hidden(image), peer(image).last_hidden_state, atol=1e-5)
    assert model(image).shape == (3, 1000) and not model(image).any()


@torch.no_grad()
def test_what_no_weight_shows_comes_from_the_config(tmp_path):
    peer = make_peer(layer_norm_eps=1e-2)
    peer.save_pretrained(tmp_path)
    image = pictures()
    assert torch.allclose(vit.load(tmp_path)(image), peer(image).logits, atol=1e-5)
    file = tmp_path / "config.json"
    facts = json.loads(file.read_text())
    file.write_text(json.dumps(facts | {"hidden_act": "relu"}))
    with pytest.raises(ValueError, match="a ViT with gelu, got 'relu'"):
        vit.load(tmp_path)


@torch.no_grad()
def test_a_file_names_its_own_mean_and_deviation(tmp_path):
    peer = make_peer()
    peer.save_pretrained(tmp_path)
    # other for each color, and not the usual 0.5
    facts = {"image_mean": [0.4, 0.55, 0.6], "image_std": [0.6, 0.45, 0.3]}
    eyes = ViTImageProcessorPil(**facts, do_resize=False)
    eyes.save_pretrained(tmp_path)
    pixels = torch.randint(256, (2, 3, 32, 32), generator=generator(0))
    seen = eyes(list(pixels.byte().numpy()), return_tensors="pt")["pixel_values"]
    model = vit.load(tmp_path)
    want = peer(seen).logits
    assert torch.allclose(model(pixels / 127.5 - 1), want, atol=1e-5)


def original(model: ViT) -> dict[str, np.ndarray]:
    """The weights of a model under the names and in the layout of the JAX release.

    Written a second time, because no package of the tests makes such files.
    """
    config, state = model.config, model.state_dict()
    width, heads, patch = config.width, config.heads, config.patch
    flat = state["projection.weight"].reshape(width, 3, patch, patch)
    out = {"cls": state["class_token"].view(1, 1, -1)}
    out |= {"embedding/kernel": flat.permute(2, 3, 1, 0)}
    out |= {"embedding/bias": state["projection.bias"]}
    out["Transformer/posembed_input/pos_embedding"] = state["positions.table"][None]
    out["Transformer/encoder_norm/scale"] = state["norm.weight"]
    out["Transformer/encoder_norm/bias"] = state["norm.bias"]
    for i in range(config.depth):
        a, b = f"transformer.blocks.{i}.", f"Transformer/encoderblock_{i}/"
        for norm, number in (("norm1", 0), ("norm2", 2)):
            out[f"{b}LayerNorm_{number}/scale"] = state[f"{a}{norm}.weight"]
            out[f"{b}LayerNorm_{number}/bias"] = state[f"{a}{norm}.bias"]
        msa = f"{b}MultiHeadDotProductAttention_1/"
        weights = state[f"{a}attention.qkv.weight"].chunk(3)
        biases = state[f"{a}attention.qkv.bias"].chunk(3)
        names = ("query", "key", "value")
        for name, weight, bias in zip(names, weights, biases, strict=True):
            out[f"{msa}{name}/kernel"] = weight.T.reshape(width, heads, -1)
            out[f"{msa}{name}/bias"] = bias.reshape(heads, -1)
        weight = state[f"{a}attention.out.weight"].T.reshape(heads, -1, width)
        out |= {f"{msa}out/kernel": weight}
        out |= {f"{msa}out/bias": state[f"{a}attention.out.bias"]}
        for j in (0, 1):
            out[f"{b}MlpBlock_3/Dense_{j}/kernel"] = state[f"{a}fc{j + 1}.weight"].T
            out[f"{b}MlpBlock_3/Dense_{j}/bias"] = state[f"{a}fc{j + 1}.bias"]
    head = ["head"] if config.head == "linear" else ["pre_logits", "head"]
    for name, number in zip(head, (0, 2), strict=False):
        out[f"{name}/kernel"] = state[f"head.{number}.weight"].T
        out[f"{name}/bias"] = state[f"head.{number}.bias"]
    return {name: value.contiguous().numpy() for name, value in out.items()}


@torch.no_grad()
@pytest.mark.parametrize("preset", ["tiny", "tiny-mlp"])
def test_a_file_of_the_original_release_is_read(tmp_path, preset):
    torch.manual_seed(0)
    model = ViT.from_preset(preset).eval()
    for parameter in model.parameters():
        parameter.data += 0.05 * torch.randn(parameter.shape)
    np.savez(tmp_path / "ViT.npz", **original(model))
    again = vit.load(tmp_path / "ViT.npz")
    assert again.config == model.config
    assert torch.allclose(again(pictures()), model(pictures()), atol=1e-5)


def test_damaged_and_foreign_files_are_named_in_one_sentence(tmp_path):
    with pytest.raises(FileNotFoundError, match="got neither"):
        vit.load(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"python recipes/vit.py"):
        vit.load(tmp_path / "none.safetensors")
    (tmp_path / "x.npz").write_bytes(b"PK no archive")
    with pytest.raises(ValueError, match="a damaged file or one of another kind"):
        vit.load(tmp_path / "x.npz")
    np.savez(tmp_path / "y.npz", y=np.zeros(3))
    with pytest.raises(ValueError, match="names of a ViT .* got y, ..."):
        vit.load(tmp_path / "y.npz")
    save_file({"x": torch.zeros(1)}, tmp_path / "x.safetensors")
    with pytest.raises(ValueError, match="names of a ViT .* got x, ..."):
        vit.load(tmp_path / "x.safetensors")
    torch.manual_seed(0)
    whole = original(ViT.from_preset("tiny"))
    del whole["Transformer/encoder_norm/bias"]
    np.savez(tmp_path / "z.npz", **whole)
    with pytest.raises(ValueError, match="weights of a whole ViT"):
        vit.load(tmp_path / "z.npz")
