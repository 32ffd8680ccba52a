"""Exercises of the chapter on the Vision Transformer (`sec-vit`)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mmdl_lib.core import generator
from mmdl_lib.exercises import ANY, judge
from mmdl_lib.models import vit


def exercise_1(answer) -> None:
    """Predict: how long is the sequence?

    How many tokens enter the first block of ViT-B/16 when it is fine-tuned on pictures
    of 384 x 384 pixels?

    Raises:
        Hint: no class token, another resolution, one side only, pixels, the patch.
    """
    last = "not right: how many squares of 16 pixels cover the picture?"
    judge(answer, SOLUTIONS[1], MISTAKES[1], near=0, otherwise=last)


def exercise_2(answer) -> None:
    """Change the code: one head of attention by hand.

    Write `attend(q, k, v)` for the queries (n, d), keys (m, d) and values (m, e) of one
    head: the mixtures (n, e). The weights of each query sum to one.

    Raises:
        Hint: no scale or a wrong one, the other axis, queries for keys, no softmax, the
            weights alone.
    """
    cases = []
    for n, m, d, e in ((3, 5, 4, 2), (4, 4, 9, 4)):
        g = generator(n)
        q, k, v = (torch.randn(size, generator=g) for size in ((n, d), (m, d), (m, e)))
        cases.append((2 * q, 2 * k, v))
    last = "softmax(q k^T / sqrt(d)) v: scores, weights, mixture, one after the other."
    judge(answer, SOLUTIONS[2], MISTAKES[2], cases=cases, otherwise=last)


def exercise_3(answer) -> None:
    """Change the code: positions for another resolution.

    Write `stretch(table, old, new)`: position embeddings (1 + h * w, d), class token
    first, of the grid `old = (h, w)`, for the grid `new`; bicubic, as in the chapter.

    Raises:
        Hint: a class token lost or mixed in, one axis only, rows and columns swapped.
    """
    table = torch.randn(1 + 3 * 4, 5, generator=generator(0))
    judge(answer, SOLUTIONS[3], MISTAKES[3], cases=[(table, (3, 4), (6, 10))])


def exercise_4(answer) -> None:
    """Investigate: attention rollout.

    Write `rollout(attention)` for weights (layers, heads, n, n) of one picture: which
    share has each first token (column) in each last token (row)? Half of every layer is
    the residual connection.

    Raises:
        Hint: no residual, the wrong order, the last layer only, no mean over heads.
    """
    attention = 3 * torch.randn(3, 2, 4, 4, generator=generator(1))
    judge(answer, SOLUTIONS[4], MISTAKES[4], cases=[(attention.softmax(-1),)])


def _attend(q: Tensor, k: Tensor, v: Tensor, scale=None, axis: int = -1) -> Tensor:
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    return (scale * q @ k.T).softmax(axis) @ v


def _unscaled(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return _attend(q, k, v, 1.0)


def _too_small(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return _attend(q, k, v, 1 / q.shape[-1])


def _by_keys(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return _attend(q, k, v, axis=0)


def _scores(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return q @ k.T / q.shape[-1] ** 0.5 @ v


def _late(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (q @ k.T).softmax(-1) / q.shape[-1] ** 0.5 @ v


def _by_values(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return _attend(q, k, v, v.shape[-1] ** -0.5)


def _asked(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (
        _attend(k, q, v) if len(q) == len(k) else torch.full((len(q), len(v[0])), ANY)
    )


def _weights(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (q @ k.T / q.shape[-1] ** 0.5).softmax(-1)


def _stretch(table: Tensor, old: tuple, new: tuple) -> Tensor:
    return torch.cat([table[:1], vit.interpolate(table[1:], old, new)])


def _in_a_line(table: Tensor, old: tuple, new: tuple) -> Tensor:
    rest = F.interpolate(table[1:].T[None], new[0] * new[1], mode="linear")
    return torch.cat([table[:1], rest[0].T])


def _whole_table(table: Tensor, old: tuple, new: tuple) -> Tensor:
    return F.interpolate(table.T[None], 1 + new[0] * new[1], mode="linear")[0].T


def _in_the_grid(mode: str, **options):
    def stretch(table: Tensor, old: tuple, new: tuple) -> Tensor:
        field = table[1:].T.reshape(1, -1, *old)
        field = F.interpolate(field, new, mode=mode, **options)[0].flatten(1)
        return torch.cat([table[:1], field.T])

    return stretch


def _no_token(table: Tensor, old: tuple, new: tuple) -> Tensor:
    return torch.full((new[0] * new[1], table.shape[1]), ANY)


def _lost_token(table: Tensor, old: tuple, new: tuple) -> Tensor:
    return torch.cat([torch.zeros_like(table[:1]), _stretch(table, old, new)[1:]])


def _half(layer: Tensor) -> Tensor:
    return (layer + torch.eye(len(layer))) / 2


def _rollout(attention: Tensor, mix=_half) -> Tensor:
    total = torch.eye(attention.shape[-1])
    for layer in attention:
        total = mix(layer.mean(0)) @ total
    return total


def _product(attention: Tensor) -> Tensor:
    total = torch.ones(attention.shape[-2:])
    for layer in attention:
        total = total * _half(layer.mean(0))
    return total


SOLUTIONS = {1: 577, 2: _attend, 3: _stretch, 4: lambda a: vit.rollout(a[None])[0]}
MISTAKES = {
    1: [
        (576, "the class token is a token too."),
        (197, "that is the length at 224 pixels, where the model was pre-trained."),
        (196, "that is 224 pixels, and without the class token."),
        (24, "that is one side of the grid: patches have a row and a column."),
        (25, "that is one side of the grid and a class token."),
        (145, "that is B/32: the number after the slash is the patch's side."),
        (9217, "that is patches of 4 pixels: the 16 is a side, not an area."),
        (384**2, "those are pixels, not patches."),
    ],
    2: [
        (_unscaled, "divide the scores by the square root of d."),
        (_too_small, "divide by the square root of d, not by d."),
        (_by_keys, "each query shares one among the keys: softmax over the last axis."),
        (_scores, "scores are no weights yet: softmax before you mix."),
        (_late, "scale the scores before the softmax, not the weights after it."),
        (_by_values, "d is the width of queries and keys, not that of the values."),
        (_asked, "queries ask: rows belong to queries, columns to keys."),
        (_weights, "those are the weights: mix the values with them."),
    ],
    3: [
        (
            _no_token,
            "the class token has a position too: keep it, unchanged, in front.",
        ),
        (_in_a_line, "positions lie in a grid: interpolate in two directions."),
        (_whole_table, "the first row is the class token: leave it as it is."),
        (
            lambda t, old, new: _stretch(t, old[::-1], new[::-1]),
            "h comes before w: rows first.",
        ),
        (
            lambda t, old, new: _stretch(t, old, new[::-1]),
            "the new grid has new[0] rows, not new[1].",
        ),
        (
            _in_the_grid("bilinear"),
            "bicubic, not bilinear: the chapter's model does so.",
        ),
        (
            _in_the_grid("bicubic", align_corners=True),
            "without align_corners: a patch has a width.",
        ),
        (_lost_token, "keep the class token's vector."),
        (
            lambda t, old, new: t,
            "expected numbers of shape (61, 5), got shape (13, 5).",
        ),
    ],
    4: [
        (
            lambda a: _rollout(a, lambda x: x),
            "add the residual connection: half an identity.",
        ),
        (
            lambda a: _rollout(a.flip(0)),
            "the last layer is applied last: it stands on the left.",
        ),
        (lambda a: _half(a[-1].mean(0)), "multiply the matrices of all layers."),
        (
            lambda a: torch.stack([_half(x.mean(0)) for x in a]).mean(0),
            "multiply the matrices; their sum is no path.",
        ),
        (_product, "multiply as matrices, with @."),
        (
            lambda a: _rollout(a, lambda x: 2 * _half(x)),
            "take a half of each, so that rows sum to one.",
        ),
        (
            lambda a: _rollout(a.amax(1, keepdim=True)),
            "take the mean over heads.",
        ),
        (lambda a: _rollout(a).T, "rows and columns are exchanged."),
    ],
}
