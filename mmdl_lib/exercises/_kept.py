"""Answers as data: what a score file holds, and the way back."""

import json
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmdl_lib.exercises._answers import Hint
from mmdl_lib.exercises._sources import Lost, written

LARGEST = 20_000  # bytes of one kept answer
PLAIN = (bool, int, str, type(None))


def kept(answer: Any) -> dict:
    """An answer for JSON: {"value"}, {"code", "call"}, or {"lost"}: why it is not kept.

    Numbers, strings, lists, tuples, dicts, tensors and arrays become values, functions
    the source of what they are and use.
    """
    try:
        if callable(answer) and not isinstance(answer, Tensor):
            code, call = written(answer)
            entry = {"code": code, "call": call}
        else:
            entry = {"value": _packed(answer)}
        length = len(json.dumps(entry, allow_nan=False, ensure_ascii=False).encode())
    except Lost as lost:
        return {"lost": f"{lost}."}
    except Exception:  # whatever a reader's object does when it is looked at
        return {"lost": f"a {type(answer).__name__} cannot be kept."}
    if length > LARGEST:
        return {"lost": f"it is longer than {LARGEST:,} bytes."}
    return entry


def rebuilt(entry: dict) -> Any:
    """The answer that `kept` has written. Runs its code: only in a reader's own session
    or in a cage.

    Raises:
        Hint: it was not kept, or its code cannot run alone.
        ValueError: it is not what `kept` writes.
    """
    if "lost" in entry:
        raise Hint(f"not kept: {entry['lost']}")
    if "value" in entry:
        return _unpacked(entry["value"])
    space = {"__name__": "answer"}
    try:
        exec(compile(entry["code"], "<answer>", "exec"), space)
        return space[entry["call"]]
    except Exception as error:
        words = str(error).split("\n")[0]
        raise Hint(f"its code raised {type(error).__name__}: {words:.120}") from error


def _packed(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    if type(value) in (*PLAIN, float):
        return value
    if type(value) is list:
        return [_packed(one) for one in value]
    if type(value) is tuple:
        return {"tuple": [_packed(one) for one in value]}
    if type(value) is dict:
        return {"dict": [[_packed(k), _packed(v)] for k, v in value.items()]}
    if isinstance(value, np.ndarray | np.generic | Tensor):
        value = torch.as_tensor(value).detach().cpu()
        if value.numel() > LARGEST:
            raise Lost(f"it has more than {LARGEST:,} numbers")
        dtype = str(value.dtype).removeprefix("torch.")
        numbers = [_packed(one) for one in value.to_dense().flatten().tolist()]
        return {"tensor": numbers, "dtype": dtype, "shape": list(value.shape)}
    raise Lost(f"a {type(value).__name__} cannot be kept")


def _unpacked(value: Any) -> Any:
    if isinstance(value, list):
        return [_unpacked(one) for one in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"float"}:
        return float(value["float"])
    if set(value) == {"tuple"}:
        return tuple(_unpacked(value["tuple"]))
    if set(value) == {"dict"}:
        return {_unpacked(k): _unpacked(v) for k, v in value["dict"]}
    if set(value) == {"tensor", "dtype", "shape"}:
        dtype = getattr(torch, value["dtype"])
        numbers = torch.tensor(_unpacked(value["tensor"]), dtype=dtype)
        return numbers.reshape(value["shape"])
    raise ValueError(f"expected a kept value, got {', '.join(map(repr, value)):.60}.")
