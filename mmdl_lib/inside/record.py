"""What a model computes on the way: the output of any module inside it, by name."""

import difflib
from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def record(model: nn.Module, *names: str) -> Iterator[dict[str, list]]:
    """Keep the outputs of modules inside a model while it runs.

    Args:
        model: any module.
        names: dotted names as in `model.named_modules()`, such as "vision.stages.1".

    Yields:
        For each name a list of what the module returned, in order, one item for each
        time that it ran. Outputs are kept as they are, with their gradients' way back.

    Raises:
        ValueError: no name, or one that the model does not have.

    Example:
        >>> import torch
        >>> model = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
        >>> with record(model, "0") as seen:
        ...     _ = model(torch.zeros(2, 3))
        >>> [out.shape for out in seen["0"]]
        [torch.Size([2, 4])]
    """
    known = dict(model.named_modules())
    del known[""]  # the model itself: its output is in the caller's hand
    if not names:
        raise ValueError("expected the name of at least one module, got none.")
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3, cutoff=0.0)
            raise ValueError(
                f"expected names of modules of {type(model).__name__}, such as "
                f"{', '.join(near) or 'none: it has no parts'}, got {name!r}."
            )
    seen = {name: [] for name in names}
    hooks = [
        known[name].register_forward_hook(
            lambda module, given, out, kept=kept: kept.append(out)
        )
        for name, kept in seen.items()
    ]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()
