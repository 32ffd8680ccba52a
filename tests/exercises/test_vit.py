"""Exercises of ViT: blank fails, the solution passes, each mistake gets its hint."""

import pytest
import torch
import torch.nn.functional as F

from mmdl_lib.exercises import Hint, check, vit
from mmdl_lib.models.vit import interpolate


def cost(n, d):
    return 12 * n * d**2, 2 * n**2 * d


def stretch(table, old, new):
    return torch.cat([table[:1], interpolate(table[1:], old, new)])


def rollout(attention, mix=lambda layer: (layer + torch.eye(4)) / 2):
    total = torch.eye(4)
    for layer in attention:
        total = mix(layer.mean(0)) @ total
    return total


def reverse(attention):
    return rollout(attention.flip(0))


def in_a_line(table, old, new):
    rest = F.interpolate(table[1:].T[None], new[0] * new[1], mode="linear")
    return torch.cat([table[:1], rest[0].T])


def whole_table(table, old, new):
    return F.interpolate(table.T[None], 1 + new[0] * new[1], mode="linear")[0].T


def in_the_grid(table, old, new, **options):
    field = table[1:].T.reshape(1, 5, *old)
    field = F.interpolate(field, new, **options)[0].flatten(1)
    return torch.cat([table[:1], field.T])


def largest(attention):
    return rollout(attention.amax(1, keepdim=True))


def half(layer):
    return (layer.mean(0) + torch.eye(4)) / 2


def test_the_solutions_pass():
    vit.exercise_1(577)
    vit.exercise_2(cost)
    vit.exercise_3(stretch)
    vit.exercise_4(rollout)


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_blank_fails(number, capsys):
    assert not check(f"vit-{number}", ...)
    assert "not answered" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("number", "mistake", "hint"),
    [
        (1, 576, "a token too"),
        (1, 197, "at 224 pixels, where"),
        (1, 196, "without the class token"),
        (1, 24, "one side of the grid: "),
        (1, 25, "one side of the grid and"),
        (1, 145, "B/32"),
        (1, 9217, "not an area"),
        (1, 384**2, "those are pixels"),
        (1, 3, "how many squares"),
        (2, lambda n, d: 12 * n * d**2, "two numbers"),
        (2, lambda n, d: (24 * n * d**2, 4 * n * n * d), "count as one"),
        (2, lambda n, d: cost(n, d)[::-1], "other way round"),
        (2, lambda n, d: (12 * d**2, 2 * n * n * d), "number of weights"),
        (2, lambda n, d: (8 * n * d**2, 2 * n * n * d), "the MLP alone"),
        (2, lambda n, d: (4 * n * d**2, 2 * n * n * d), "add the MLP"),
        (2, lambda n, d: (11 * n * d**2, 2 * n * n * d), "U_msa"),
        (2, lambda n, d: (6 * n * d**2, 2 * n * n * d), "four times as wide"),
        (2, lambda n, d: (5 * n * d**2, 2 * n * n * d), "the first number"),
        (2, lambda n, d: (12 * n * d**2, n * n * d), "two products"),
        (2, lambda n, d: (12 * n * d**2, 2 * n * n), "sum over the width"),
        (2, lambda n, d: (12 * n * d**2, 2 * n * d), "all n tokens"),
        (2, lambda n, d: (12 * n * d**2, 3 * n * n * d), "the second number"),
        (3, lambda t, old, new: interpolate(t[1:], old, new), "class token has a"),
        (3, lambda t, old, new: t, "a tensor of shape"),
        (3, in_a_line, "interpolate in two directions"),
        (3, whole_table, "first row is the class token"),
        (3, lambda t, o, n: stretch(t, o[::-1], n[::-1]), "h comes before w"),
        (3, lambda t, o, n: stretch(t, o, n[::-1]), r"new\[0\] rows"),
        (3, lambda *a: in_the_grid(*a, mode="bilinear"), "not bilinear"),
        (
            3,
            lambda *a: in_the_grid(*a, mode="bicubic", align_corners=True),
            "without align_corners",
        ),
        (3, lambda t, o, n: stretch(t * (t != t[:1]), o, n), "keep the class token"),
        (4, lambda a: rollout(a, lambda x: x), "residual connection"),
        (4, reverse, "stands on the left"),
        (4, lambda a: half(a[2]), "all layers"),
        (4, lambda a: sum(map(half, a)) / 3, "no path"),
        (4, lambda a: half(a[0]) * half(a[1]) * half(a[2]), "with @"),
        (4, lambda a: rollout(a, lambda x: x + torch.eye(4)), "rows sum to one"),
        (4, largest, "mean over heads"),
        (4, lambda a: rollout(a).T, "rows and columns"),
        (4, lambda a: rollout(a)[0], "a tensor of shape"),
    ],
)
def test_each_mistake_gets_its_hint(number, mistake, hint):
    with pytest.raises(Hint, match=hint):
        getattr(vit, f"exercise_{number}")(mistake)
