"""What the checkers of all chapters share: hints, calls, comparisons."""

import copy
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

ANY = float("nan")  # in what a mistake gives: the answer may hold any number there
UNKNOWN = "not right yet, and not one of the usual mistakes: try a small case by hand."


class Hint(Exception):
    """What to think about next; never the solution."""


def judge(
    answer: Any,
    right: Any,
    mistakes: Iterable[tuple[Any, str]],
    *,
    cases: Sequence[tuple] | None = None,
    near: float | int = 1e-4,
    otherwise: str = UNKNOWN,
) -> None:
    """Let a right answer pass; name the mistake that leads to a wrong one.

    An answer makes a mistake where it gives, in *every* case, what the mistake gives:
    one case alone can agree by chance. Shapes have to be equal, nothing broadcasts.

    Args:
        answer: the reader's value, or the reader's function where there are cases.
        right: a value or a function that is right.
        mistakes: pairs of a wrong value or function and its hint; the first that fits
            is named. `ANY` in what it gives fits every number.
        cases: inputs of the functions, or None where a value is asked for.
        near: the relative difference that is allowed; 0 for exact numbers.
        otherwise: the hint for a wrong answer that is none of the mistakes.

    Raises:
        Hint: the answer is wrong.
    """
    expected = [numbers(value, "numbers") for value in _values(right, cases)]
    found = _found(answer, cases, expected)
    if _same(found, expected, near):
        return
    for mistake, hint in mistakes:
        wrong = [numbers(value, "numbers") for value in _values(mistake, cases)]
        if _same(found, wrong, near):
            raise Hint(hint)
    for value, like in zip(found, expected, strict=True):
        if value.shape != like.shape:
            raise Hint(f"expected {_words(like)}, got shape {tuple(value.shape)}.")
        if not torch.isfinite(value).all():
            raise Hint("your value is not finite: look for a division or a log of 0.")
    raise Hint(otherwise)


def _values(given: Any, cases: Sequence[tuple] | None) -> list:
    return [given] if cases is None else [given(*copy.deepcopy(c)) for c in cases]


def _found(answer: Any, cases: Sequence[tuple] | None, expected: list) -> list[Tensor]:
    """The answer's values as numbers; one number may come in any shape."""
    raw = [answer] if cases is None else [call(answer, *case) for case in cases]
    found = [numbers(v, _words(e)) for v, e in zip(raw, expected, strict=True)]
    return [
        value.reshape(()) if like.ndim == 0 and value.numel() == 1 else value
        for value, like in zip(found, expected, strict=True)
    ]


def _words(like: Tensor) -> str:
    if like.ndim == 0:
        return "one number"
    if like.ndim == 1:
        return f"{len(like)} numbers"
    return f"numbers of shape {tuple(like.shape)}"


def numbers(value: Any, expected: str) -> Tensor:
    """Numbers of any type, also in lists or sparse, as float64.

    Raises:
        Hint: they are none.
    """
    try:
        if isinstance(value, list | tuple):
            return torch.stack([numbers(part, expected) for part in value])
        value = torch.as_tensor(float(value) if isinstance(value, int) else value)
        if value.is_complex():
            raise TypeError("an imaginary part would be lost")
        return value.detach().cpu().to_dense().double()
    except Hint:
        raise
    except Exception as error:
        raise Hint(f"expected {expected}, got {type(value).__name__}.") from error


def _same(found: list[Tensor], wanted: list[Tensor], near) -> bool:
    return all(
        value.shape == like.shape
        and torch.allclose(
            torch.where(like.isnan(), like, value),
            like,
            rtol=near,
            atol=min(near, 1e-5),
            equal_nan=True,
        )
        for value, like in zip(found, wanted, strict=True)
    )


def call(answer: Any, *inputs: Any) -> Any:
    """Call a reader's function on copies of the inputs, with gradients on.

    Raises:
        Hint: the answer is no function, raises an error, returns nothing, or changes
            what it was given.
    """
    if not callable(answer):
        raise Hint(f"expected a function, got {type(answer).__name__}.")
    with torch.enable_grad():
        copies = [_copy(x) for x in inputs]
        try:
            value = answer(*copies)
        except NotImplementedError as error:
            raise Hint("not answered yet.") from error
        except Exception as error:
            words = str(error).split("\n")[0] or "no message"
            raise Hint(
                f"your function raised {type(error).__name__}: {words:.120}"
            ) from error
    if value is None or value is ...:
        raise Hint("not answered yet: your function returns nothing.")
    for new, old in zip(copies, inputs, strict=True):
        if isinstance(new, Tensor) and not torch.equal(new, old):
            raise Hint("your function changes its input: use x = x / y, not x /= y.")
    return value


def _copy(value: Any) -> Any:
    # a copy of a tensor keeps the way of the gradient, a deep copy would not
    return value.clone() if isinstance(value, Tensor) else copy.deepcopy(value)
