"""What the checkers of all chapters share: hints, calls, comparisons."""

import torch
from torch import Tensor


class Hint(Exception):
    """What to think about next; never the solution."""


def call(answer, *inputs):
    """Call a reader's function on copies of the inputs, with gradients on.

    Raises:
        Hint: the answer is no function, raises an error, returns nothing, or changes
            what it was given.
    """
    if not callable(answer):
        raise Hint(f"expected a function, got {type(answer).__name__}.")
    copies = [x.clone() if isinstance(x, Tensor) else x for x in inputs]
    before = [x.clone() if isinstance(x, Tensor) else x for x in copies]
    try:
        with torch.enable_grad():
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
    for new, old in zip(copies, before, strict=True):
        if isinstance(new, Tensor) and not torch.equal(new, old):
            raise Hint("your function changes its input: use x = x / y, not x /= y.")
    return value


def scalar(value) -> Tensor:
    """The answer as a tensor without axes.

    Raises:
        Hint: it is no number, or more than one.
    """
    try:
        value = torch.as_tensor(value)
    except Exception as error:
        raise Hint(f"expected one number, got {type(value).__name__}.") from error
    if value.numel() != 1:
        raise Hint(f"expected one number, got shape {tuple(value.shape)}.")
    return value.reshape(())


def compare(value: Tensor, right: Tensor, wrong: list[tuple[str, Tensor]]) -> None:
    """Let a right value pass; name the mistake that leads to a wrong one.

    Args:
        value: the answer.
        right: what it should be, of the same shape.
        wrong: pairs of a hint and the value that its mistake gives; the first that
            fits is named.

    Raises:
        Hint: the value is wrong.
    """
    value = value.detach().to(right.dtype)
    if torch.allclose(value, right, rtol=1e-4, atol=1e-5):
        return
    for hint, mistaken in wrong:
        if torch.allclose(value, mistaken, rtol=1e-4, atol=1e-5):
            raise Hint(hint)
    if not torch.isfinite(value).all():
        raise Hint(
            "your value is not finite: look for a division by zero or a log of 0."
        )
    raise Hint(
        "not right yet, and not one of the usual mistakes: try two pairs by hand."
    )
