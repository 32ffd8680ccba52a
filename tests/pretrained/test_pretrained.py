"""Shipped weights do what their results say; public checkpoints are read."""

import copy

import pytest
import torch
from safetensors.torch import save_file

from mmdl_lib import pretrained
from mmdl_lib.data import shapes
from mmdl_lib.pretrained import small
from mmdl_lib.record import results
from tests.parity.test_clip import (
    ORIGINAL_RESNET,
    ORIGINAL_VIT,
    VIT,
    batch_with_end_tokens,
    noisy,
    original_peer,
    transformers_peer,
)
from tests.parity.test_efficientnet import SMALL, peer_of
from tests.parity.test_vit import make_peer


@torch.no_grad()
@pytest.mark.parametrize("pairs", ["seen", "held_out"])
def test_zero_shot_accuracy_on_new_pictures_equals_the_recorded_one(pairs):
    model, tokenizer = pretrained.load("clip", "shapes")
    mode = "exclude" if pairs == "seen" else "only"
    scenes = shapes.sample(1000, seed=77, objects=1, held_out=mode)
    names = [f"a {c} {s}" for c in shapes.COLORS for s in shapes.SHAPES]
    names = [name.replace("a o", "an o") for name in names]
    text = model.encode_text(*tokenizer(names))
    image = model.encode_image(shapes.to_float(scenes.render()))
    truth = 8 * scenes.color[:, 0] + scenes.shape[:, 0]
    accuracy = ((image @ text.T).argmax(1) == truth).float().mean().item()
    # three standard errors of the difference of two samples of 1,000 and 2,000
    recorded = results("clip")["shapes"]["zero_shot"][pairs]
    assert accuracy == pytest.approx(recorded, abs=0.06)


def original_file(tmp_path, config, kind):
    """A file of random weights as OpenAI or OpenCLIP would write it, and its model."""
    peer = noisy(original_peer(config))
    path = tmp_path / f"model{'.safetensors' if kind == 'safetensors' else '.pt'}"
    state = peer.state_dict()
    if kind == "archive":
        # half precision on disk, as released; values must survive the rounding
        rounded = {k: v.half().float() for k, v in state.items() if v.ndim}
        peer.load_state_dict(state | rounded)
        image, tokens, _ = batch_with_end_tokens(config)
        full = torch.zeros(5, config.context, dtype=torch.long)
        full[:, : tokens.shape[1]] = tokens
        traced = torch.jit.trace(copy.deepcopy(peer), (image, full))
        traced.save(str(path))
    elif kind == "half":
        state = {k: v.half() if v.ndim else v for k, v in state.items()}
        peer.load_state_dict({k: v.float() for k, v in state.items()})
        facts = {"input_resolution": torch.tensor(32), "vocab_size": torch.tensor(9)}
        torch.save(state | facts, path)
    elif kind == "training":
        state = {f"module.{name}": value for name, value in state.items()}
        torch.save({"epoch": 3, "state_dict": state}, path)
    elif kind == "custom text":
        alone = ("visual.", "logit_scale")
        torch.save(
            {k if k.startswith(alone) else f"text.{k}": v for k, v in state.items()},
            path,
        )
    else:
        save_file({k: v.contiguous() for k, v in state.items()}, path)
    return path, peer


@torch.no_grad()
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("config", [ORIGINAL_VIT, ORIGINAL_RESNET])
@pytest.mark.parametrize(
    "kind", ["archive", "half", "training", "custom text", "safetensors"]
)
def test_openai_and_openclip_files_give_the_original_numbers(tmp_path, config, kind):
    path, peer = original_file(tmp_path, config, kind)
    model, tokenizer = pretrained.load("clip", path)
    image, tokens, mask = batch_with_end_tokens(config)
    full = torch.zeros(5, config.context, dtype=torch.long)
    full[:, : tokens.shape[1]] = tokens
    logits, _ = peer(image, full)
    assert torch.allclose(model(image, tokens, mask).logits, logits, atol=2e-4)
    assert tokenizer.length == config.context


@torch.no_grad()
@pytest.mark.parametrize("activation", ["quick_gelu", "gelu"])
@pytest.mark.parametrize("safe", [True, False])
def test_a_transformers_folder_gives_the_same_numbers(tmp_path, activation, safe):
    peer = noisy(transformers_peer(VIT, activation))
    peer.save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    if not safe:
        path = tmp_path / "pytorch_model.bin"
        torch.save(peer.state_dict(), path)
    model, _ = pretrained.load("clip", path)
    image, tokens, mask = batch_with_end_tokens(VIT)
    theirs = peer(input_ids=tokens, pixel_values=image, attention_mask=mask)
    logits = model(image, tokens, mask).logits
    assert torch.allclose(logits, theirs.logits_per_image, atol=2e-4)
    folder, _ = pretrained.load("clip", tmp_path)
    assert torch.equal(folder(image, tokens, mask).logits, logits)


@pytest.mark.parametrize(
    "slug, name",
    [
        ("clip", "config.json"),
        ("vit", "config.json"),
        ("vit", "preprocessor_config.json"),
        ("efficientnet", "config.json"),
        ("efficientnet", "preprocessor_config.json"),
    ],
)
def test_a_cut_file_beside_the_weights_is_named_in_one_sentence(tmp_path, slug, name):
    peers = {"clip": lambda: transformers_peer(VIT), "vit": make_peer}
    peers["efficientnet"] = lambda: peer_of(SMALL)
    peers[slug]().save_pretrained(tmp_path)
    whole = (tmp_path / "config.json").read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=f"one JSON object in .*{name}, got a damaged"):
        pretrained.load(slug, tmp_path)


def test_the_activation_can_be_named_because_no_file_shows_it(tmp_path):
    path, _ = original_file(tmp_path, ORIGINAL_VIT, "safetensors")
    assert pretrained.load("clip", path)[0].config.activation == "quick_gelu"
    model, _ = pretrained.load("clip", path, activation="gelu")
    assert model.config.activation == "gelu"
    with pytest.raises(ValueError, match="expected activation to be quick_gelu, gelu"):
        pretrained.load("clip", path, activation="relu")


def test_missing_weights_are_named_in_one_sentence(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="path of a file"):
        pretrained.load("clip", tmp_path / "none.safetensors")
    monkeypatch.setattr(small, "WEIGHTS", tmp_path)
    with pytest.raises(FileNotFoundError, match="python recipes/clip.py"):
        pretrained.load("clip", "shapes")


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_damaged_weights_are_named_in_one_sentence(tmp_path, suffix):
    path = tmp_path / f"damaged{suffix}"
    whole = (small.WEIGHTS / "clip_shapes.safetensors").read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="a damaged file or one of another kind"):
        pretrained.load("clip", path)


def test_a_foreign_file_and_a_piece_of_clip_are_named_in_one_sentence(tmp_path):
    path = tmp_path / "foreign.safetensors"
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match="got x, ..."):
        pretrained.load("clip", path)
    whole, peer = original_file(tmp_path, ORIGINAL_VIT, "safetensors")
    state = {k: v.contiguous() for k, v in peer.state_dict().items()}
    del state["visual.ln_post.weight"]
    save_file(state, whole)
    with pytest.raises(ValueError, match="weights of a whole CLIP"):
        pretrained.load("clip", whole)


def test_an_unknown_slug_names_the_known_ones():
    with pytest.raises(ValueError, match="one of .*clip, .*resnet.* slug, got 'clap'"):
        pretrained.load("clap", "shapes")


def test_missing_results_name_the_recipe():
    with pytest.raises(FileNotFoundError, match="python recipes/none.py"):
        results("none")


def test_the_resnet_weights_have_their_recorded_accuracy(tmp_path):
    model = pretrained.load("resnet", "shapes")
    scenes = shapes.sample(1000, seed=78, objects=1, held_out="include")
    image, label = shapes.to_float(scenes.render()), scenes.color[:, 0] * 8
    right = (model(image).argmax(1) == label + scenes.shape[:, 0]).float().mean().item()
    assert right == pytest.approx(results("resnet")["weights"]["accuracy"], abs=0.04)
    path = tmp_path / "damaged.safetensors"
    path.write_bytes((small.WEIGHTS / "resnet_shapes.safetensors").read_bytes()[:5000])
    with pytest.raises(ValueError, match="a damaged or foreign file"):
        pretrained.load("resnet", path)
    with pytest.raises(ValueError, match="a damaged or foreign file"):
        pretrained.load("resnet", small.WEIGHTS / "clip_shapes.safetensors")
    with pytest.raises(FileNotFoundError, match="python recipes/resnet.py"):
        pretrained.load("resnet", tmp_path / "none.safetensors")
