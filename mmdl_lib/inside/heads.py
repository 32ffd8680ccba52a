"""Heads of attention: what each looks at, and what happens without it.

Source: prefix matching and the previous-token score are the two tests by which Olsson
et al. 2022 (arXiv 2209.11895) find the parts of an induction head.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

Head = tuple[int, int]  # layer and head, from zero


def previous_token(
    attention: Float[Tensor, "b layers heads t t"],
) -> Float[Tensor, "layers heads"]:
    """How much of its attention each head gives to the token before, on average."""
    return attention.diagonal(-1, -2, -1).mean((0, -1))


def prefix_matching(
    attention: Float[Tensor, "b layers heads t t"], tokens: Int[Tensor, "b t"]
) -> Float[Tensor, "layers heads"]:
    """How much goes to tokens that followed an earlier copy of the present one.

    The mean is over all places whose token has stood there before; in "a b c a" the
    last one should look at b.

    Raises:
        ValueError: no token comes twice.
    """
    same = (tokens[:, :, None] == tokens[:, None, :]).tril(-1)
    # the key behind each earlier copy
    behind = torch.zeros_like(same)
    behind[:, :, 1:] = same[:, :, :-1]
    asks = same.any(-1)
    if not asks.any():
        raise ValueError("tokens expected one that comes twice in a row, got none.")
    found = (attention * behind[:, None, None]).sum(-1)
    return (found * asks[:, None, None]).sum((0, -1)) / asks.sum()


@contextmanager
def without(model: nn.Module, heads: Collection[Head]) -> Iterator[None]:
    """Let some heads say nothing: what they would add is zero while this lasts.

    Args:
        model: has a `transformer` of this library, or is one.
        heads: pairs of layer and head, from zero.

    Raises:
        ValueError: a head that the model does not have.
    """
    blocks = getattr(model, "transformer", model).blocks
    for layer, head in heads:
        if not (0 <= layer < len(blocks)) or not 0 <= head < blocks[0].attention.heads:
            raise ValueError(
                f"expected heads from (0, 0) to ({len(blocks) - 1}, "
                f"{blocks[0].attention.heads - 1}), got ({layer}, {head})."
            )
    hooks = []
    for layer in {layer for layer, _ in heads}:
        gone = [head for other, head in heads if other == layer]
        attention = blocks[layer].attention
        hooks.append(attention.out.register_forward_pre_hook(_silence(attention, gone)))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _silence(attention: nn.Module, gone: list[int]) -> Callable:
    def hook(module, given):
        (x,) = given
        keep = x.new_ones(attention.heads)
        keep[gone] = 0
        return (x * keep.repeat_interleave(x.shape[-1] // attention.heads),)

    return hook


@torch.no_grad()
def importance(
    model: nn.Module, loss: Callable[[], float]
) -> Float[Tensor, "layers heads"]:
    """By how much a loss grows without each head alone.

    Args:
        model: as in `without`.
        loss: computes the loss of the model as it is.
    """
    blocks = getattr(model, "transformer", model).blocks
    whole, rows = loss(), []
    for layer, block in enumerate(blocks):
        row = []
        for head in range(block.attention.heads):
            with without(model, [(layer, head)]):
                row.append(loss() - whole)
        rows.append(row)
    return torch.tensor(rows)


def ranked(importance: Float[Tensor, "layers heads"]) -> list[Head]:
    """Heads, the least important first; equal ones in their order."""
    heads = importance.shape[1]
    order = importance.flatten().argsort(stable=True).tolist()
    return [divmod(i, heads) for i in order]
