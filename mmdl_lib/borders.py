"""Checks at the border, shared by the metrics: one clear sentence each."""

from collections.abc import Sequence

import torch
from torch import Tensor


def check_same_length(**named) -> None:
    """Check that two named sequences hold the same number of items, at least one.

    Raises:
        ValueError: none, or another number.
    """
    (one, first), (two, second) = named.items()
    if len(first) != len(second):
        raise ValueError(
            f"expected as many {one} as {two}, got {len(first)} and {len(second)}."
        )
    if len(first) == 0:
        raise ValueError(f"expected at least one of {one} and {two}, got none.")


def check_finite(name: str, values: Tensor) -> None:
    """Check that there is neither NaN nor infinity.

    Raises:
        ValueError: there is.
    """
    bad = int((~torch.isfinite(values)).sum())
    if bad:
        raise ValueError(
            f"expected finite numbers as {name}, got {bad} NaN or infinite."
        )


def check_scores(name: str, scores: Tensor, label: Tensor | Sequence) -> None:
    """Check a table of scores, one row for each item and one column for each class.

    Args:
        name: what the scores are called.
        scores: (b, k), floating point, finite.
        label: one for each row.

    Raises:
        ValueError: another shape or type, no row, NaN or infinity.
    """
    if scores.ndim != 2 or not scores.is_floating_point():
        raise ValueError(
            f"expected {name} as floats of shape (b, k), got {scores.dtype} of shape "
            f"{tuple(scores.shape)}."
        )
    check_same_length(**{f"rows of {name}": scores, "labels": label})
    check_finite(name, scores)


def check_labels(name: str, label: Tensor, classes: int | None = None) -> None:
    """Check class numbers.

    Args:
        name: what they are called.
        label: (b,), integer.
        classes: how many classes there are, if that is known.

    Raises:
        ValueError: another shape or type, a number below 0 or above classes - 1.
    """
    kinds = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)
    if label.ndim != 1 or label.dtype not in (*kinds, torch.bool):
        raise ValueError(
            f"expected {name} as integers of shape (b,), got {label.dtype} of shape "
            f"{tuple(label.shape)}."
        )
    if label.numel() == 0:
        return
    low, high = int(label.min()), int(label.max())
    if low < 0 or (classes is not None and high >= classes):
        top = "" if classes is None else f" to {classes - 1}"
        raise ValueError(f"expected {name} from 0{top or ' up'}, got {low} to {high}.")


def check_texts(name: str, texts) -> None:
    """Check a list of texts: a bare string would be cut into letters.

    Raises:
        ValueError: not a list, or something in it that is no string.
    """
    if isinstance(texts, str) or not isinstance(texts, Sequence):
        raise ValueError(f"expected {name} as a list of strings, got {texts!r:.60}.")
    for text in texts:
        if not isinstance(text, str):
            raise ValueError(f"expected a string in {name}, got {type(text).__name__}.")


def check_references(candidates, references) -> None:
    """Check texts to be judged and, for each, a list of at least one reference.

    Raises:
        ValueError: other types, other lengths, none at all, no reference for one.
    """
    check_texts("candidates", candidates)
    if isinstance(references, str) or not isinstance(references, Sequence):
        raise ValueError(
            "expected references as a list of lists of strings, got "
            f"{references!r:.60}."
        )
    check_same_length(candidates=candidates, **{"lists of references": references})
    for i, texts in enumerate(references):
        check_texts(f"references {i}", texts)
        if len(texts) == 0:
            raise ValueError(f"expected a reference for candidate {i}, got none.")
