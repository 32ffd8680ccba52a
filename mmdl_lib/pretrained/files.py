"""Every container of weights, read in one place, without running code from any of them.

| container | read by |
|---|---|
| safetensors, ours with a digest | safetensors |
| PyTorch's zip or older pickle | `torch.load(weights_only=True)` |
| TorchScript archive | `Tensors`, below: only the numbers, never the program |
| `.npz` | NumPy, without pickles |
| `.json` beside | as UTF-8, whatever the machine's language |

Our own files hold one entry of metadata: facts such as the config, and a SHA-256 digest
of facts and tensors. A flipped bit anywhere is noticed. PyTorch's and NumPy's zips
bring checksums, which are compared too; foreign safetensors have none.
"""

import hashlib
import json
import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from mmdl_lib.core import Model

ENTRY = "mmdl"  # the one entry of metadata in our files
FOLDER = ("model.safetensors", "pytorch_model.bin")  # names that transformers uses


class ForeignCode(ValueError):
    """A file would have to run a program of its own to be read."""


def locate(source: str | Path) -> Path:
    """The file of a path, or the weights inside a folder of transformers.

    Raises:
        FileNotFoundError: a folder without weights.
    """
    path = Path(source)
    if not path.is_dir():
        return path
    for name in FOLDER:
        if (path / name).exists():
            return path / name
    raise FileNotFoundError(f"expected {' or '.join(FOLDER)} in {path}, got neither.")


def read(path: str | Path) -> tuple[dict[str, Tensor], dict]:
    """Tensors by name, and the facts that our own files hold (else nothing).

    A training checkpoint gives what it keeps under "state_dict".

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is damaged, of no known kind, or would run code.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"expected weights at {path}, got no such file.")
    try:
        tensors, facts = _read(path)
        wrong = [name for name, value in tensors.items() if not torch.is_tensor(value)]
        if wrong:
            raise ValueError(f"expected tensors only, got another value in {wrong[0]}.")
    except ForeignCode:
        raise
    except Exception as error:  # a damaged file fails anywhere in any of the readers
        raise ValueError(
            f"expected tensors by name in {path}, got a damaged file or one of another "
            "kind (code in a file is never run): fetch or train it again."
        ) from error
    return tensors, facts


def fill(model: Model, state: dict[str, Tensor], source: str | Path) -> Model:
    """The model with these weights, in its own precision and eval mode.

    Raises:
        ValueError: a name is missing or too much, or a shape is another one.
    """
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(
            f"expected the weights of a whole {type(model).__name__} in {source}, got "
            f"others: {str(error).splitlines()[1].strip()}"
        ) from error
    return model.eval()


def _read(path: Path) -> tuple[dict, dict]:
    with path.open("rb") as file:
        begin = file.read(9)
    if begin[8:] == b"{":  # eight bytes of length, then JSON
        return _safetensors(path)
    if not zipfile.is_zipfile(path):
        if path.suffix == ".npz":
            raise ValueError("no archive")
        return _state(torch.load(path, map_location="cpu", weights_only=True)), {}
    with zipfile.ZipFile(path) as archive:
        if bad := archive.testzip():
            raise ValueError(f"{bad} does not have its checksum")
        names = archive.namelist()
        if all(name.endswith(".npy") for name in names):
            with np.load(path, allow_pickle=False) as arrays:
                return {n: torch.from_numpy(arrays[n]) for n in arrays.files}, {}
        if any(name.endswith("/constants.pkl") for name in names):
            return torchscript(archive), {}
    return _state(torch.load(path, map_location="cpu", weights_only=True)), {}


def _state(found) -> dict:
    if not isinstance(found, dict):
        raise ValueError("no state dict")
    return dict(found.get("state_dict", found))


def _safetensors(path: Path) -> tuple[dict, dict]:
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        said = file.metadata() or {}
    if ENTRY in said:
        facts = json.loads(said[ENTRY])
        if facts.pop("digest") != digest(tensors, facts):
            raise ValueError("not the digest that was written with these numbers")
        return tensors, facts
    facts = {}
    if "config" in said:  # files of this book before the digest
        facts["config"] = json.loads(said["config"])
    if "words" in said:
        facts["words"] = said["words"].split(" ")
    return tensors, facts


def digest(tensors: dict[str, Tensor], facts: dict) -> str:
    """SHA-256 of names, types, shapes, bytes and facts, whatever their order."""
    whole = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().contiguous()
        head = [name, str(value.dtype), list(value.shape)]
        whole.update(json.dumps(head).encode())
        whole.update(value.reshape(-1).view(torch.uint8).numpy())
    return whole.hexdigest()


def write(path: str | Path, tensors: dict[str, Tensor], facts: dict) -> None:
    """One safetensors file with facts and digest; equal content gives equal bytes.

    The file is complete or not there: it is written under another name first.

    Args:
        path: where; another file of that name is replaced.
        tensors: by name; none may hold NaN or infinity.
        facts: anything that JSON can hold.

    Raises:
        ValueError: NaN or infinity.
    """
    for name, value in tensors.items():
        if value.is_floating_point() and not value.isfinite().all():
            raise ValueError(
                f"expected finite numbers to write, got NaN or infinity in {name}."
            )
    path = Path(path)
    said = facts | {"digest": digest(tensors, facts)}
    part = path.with_name(path.name + ".part")
    try:
        # one entry only: the order of several is left to chance
        entry = {ENTRY: json.dumps(said, sort_keys=True)}
        save_file({n: v.contiguous() for n, v in tensors.items()}, part, metadata=entry)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def read_json(path: str | Path) -> dict:
    """An object of a JSON file, such as a `config.json`; empty where there is no file.

    Raises:
        ValueError: the text is cut or no JSON, or holds no object.
    """
    path = Path(path)
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError("no object")
    except ValueError as error:
        raise ValueError(
            f"expected one JSON object in {path}, got a damaged file or one of another "
            "kind: fetch it again."
        ) from error
    return found


def normalization(path: Path) -> tuple[tuple, tuple] | None:
    """Mean and deviation of pixels in [0, 1] that the weights of a folder expect.

    They stand in `preprocessor_config.json` beside the weights. EfficientNet's files
    may ask to divide by the deviation once more (`include_top`).

    Returns:
        (mean, std), three numbers each; None where the file is missing or silent.
    """
    told = read_json(path.with_name("preprocessor_config.json"))
    if told.get("do_normalize") is False:
        return (0.0,) * 3, (1.0,) * 3
    if "image_mean" not in told or "image_std" not in told:
        return None
    efficient = "EfficientNet" in told.get("image_processor_type", "")
    power = 2 if told.get("include_top", efficient) else 1
    return tuple(told["image_mean"]), tuple(s**power for s in told["image_std"])


# names of PyTorch's storages -> the type of their numbers
STORAGES = {"Double": torch.float64, "Float": torch.float32, "Half": torch.float16}
STORAGES |= {"BFloat16": torch.bfloat16, "Bool": torch.bool, "Byte": torch.uint8}
STORAGES |= {"Char": torch.int8, "Short": torch.int16, "Int": torch.int32}
STORAGES |= {"Long": torch.int64}


class Module:
    """Stands for a module of an archive; keeps its attributes and can do nothing."""

    def __setstate__(self, attributes):
        self.attributes = attributes


class Tensors(pickle.Unpickler):
    """Reads the pickle of a TorchScript archive as numbers.

    Whatever name the pickle asks for is looked up in one short table, never imported:
    tensors, plain containers, and `Module` for every class that the archive brings.
    """

    def __init__(self, file, storages: dict[str, bytes]):
        super().__init__(file)
        self.storages = storages

    def find_class(self, module: str, name: str):
        known = {
            "torch._utils._rebuild_tensor_v2": self.tensor,
            "collections.OrderedDict": OrderedDict,
            "torch.device": str,
            "torch.jit._pickle.restore_type_tag": self.first,
        }
        for kind in ("int", "double", "bool", "tensor"):
            known[f"torch.jit._pickle.build_{kind}list"] = self.first
        for kind, dtype in STORAGES.items():
            known[f"torch.{kind}Storage"] = dtype
        if module == "__torch__" or module.startswith("__torch__."):
            return type("Module", (Module,), {})
        if f"{module}.{name}" not in known:
            raise ForeignCode(
                "expected an archive of tensors, got one whose pickle asks for "
                f"{module}.{name}: it is not read, because that could run code."
            )
        return known[f"{module}.{name}"]

    def persistent_load(self, pid):
        kind, dtype, key, _, count = pid  # the fourth is the device that wrote it
        if kind != "storage" or count == 0:
            return torch.empty(0, dtype=dtype)
        return torch.frombuffer(bytearray(self.storages[key]), dtype=dtype)

    def tensor(self, storage, offset, size, stride, *_) -> Tensor:
        # as_strided refuses places outside of the storage
        return storage.as_strided(size, stride, offset)

    def first(self, value, *_):
        return value


def torchscript(archive: zipfile.ZipFile) -> dict[str, Tensor]:
    """Parameters and buffers of a TorchScript archive by name.

    Raises:
        ForeignCode: modules that want to load themselves, or a pickle that asks for
            more than tensors.
        ValueError: numbers in another byte order.
    """
    names = archive.namelist()
    root = next(n for n in names if n.endswith("/data.pkl")).removesuffix("data.pkl")
    for name in names:
        if name.startswith(f"{root}code/") and b"__setstate__" in archive.read(name):
            raise ForeignCode(
                "expected an archive of tensors, got one whose modules bring code for "
                "their own loading (__setstate__): it is not read, because that code "
                "is never run."
            )
    if f"{root}byteorder" in names and archive.read(f"{root}byteorder") != b"little":
        raise ValueError("bytes in another order")
    start = f"{root}data/"
    storages = {
        name.removeprefix(start): archive.read(name)
        for name in names
        if name.startswith(start)
    }
    with archive.open(f"{root}data.pkl") as file:
        return dict(_walk(Tensors(file, storages).load(), ""))


def _walk(module, prefix: str):
    """All tensors below a module, under the names of a state dict."""
    for name, value in module.attributes.items():
        if torch.is_tensor(value):
            yield prefix + name, value
        elif isinstance(value, Module):
            yield from _walk(value, f"{prefix}{name}.")
