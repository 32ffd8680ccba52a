"""Containers of weights: no code runs, no damage passes, all kinds give the numbers."""

import io
import json
import os
import pickle
import random
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from mmdl_lib import pretrained
from mmdl_lib.core import generator
from mmdl_lib.pretrained import files, inception
from mmdl_lib.pretrained.small import WEIGHTS

READERS = {
    "clip": lambda path: pretrained.load("clip", path),
    "vit": lambda path: pretrained.load("vit", path),
    "efficientnet": lambda path: pretrained.load("efficientnet", path),
    "inception": inception.load,
    "files": files.read,
}
every_reader = pytest.mark.parametrize("load", READERS.values(), ids=READERS)
ignored = pytest.mark.filterwarnings("ignore")  # TorchScript calls itself outdated


class Touch:
    """A pickle of it makes a file where it is opened without care."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


class Armed(nn.Module):
    """A module that makes a file of 16 bytes where TorchScript loads it."""

    def __init__(self, path: str):
        super().__init__()
        self.path = path
        self.x = torch.zeros(4)

    def forward(self, x):
        return x + self.x

    @torch.jit.export
    def __getstate__(self) -> tuple[str, bool]:
        return (self.path, self.training)

    @torch.jit.export
    def __setstate__(self, state: tuple[str, bool]) -> None:
        self.path = state[0]
        self.training = state[1]
        self.x = torch.from_file(state[0], shared=True, size=4)


class Plain(nn.Module):
    """All that a released archive may hold, small."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(2, 3).half()
        self.rest = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 3))
        self.turned = nn.Parameter(torch.randn(4, 2).T)
        self.log_scale = nn.Parameter(torch.tensor(0.7))
        self.register_buffer("mask", torch.tensor([True, False]))
        self.register_buffer("part", torch.arange(12.0).view(3, 4)[1:, 1:3])
        self.register_buffer("empty", torch.zeros(0, 2))
        self.sizes, self.name = [1, 2], "plain"

    def forward(self, x):
        x = self.rest(self.first(x.half()).float())
        return x * self.log_scale.exp() + self.part.sum() + self.turned.sum()


@pytest.fixture
def archive(tmp_path):
    torch.manual_seed(0)
    model, path = Plain().eval(), tmp_path / "plain.pt"
    torch.jit.script(model).save(path)
    return model, path


@ignored
@every_reader
def test_a_module_that_wants_to_load_itself_is_not_run(tmp_path, load):
    made, path = tmp_path / "made", tmp_path / "armed.pt"
    torch.jit.script(Armed(str(made))).save(path)
    torch.jit.load(path)
    assert made.exists()  # so the archive is dangerous
    made.unlink()
    with pytest.raises(ValueError, match=r"\(__setstate__\): it is not read, because"):
        load(path)
    assert not made.exists()


def resealed(path, change):
    """The same archive with another pickle, and right checksums."""
    with zipfile.ZipFile(path) as old:
        whole = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(path, "w") as new:
        for name, content in whole.items():
            new.writestr(name, change(name, content))


@ignored
@every_reader
@pytest.mark.parametrize("protocol", [2, 4])
def test_an_archive_whose_pickle_asks_for_a_function_is_not_run(
    tmp_path, archive, load, protocol
):
    made, (_, path) = tmp_path / "made", archive
    bad = pickle.dumps({"x": Touch(made)}, protocol)
    pickle.loads(bad)
    assert made.exists()
    made.unlink()
    resealed(path, lambda name, old: bad if name.endswith("/data.pkl") else old)
    with pytest.raises(ValueError, match=r"asks for (io|_io)\.open: it is not read"):
        load(path)
    assert not made.exists()


@ignored
@every_reader
@pytest.mark.parametrize("kind", ["zip", "older", "numpy", "bare"])
def test_a_pickle_that_asks_for_a_function_is_not_run(tmp_path, load, kind):
    made, path = tmp_path / "made", tmp_path / "armed.bin"
    bad = {"state_dict": {"x": torch.zeros(1)}, "y": Touch(made)}
    if kind == "numpy":
        path = tmp_path / "armed.npz"
        np.savez(path, x=np.zeros(2), y=np.array([Touch(made)], dtype=object))
    elif kind == "bare":
        path.write_bytes(pickle.dumps(bad))
    else:
        torch.save(bad, path, _use_new_zipfile_serialization=kind == "zip")
    made.unlink(missing_ok=True)
    with pytest.raises(ValueError, match="code in a file is never run"):
        load(path)
    assert not made.exists()


@ignored
@pytest.mark.parametrize("how", ["script", "trace"])
def test_an_archive_gives_the_numbers_of_torchs_own_reader(tmp_path, archive, how):
    model, path = archive
    if how == "trace":
        torch.jit.trace(model, torch.zeros(5, 2)).save(path)
    found, facts = files.read(path)
    want = torch.jit.load(path).state_dict()
    assert found.keys() == want.keys() == model.state_dict().keys()
    for name, value in want.items():
        assert found[name].dtype == value.dtype, name
        assert torch.equal(found[name], value), name
    assert facts == {}


@ignored
def test_an_archive_cannot_reach_beyond_its_numbers(archive):
    _, path = archive
    # 12 numbers of "part", of which it takes four from the sixth on
    small, large = b"K\x05(K\x02K\x02t", b"K\x05(K\x63K\x02t"
    resealed(path, lambda name, old: old.replace(small, large))
    with pytest.raises(ValueError, match="damaged file or one of another kind"):
        files.read(path)


@ignored
def test_numbers_in_another_byte_order_are_refused(archive):
    _, path = archive
    resealed(path, lambda name, old: b"big" if name.endswith("byteorder") else old)
    with pytest.raises(ValueError, match="damaged file or one of another kind"):
        files.read(path)


def numbers():
    g = generator(0)
    made = {"a": torch.randn(3, 4, generator=g).half(), "b": torch.arange(5)}
    return made | {"c": torch.tensor(0.5), "d": torch.tensor([True, False])}


@pytest.mark.parametrize(
    "kind", ["ours", "safetensors", "zip", "older", "training", "npz"]
)
@pytest.mark.parametrize("name", ["right", "weights"])
def test_every_container_gives_back_what_was_put_in(tmp_path, kind, name):
    # the content decides, not the name
    ends = {"npz": ".npz", "ours": ".safetensors", "safetensors": ".safetensors"}
    path = tmp_path / (name + (ends.get(kind, ".bin") if name == "right" else ""))
    state, facts = numbers(), {}
    if kind == "ours":
        facts = {"config": {"width": 3}, "words": ["a", "b"]}
        files.write(path, state, facts)
    elif kind == "safetensors":
        save_file(state, path, metadata={"format": "pt"})
    elif kind == "npz":
        with path.open("wb") as file:
            np.savez(file, **{k: v.numpy() for k, v in state.items()})
    else:
        whole = {"epoch": 3, "state_dict": state} if kind == "training" else state
        torch.save(whole, path, _use_new_zipfile_serialization=kind != "older")
    found, said = files.read(path)
    assert found.keys() == state.keys()
    assert all(found[k].dtype == v.dtype for k, v in state.items())
    assert all(torch.equal(found[k], v) for k, v in state.items())
    assert said == facts


def flipped(whole, bit):
    changed = bytearray(whole)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_every_single_bit_of_a_small_file_counts(tmp_path):
    path = tmp_path / "whole.safetensors"
    files.write(path, {"a": torch.tensor([1.0, -2.0])}, {"config": {"width": 2}})
    whole, silent = path.read_bytes(), []
    assert len(whole) < 400
    for bit in range(8 * len(whole)):
        path.write_bytes(flipped(whole, bit))
        try:
            _, facts = files.read(path)
            silent += [bit] if facts else []  # without facts it is not ours
        except ValueError as error:
            assert "got a damaged file" in str(error)
    assert silent == []


@pytest.mark.parametrize("slug", ["clip", "resnet", "vit"])
def test_flipped_bits_in_a_shipped_file_are_named_in_one_sentence(tmp_path, slug):
    path = tmp_path / "weights.safetensors"
    whole = (WEIGHTS / f"{slug}_shapes.safetensors").read_bytes()
    bits = random.Random(0).sample(range(8 * len(whole)), 30)
    for bit in bits:
        path.write_bytes(flipped(whole, bit))
        with pytest.raises(ValueError, match="a damaged (or foreign )?file"):
            pretrained.load(slug, path)


@ignored
@pytest.mark.parametrize("kind", ["zip", "archive", "npz"])
def test_a_flipped_bit_in_the_numbers_of_a_zip_is_noticed(tmp_path, archive, kind):
    model, path = archive
    state = model.state_dict()
    if kind == "zip":
        torch.save(state, path)
    if kind == "npz":
        path = tmp_path / "plain.npz"
        np.savez(path, **{k: v.numpy() for k, v in state.items()})
    whole = path.read_bytes()
    place = whole.index(state["rest.1.weight"].numpy().tobytes())
    path.write_bytes(flipped(whole, 8 * place + 100))
    with pytest.raises(ValueError, match="damaged file or one of another kind"):
        files.read(path)


@pytest.mark.parametrize("content", ["list", "number", "cut", "nothing", "text"])
def test_what_is_no_state_dict_is_named_in_one_sentence(tmp_path, content):
    path, whole = tmp_path / "x.pt", io.BytesIO()
    torch.save(numbers(), whole)
    if content in ("list", "number"):
        torch.save([torch.zeros(2)] if content == "list" else {"x": 3}, path)
    else:
        some = {"cut": whole.getvalue()[:900], "nothing": b"", "text": b"no weights"}
        path.write_bytes(some[content])
    with pytest.raises(ValueError, match="tensors by name in .*x.pt, got a damaged"):
        files.read(path)


def test_a_missing_file_and_an_empty_folder_are_named_in_one_sentence(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected weights at .*none"):
        files.read(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match="got neither"):
        files.locate(tmp_path)
    (tmp_path / "pytorch_model.bin").touch()
    assert files.locate(tmp_path).name == "pytorch_model.bin"
    (tmp_path / "model.safetensors").touch()
    assert files.locate(tmp_path).name == "model.safetensors"


def test_equal_content_gives_equal_bytes_and_other_facts_another_digest(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    files.write(one, numbers(), {"a": 1, "b": 2})
    files.write(two, dict(reversed(numbers().items())), {"b": 2, "a": 1})
    assert one.read_bytes() == two.read_bytes()
    same = files.digest(numbers(), {})
    assert files.digest(numbers() | {"a": numbers()["a"].view(4, 3)}, {}) != same
    assert files.digest(numbers(), {"a": 1}) != same
    turned = torch.arange(6).view(2, 3)
    assert files.digest({"a": turned.T}, {}) == files.digest(
        {"a": turned.T.contiguous()}, {}
    )


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_numbers_that_are_none_are_never_written(tmp_path, bad):
    path = tmp_path / "weights"
    files.write(path, numbers(), {})
    before = path.read_bytes()
    with pytest.raises(ValueError, match="got NaN or infinity in e"):
        files.write(path, numbers() | {"e": torch.tensor([0, bad])}, {})
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_a_write_that_fails_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(state, part, metadata):
        part.write_bytes(b"half of it")
        raise OSError("no space left on device")

    monkeypatch.setattr(files, "save_file", full)
    with pytest.raises(OSError, match="no space"):
        files.write(tmp_path / "weights", numbers(), {})
    assert list(tmp_path.iterdir()) == []


def test_json_is_utf_8_whatever_the_machine_speaks(tmp_path):
    path = tmp_path / "config.json"
    path.write_bytes('{"name": "Käfer", "num_attention_heads": 3}'.encode())
    code = "import sys; from mmdl_lib.pretrained import files; "
    code += "print(ascii(files.read_json(sys.argv[1])['name']))"
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", code, path],
        env=os.environ | plain,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == r"'K\xe4fer'", done.stderr


@pytest.mark.parametrize("text", [b'{"a": 1', b"", b"[1]", b'{"a": "\xff"}'])
def test_json_that_is_cut_or_none_is_named_in_one_sentence(tmp_path, text):
    path = tmp_path / "config.json"
    assert files.read_json(path) == {}
    path.write_bytes(text)
    with pytest.raises(ValueError, match="one JSON object in .*config.json, got a dam"):
        files.read_json(path)


def test_normalization_is_told_by_the_file_beside_the_weights(tmp_path):
    path, beside = tmp_path / "w.bin", tmp_path / "preprocessor_config.json"
    assert files.normalization(path) is None
    told = {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.5, 0.25, 2.0]}
    for more, power in (
        ({}, 1),
        ({"image_processor_type": "ViTImageProcessor"}, 1),
        ({"image_processor_type": "EfficientNetImageProcessor"}, 2),
        ({"include_top": True}, 2),
        ({"image_processor_type": "EfficientNetFast", "include_top": False}, 1),
    ):
        beside.write_text(json.dumps(told | more))
        want = (0.1, 0.2, 0.3), (0.5**power, 0.25**power, 2.0**power)
        assert files.normalization(path) == want
    beside.write_text(json.dumps(told | {"do_normalize": False}))
    assert files.normalization(path) == ((0, 0, 0), (1, 1, 1))
    beside.write_text("{}")
    assert files.normalization(path) is None
