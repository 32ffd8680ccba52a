"""Checks at the border, one set for the whole library, one clear sentence each.

Whoever takes something from a reader checks it here, once, where it enters; inside, it
is trusted. Each check says "NAME expected ..., got ..." and returns nothing.

Flags and masks are `bool` and nothing else. Zeros and ones as integers, bytes of 0 and
255 and probabilities mean different things to `~`, `sum` and indexing, so all of them
are refused: `x.bool()` or `x > 0.5` at the caller says what is meant.

A check of values reads them from an accelerator once. Where there are none to read - on
meta, under `vmap`, while a program is exported or compiled - only shape and type count.
"""

import math
from collections.abc import Collection, Sequence
from numbers import Integral, Real

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor

INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)


def _readable(values: Tensor) -> bool:
    """Whether there are numbers that may be read."""
    return not (
        values.numel() == 0
        or values.is_meta
        or isinstance(values, FakeTensor)
        or torch.compiler.is_compiling()
        or torch._C._functorch.is_functorch_wrapped_tensor(values)
    )


def _kind(value) -> str:
    """What something is, in few words."""
    if isinstance(value, Tensor):
        kind = str(value.dtype).removeprefix("torch.")
        return f"{kind} of shape {tuple(value.shape)}"
    return f"{type(value).__name__} {' '.join(repr(value).split()):.60}"


def _require_tensor(name: str, value) -> None:
    if not isinstance(value, Tensor):
        raise ValueError(f"{name} expected a tensor, got {_kind(value)}.")


def check_same_length(**named) -> None:
    """Check that two named sequences hold the same number of items, at least one.

    Raises:
        ValueError: none, another number, or something that has no length.
    """
    (one, first), (two, second) = named.items()
    for name, items in named.items():
        if not hasattr(items, "__len__") or getattr(items, "ndim", 1) == 0:
            raise ValueError(f"{name} expected several, got {_kind(items)}.")
    if len(first) != len(second):
        raise ValueError(
            f"{one} expected as many as {two}, got {len(first)} and {len(second)}."
        )
    if len(first) == 0:
        raise ValueError(f"{one} and {two} expected at least one, got none.")


def check_finite(name: str, values: Tensor) -> None:
    """Check that there is neither NaN nor infinity.

    Raises:
        ValueError: there is, or flags are given for numbers.
    """
    _require_tensor(name, values)
    if values.dtype == torch.bool:
        raise ValueError(f"{name} expected finite numbers, got {_kind(values)}.")
    if not _readable(values):
        return
    bad = int((~torch.isfinite(values)).sum())
    if bad:
        raise ValueError(f"{name} expected finite numbers, got {bad} NaN or infinite.")


def check_numbers(name: str, values: Tensor, shape: str = "n") -> None:
    """Check a tensor of finite floats.

    Args:
        name: what they are called.
        values: the numbers.
        shape: its axes in words, such as "n d"; only their number is checked.

    Raises:
        ValueError: another number of axes, integers, NaN or infinity.
    """
    _require_tensor(name, values)
    axes = shape.split()
    if values.ndim != len(axes) or not values.is_floating_point():
        words = ", ".join(axes) + ("," if len(axes) == 1 else "")
        raise ValueError(
            f"{name} expected floats of shape ({words}), got {_kind(values)}."
        )
    check_finite(name, values)


def check_scores(name: str, scores: Tensor, label: Tensor | Sequence) -> None:
    """Check a table of scores, one row for each item and one column for each class.

    Args:
        name: what the scores are called.
        scores: (b, k), floating point, finite.
        label: one for each row.

    Raises:
        ValueError: another shape or type, no row, NaN or infinity.
    """
    _require_tensor(name, scores)
    if scores.ndim != 2 or not scores.is_floating_point():
        raise ValueError(
            f"{name} expected floats of shape (b, k), got {_kind(scores)}."
        )
    check_same_length(**{f"rows of {name}": scores, "labels": label})
    check_finite(name, scores)


def check_logits(name: str, values: Tensor) -> None:
    """Check a table of scores before softmax.

    Args:
        name: what they are called.
        values: (b, k) floats, finite.

    Raises:
        ValueError: another shape or type, NaN or infinity, or rows from 0 to 1 that sum
            to 1: a softmax of them would be a softmax of probabilities.
    """
    check_numbers(name, values, "b k")
    if not _readable(values) or values.shape[1] < 2:
        return
    off = (values.double().sum(1) - 1).abs().max()
    # 1e-2 leaves room for half precision
    if (values >= 0).all() and off < 1e-2:
        raise ValueError(f"{name} expected scores before softmax, got probabilities.")


def check_integers(
    name: str, values: Tensor, low: int | None = 0, high: int | None = None
) -> None:
    """Check whole numbers of any shape; true and false count as 1 and 0.

    Args:
        name: what they are called.
        values: the numbers.
        low: the least that is allowed, None for any.
        high: the largest that is allowed, None for any.

    Raises:
        ValueError: another type, or a number out of range.
    """
    _require_tensor(name, values)
    if values.dtype not in (*INTEGERS, torch.bool):
        raise ValueError(f"{name} expected integers, got {_kind(values)}.")
    if not _readable(values) or low is high is None:
        return
    # both ends in one transfer; `aminmax` knows no bool
    least, most = torch.stack(values.to(torch.int64).aminmax()).tolist()
    if (low is not None and least < low) or (high is not None and most > high):
        allowed = f"numbers from {low}" + (" up" if high is None else f" to {high}")
        raise ValueError(f"{name} expected {allowed}, got {least} to {most}.")


def check_labels(name: str, label: Tensor, classes: int | None = None) -> None:
    """Check class numbers, one for each item.

    Args:
        name: what they are called.
        label: (b,), integer.
        classes: how many classes there are, if that is known.

    Raises:
        ValueError: another shape or type, a number below 0 or above classes - 1.
    """
    _require_tensor(name, label)
    if label.ndim != 1 or label.dtype not in (*INTEGERS, torch.bool):
        raise ValueError(f"{name} expected integers of shape (b,), got {_kind(label)}.")
    check_integers(name, label, 0, None if classes is None else classes - 1)


def check_flags(name: str, flags: Tensor, shape: Sequence[int] | None = None) -> None:
    """Check flags or a mask: true or false each, and nothing that is nearly so.

    Args:
        name: what they are called.
        flags: bool.
        shape: the shape that they must have, if that is known.

    Raises:
        ValueError: another type or shape.
    """
    _require_tensor(name, flags)
    if flags.dtype != torch.bool:
        raise ValueError(
            f"{name} expected bool, got {_kind(flags)}: say .bool() or > 0.5."
        )
    if shape is not None and tuple(flags.shape) != tuple(shape):
        raise ValueError(
            f"{name} expected shape {tuple(shape)}, got {tuple(flags.shape)}."
        )


def check_some(name: str, flags: Tensor, *, each: bool = False) -> None:
    """A mean of nothing would be 0 / 0: one flag has to be true, or one of each row.

    Raises:
        ValueError: none is, or none in some row.
    """
    check_flags(name, flags)
    some = flags.flatten(1).any(1) if each else flags.any()
    if flags.numel() == 0 or _readable(flags) and not some.all():
        where = " in each row" if each else ""
        raise ValueError(f"{name} expected at least one True{where}, got none.")


def check_mask(
    mask: Tensor, *, name: str = "mask", shape: Sequence[int] | None = None
) -> None:
    """Check a mask of tokens: in each row some that are real, then only padding.

    Args:
        mask: (b, t) bool, True = real.
        name: what it is called.
        shape: the shape that it must have, that of the tokens.

    Raises:
        ValueError: another type or shape, a row of padding only, padding on the left,
            or a hole.
    """
    check_flags(name, mask, shape)
    if mask.ndim != 2:
        raise ValueError(f"{name} expected shape (b, t), got {tuple(mask.shape)}.")
    if mask.shape[1] == 0 and len(mask):
        raise ValueError(f"{name} expected a real token in each row, got none.")
    if not _readable(mask):
        return
    # a real token behind padding
    late = (mask[:, 1:] & ~mask[:, :-1]).any(1).sum()
    empty, late = torch.stack([(~mask.any(1)).sum(), late]).tolist()
    if empty:
        raise ValueError(
            f"{name} expected a real token in each row, got {empty} of padding only."
        )
    if late:
        raise ValueError(
            f"{name} expected real tokens first and padding after them, got {late} "
            "rows with padding on the left or in between."
        )


def check_image(image: Tensor, *, name: str = "image") -> None:
    """Check a batch of pictures.

    Args:
        image: (b, c, h, w), floating point, pixels in [-1, 1].
        name: what it is called.

    Raises:
        ValueError: another number of axes, an integer type, or values out of range.
    """
    _require_tensor(name, image)
    if image.ndim != 4 or not image.is_floating_point():
        raise ValueError(
            f"{name} expected pictures as floats of shape (b, c, h, w), got "
            f"{_kind(image)}."
        )
    if not _readable(image):
        return
    low, high = torch.stack(image.detach().aminmax()).tolist()
    # `not` also catches NaN; 1e-3 leaves room for half precision and resizing
    if not (low >= -1.001 and high <= 1.001):
        raise ValueError(
            f"{name} expected pixels in [-1, 1], got values from {low:.3g} to "
            f"{high:.3g}."
        )


def check_items(name: str, items, kind: type, *, least: int = 1) -> None:
    """Check a list of things of one kind.

    Raises:
        ValueError: no list, such as a bare string; too few; something of another kind.
    """
    what = "strings" if kind is str else kind.__name__
    if isinstance(items, str | kind) or not isinstance(items, Sequence):
        raise ValueError(f"{name} expected a list of {what}, got {_kind(items)}.")
    for item in items:
        if not isinstance(item, kind):
            raise ValueError(
                f"{name} expected a list of {what}, got {_kind(item)} in it."
            )
    if len(items) < least:
        raise ValueError(f"{name} expected at least {least}, got {len(items)}.")


def check_texts(name: str, texts, *, least: int = 1) -> None:
    """Check a list of texts: a bare string would be cut into letters.

    Raises:
        ValueError: as `check_items`.
    """
    check_items(name, texts, str, least=least)


def check_text(name: str, text) -> None:
    """Check a single text; a ValueError for all else."""
    if not isinstance(text, str):
        raise ValueError(f"{name} expected a string, got {_kind(text)}.")


def check_references(candidates, references) -> None:
    """Check texts to be judged and, for each, a list of at least one reference.

    Raises:
        ValueError: other types, other lengths, none at all, no reference for one.
    """
    check_texts("candidates", candidates, least=0)
    _check_list_of_lists(references)
    check_same_length(candidates=candidates, **{"lists of references": references})
    check_reference_lists(references)


def check_reference_lists(references) -> None:
    """As `check_references`, where nothing is judged by them yet."""
    _check_list_of_lists(references)
    if len(references) == 0:
        raise ValueError("lists of references expected at least one, got none.")
    for i, texts in enumerate(references):
        check_texts(f"references {i}", texts)


def _check_list_of_lists(references) -> None:
    if isinstance(references, str) or not isinstance(references, Sequence):
        raise ValueError(
            f"references expected a list of lists of strings, got {_kind(references)}."
        )


def check_choice(name: str, value, choices: Collection) -> None:
    """Check one of a few names.

    Raises:
        ValueError: another one.

    Example:
        >>> check_choice("average", "Macro", ("macro", "micro"))
        Traceback (most recent call last):
        ValueError: average expected one of 'macro', 'micro', got 'Macro'.
    """
    # a list is in no set, and 1 == True
    if not any(type(value) is type(choice) and value == choice for choice in choices):
        known = ", ".join(map(repr, choices))
        raise ValueError(f"{name} expected one of {known}, got {value!r:.60}.")


def check_number(
    name: str,
    value,
    low: float | int = -math.inf,
    high: float | int = math.inf,
    *,
    whole: bool = False,
    above: float | int | None = None,
) -> None:
    """Check a single finite number; both ends belong to what is allowed.

    Args:
        name: what it is called.
        value: the number.
        low: the least that is allowed.
        high: the largest that is allowed.
        whole: only whole numbers are allowed.
        above: it must be larger than this.

    Raises:
        ValueError: no number, true or false, NaN, infinity, out of range.

    Example:
        >>> check_number("k", 0, 1, whole=True)
        Traceback (most recent call last):
        ValueError: k expected a whole number from 1 up, got 0.
    """
    good = isinstance(value, Integral if whole else Real)
    good = good and not isinstance(value, bool) and math.isfinite(value)
    if good and low <= value <= high and (above is None or value > above):
        return
    limits = [] if above is None else [f"above {above}"]
    limits += [f"from {low}"] if low > -math.inf else []
    limits += [f"to {high}"] if high < math.inf else []
    limits += ["up"] if low > -math.inf and high == math.inf else []
    words = " ".join(["a whole number" if whole else "a number", *limits])
    raise ValueError(f"{name} expected {words}, got {value!r:.60}.")
