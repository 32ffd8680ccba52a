"""Exercises of the chapter on the Vision Transformer (`sec-vit`)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mmdl_lib.core import generator
from mmdl_lib.exercises import Hint, call, compare, scalar
from mmdl_lib.models import vit


def exercise_1(answer) -> None:
    """Predict: how long is the sequence?

    How many tokens enter the first block of ViT-B/16 when it is fine-tuned on pictures
    of 384 x 384 pixels?

    Raises:
        Hint: no class token, another resolution, one side only, pixels, the patch.
    """
    value = scalar(answer).item()
    if value == 577:
        return
    wrong = {
        576: "the class token is a token too.",
        197: "that is the length at 224 pixels, where the model was pre-trained.",
        196: "that is 224 pixels, and without the class token.",
        24: "that is one side of the grid: patches have a row and a column.",
        25: "that is one side of the grid and a class token.",
        145: "that is B/32: the number after the slash is the patch's side.",
        9217: "that is patches of 4 pixels: the 16 is a side, not an area.",
        384**2: "those are pixels, not patches.",
    }
    if value in wrong:
        raise Hint(wrong[value])
    raise Hint("not right: how many squares of 16 pixels cover the picture?")


def exercise_2(answer) -> None:
    """Change the code: where does the quadratic part take over?

    Write `multiply_adds(n, d)`: the cost of one block with n tokens of width d, as a
    pair: first all that multiplies by weights, then the two products of attention,
    queries with keys and weights with values. Biases, norms and softmax do not count.

    Raises:
        Hint: two operations each, parts forgotten, attention counted once.
    """
    for n, d in ((197, 768), (65, 48)):
        pair = call(answer, n, d)
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise Hint("return two numbers: weights first, then attention.")
        weights, attention = (scalar(part).item() for part in pair)
        right, quadratic = 12 * n * d * d, 2 * n * n * d
        if (weights, attention) == (2 * right, 2 * quadratic):
            raise Hint("a multiply and an add count as one here.")
        if (weights, attention) == (quadratic, right):
            raise Hint("the other way round: weights first.")
        hints = {
            right // n: "that is the number of weights: each token meets them all.",
            8 * n * d * d: "that is the MLP alone: attention has four matrices too.",
            4 * n * d * d: "those are the matrices of attention: add the MLP.",
            11 * n * d * d: "attention ends in a matrix of its own, U_msa.",
            6 * n * d * d: "the hidden layer of the MLP is four times as wide.",
        }
        if weights in hints:
            raise Hint(hints[weights])
        if weights != right:
            raise Hint("the first number is not right: count the six d x d parts.")
        hints = {
            n * n * d: "there are two products: with the keys and with the values.",
            2 * n * n: "each score is a sum over the width.",
            2 * n * d: "each token looks at all n tokens.",
        }
        if attention in hints:
            raise Hint(hints[attention])
        if attention != quadratic:
            raise Hint("the second number is not right: which shape have the scores?")


def exercise_3(answer) -> None:
    """Change the code: positions for another resolution.

    Write `stretch(table, old, new)`: position embeddings (1 + h * w, d), class token
    first, of the grid `old = (h, w)`, for the grid `new`; bicubic, as in the chapter.

    Raises:
        Hint: a class token lost or mixed in, one axis only, rows and columns swapped.
    """
    table = torch.randn(1 + 3 * 4, 5, generator=generator(0))
    old, new = (3, 4), (6, 10)
    first, rest = table[:1], table[1:]
    right = torch.cat([first, vit.interpolate(rest, old, new)])
    found = call(answer, table, old, new)
    if isinstance(found, Tensor) and found.shape == (60, 5):
        raise Hint("the class token has a position too: keep it, unchanged, in front.")
    _shape(found, (61, 5))
    line = F.interpolate(rest.T[None], 60, mode="linear")[0].T
    every = F.interpolate(table.T[None], 61, mode="linear")[0].T
    swapped = vit.interpolate(rest, (4, 3), (10, 6))
    turned = vit.interpolate(rest, old, (10, 6))
    smooth = rest.T.reshape(1, 5, 3, 4)
    linear = F.interpolate(smooth, new, mode="bilinear")[0].flatten(1).T
    corners = F.interpolate(smooth, new, mode="bicubic", align_corners=True)[0]
    wrong = [
        ("positions lie in a grid: interpolate in two directions.", line),
        ("the first row is the class token: leave it as it is.", every),
        ("h comes before w: rows first.", swapped),
        ("the new grid has new[0] rows, not new[1].", turned),
        ("bicubic, not bilinear: the chapter's model does so.", linear),
        ("without align_corners: a patch has a width.", corners.flatten(1).T),
    ]
    pairs = [
        (hint, value if len(value) == 61 else torch.cat([first, value]))
        for hint, value in wrong
    ]
    pairs += [
        ("keep the class token's vector.", right * (torch.arange(61) > 0)[:, None])
    ]
    compare(found, right, pairs)


def exercise_4(answer) -> None:
    """Investigate: attention rollout.

    Write `rollout(attention)` for weights (layers, heads, n, n) of one picture: which
    share has each first token (column) in each last token (row)? Half of every layer is
    the residual connection.

    Raises:
        Hint: no residual, the wrong order, the last layer only, no mean over heads.
    """
    g = generator(1)
    attention = (3 * torch.randn(3, 2, 4, 4, generator=g)).softmax(-1)
    right = vit.rollout(attention[None])[0]
    mean, eye = attention.mean(1), torch.eye(4)
    half = [0.5 * layer + 0.5 * eye for layer in mean]
    added = [layer + eye for layer in mean]
    largest = [0.5 * layer + 0.5 * eye for layer in attention.amax(1)]
    wrong = [
        ("add the residual connection: half an identity.", mean[2] @ mean[1] @ mean[0]),
        (
            "the last layer is applied last: it stands on the left.",
            half[0] @ half[1] @ half[2],
        ),
        ("multiply the matrices of all layers.", half[2]),
        ("multiply the matrices; their sum is no path.", sum(half) / 3),
        ("multiply as matrices, with @.", half[2] * half[1] * half[0]),
        (
            "take a half of each, so that rows sum to one.",
            added[2] @ added[1] @ added[0],
        ),
        ("take the mean over heads.", largest[2] @ largest[1] @ largest[0]),
        ("rows and columns are exchanged.", right.T),
    ]
    found = call(answer, attention)
    _shape(found, (4, 4))
    compare(found, right, wrong)


def _shape(found, expected: tuple[int, ...]) -> None:
    if not isinstance(found, Tensor) or found.shape != expected:
        got = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise Hint(f"expected a tensor of shape {expected}, got {got}.")
