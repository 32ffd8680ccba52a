"""Exercises of ResNet: blank fails, the solution passes, each mistake gets its hint."""

import pytest
import torch

from mmdl_lib.exercises import Hint, check, resnet


def block(x, residual, shortcut):
    return torch.relu(residual(x) + shortcut(x))


def cost(inputs, outputs, kernel, side, stride):
    return inputs * outputs * kernel * kernel * (side // stride) ** 2


def begin_as_identity(block):
    block.residual[2][1].weight.data.zero_()
    return block


def zero_of(*names):
    """The mistake that zeroes other tensors."""

    def change(block):
        for name, value in block.named_parameters():
            if name in names:
                value.data.zero_()
        return block

    return change


FIRST, LAST = "residual.0.1.weight", "residual.2.1.weight"


def test_the_solutions_pass():
    resnet.exercise_4(begin_as_identity)
    resnet.exercise_1(173_824)
    resnet.exercise_2(block)
    resnet.exercise_3(cost)


@pytest.mark.parametrize("name", ["resnet-1", "resnet-2", "resnet-3", "resnet-4"])
def test_blank_fails(name, capsys):
    assert not check(name, ...)
    assert "not answered" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("number", "mistake", "hint"),
    [
        (1, 172_032, "two parameters for each channel"),
        (1, 172_032 + 896, "a factor and an offset"),
        (1, 9 * 172_032 + 1792, "a projection is 1 x 1"),
        (1, 9 * 172_032, "without its norm"),
        (1, 0, "option A costs nothing"),
        (1, 5, "three places"),
        (2, lambda x, f, s: f(x) + s(x), "goes through a ReLU"),
        (2, lambda x, f, s: f(x).relu() + s(x), "after the addition"),
        (2, lambda x, f, s: (f(x).relu() + s(x)).relu(), "one ReLU after"),
        (2, lambda x, f, s: f(x).relu(), "plain block"),
        (2, lambda x, f, s: (f(x) + x).relu(), "may be a projection"),
        (2, lambda x, f, s: s(x).relu(), "residual is missing"),
        (2, lambda x, f, s: (s(x) - f(x)).relu(), "not subtracted"),
        (3, lambda *a: 2 * cost(*a), "count as one"),
        (3, lambda i, o, k, n, s: cost(i, o, k, n, 1), "fewer positions"),
        (3, lambda i, o, k, n, s: cost(i, o, k, n, s) * s, "both directions"),
        (3, lambda i, o, k, n, s: cost(i, o, k, n, s) / k, "kernel x kernel weights"),
        (3, lambda i, o, k, n, s: cost(i, o, 1, n, s), "kernel x kernel inputs"),
        (3, lambda i, o, k, n, s: cost(1, o, k, n, s), "all input channels"),
        (3, lambda i, o, k, n, s: cost(i, 1, k, n, s), "all output channels"),
        (3, lambda i, o, k, n, s: i * o * k * k, "number of weights"),
        (4, lambda block: block, "still changes its input"),
        (4, lambda block: block.residual, "still changes its input"),
        (4, lambda block: 0, "return the block, not a int"),
        (4, zero_of(LAST, FIRST), "leave the first one alone"),
        (4, zero_of(FIRST), "leave the first one alone"),
        (4, zero_of("residual.2.0.weight"), "first gradient explodes"),
        (4, zero_of(LAST, "residual.0.0.weight"), "first gradient explodes"),
        (
            4,
            lambda b: (zero_of(LAST)(b), b.residual[0][1].bias.data.fill_(1))[0],
            "one",
        ),
    ],
)
def test_each_mistake_gets_its_hint(number, mistake, hint):
    with pytest.raises(Hint, match=hint):
        getattr(resnet, f"exercise_{number}")(mistake)
