"""The first trainable neurons: Hebb, Oja, perceptron, ADALINE and MADALINE.

**Paper** Hebb, "The Organization of Behavior", 1949. Rosenblatt, "The Perceptron",
Psychological Review 1958, doi 10.1037/h0042519. Widrow and Hoff, "Adaptive Switching
Circuits", IRE WESCON 1960. Oja, "A Simplified Neuron Model as a Principal Component
Analyzer", Journal of Mathematical Biology 1982, doi 10.1007/BF00275687.

**Book** `sec-history`

**Symbols**
- `x (d,)` = x, one input; a constant 1 in it serves as the threshold
- `weight (d,)` = w; `y` = w x, the output before any threshold
- `target` = d, +1 or -1, what a teacher wants
- `rate` = eta for Hebb and Oja, mu for LMS

**Start**
- The perceptron starts at zero, ADALINE at a normal of 0.1 with a threshold of zero;
  MADALINE and Oja's unit start where the caller says.

**Differs from the paper**
- Hebb wrote no formula. Ours is the usual reading: a product of the two activities.
- Rosenblatt's perceptron had a fixed random layer below the trained unit; here it sees
  the input itself.
- MADALINE is Rule I with three or more units and a majority vote. A unit that is picked
  is corrected in full (alpha = 1).

**Builds on** nothing.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from mmdl_lib.core import Config, Model


def hebb(
    inputs: Float[Tensor, "t d"], weight: Float[Tensor, " d"], *, rate: float
) -> Float[Tensor, "t d"]:
    """The weights after each input: what fires together, wires together."""
    path = []
    for x in inputs:
        y = weight @ x
        # Hebb: delta w = eta x y
        weight = weight + rate * x * y
        path.append(weight)
    return torch.stack(path)


def oja(
    inputs: Float[Tensor, "t d"], weight: Float[Tensor, " d"], *, rate: float
) -> Float[Tensor, "t d"]:
    """The weights after each input: Hebb's rule with a leak that bounds them."""
    path = []
    for x in inputs:
        y = weight @ x
        # Oja 1982: delta w = eta (x y - y^2 w)
        weight = weight + rate * (x * y - y**2 * weight)
        path.append(weight)
    return torch.stack(path)


def with_threshold(inputs: Float[Tensor, "n d"]) -> Float[Tensor, "n d1"]:
    """The inputs and a constant 1 behind them, whose weight is the threshold."""
    return F.pad(inputs, (0, 1), value=1.0)


class Learned(NamedTuple):
    """Weights, and the number of mistakes in each pass over the examples."""

    weight: Tensor
    mistakes: list[int]


def perceptron(
    inputs: Float[Tensor, "n d"], target: Float[Tensor, " n"], *, epochs: int
) -> Learned:
    """Rosenblatt's rule from zero weights, until a pass without mistakes.

    Args:
        inputs: examples, shown in order.
        target: +1 or -1 for each.
        epochs: passes after which it gives up.

    Raises:
        ValueError: a target other than +1 and -1.
    """
    _check_signs(target)
    weight, mistakes = torch.zeros_like(inputs[0]), []
    for _ in range(epochs):
        wrong = 0
        for x, d in zip(inputs, target, strict=True):
            if d * (weight @ x) <= 0:
                # Rosenblatt: w = w + d x, only after a mistake
                weight = weight + d * x
                wrong += 1
        mistakes.append(wrong)
        if wrong == 0:
            break
    return Learned(weight, mistakes)


def mistake_bound(
    inputs: Float[Tensor, "n d"],
    target: Float[Tensor, " n"],
    separator: Float[Tensor, " d"],
) -> float:
    """Most mistakes that a perceptron can make, (R / gamma)^2 (Novikoff 1962).

    R is the length of the longest input, gamma the distance of the nearest one from the
    plane of a separator that makes no mistake; any will do.

    Raises:
        ValueError: the separator makes a mistake, so there is no bound.
    """
    margin = (target * (inputs @ separator)).min() / separator.norm()
    if margin <= 0:
        raise ValueError(
            f"expected a separator without mistakes, got a margin of {margin:.3g}."
        )
    return ((inputs.norm(dim=1).max() / margin) ** 2).item()


def delay_line(
    stream: Float[Tensor, " t"], taps: int
) -> tuple[Float[Tensor, "n taps"], Float[Tensor, " n"]]:
    """Inputs of the last `taps` values, newest first, and the value that follows each.

    Raises:
        ValueError: a stream that is not longer than the line.
    """
    if len(stream) <= taps:
        raise ValueError(f"expected more than {taps} values, got {len(stream)}.")
    return stream.unfold(0, taps, 1)[:-1].flip(1), stream[taps:]


def lms(
    inputs: Float[Tensor, "t d"],
    target: Float[Tensor, " t"],
    weight: Float[Tensor, " d"],
    *,
    rate: float,
) -> tuple[Float[Tensor, "t d"], Float[Tensor, " t"]]:
    """Widrow and Hoff's rule: the weights after each input, and the error before it."""
    path, errors = [], []
    for x, d in zip(inputs, target, strict=True):
        error = d - weight @ x
        # Widrow and Hoff 1960: w = w + 2 mu e x, where e = d - w x
        weight = weight + 2 * rate * error * x
        path.append(weight)
        errors.append(error)
    return torch.stack(path), torch.stack(errors)


def wiener(
    inputs: Float[Tensor, "t d"], target: Float[Tensor, " t"]
) -> Float[Tensor, " d"]:
    """The weights of least squared error, which LMS approaches: R w = p.

    R is the mean of x x^T and p the mean of d x. Where several weights are best, such
    as with an input that never changes, these are the shortest.
    """
    x, d = inputs.double(), target.double()
    r, p = x.T @ x / len(x), x.T @ d / len(x)
    return (torch.linalg.pinv(r, hermitian=True) @ p).to(inputs.dtype)


@dataclass(frozen=True, kw_only=True)
class AdalineConfig(Config):
    """One unit; by default for patterns of 4 x 4 black and white squares."""

    inputs: int = 16


class Adaline(Model):
    """A linear unit that learns before its threshold and answers behind it.

    Example:
        >>> unit = Adaline.from_preset("tiny")
        >>> unit(Adaline.example_batch(unit.config, 2)["inputs"]).shape
        torch.Size([2])
    """

    PRESETS = {"tiny": AdalineConfig(inputs=64), "switches": AdalineConfig()}

    def __init__(self, config: AdalineConfig):
        super().__init__(config)
        self.weight = nn.Parameter(0.1 * torch.randn(config.inputs))
        self.threshold = nn.Parameter(torch.zeros(()))

    def forward(self, inputs: Float[Tensor, "b d"]) -> Float[Tensor, " b"]:
        """Outputs before the threshold element.

        Raises:
            ValueError: another number of inputs.
        """
        if inputs.shape[1] != self.config.inputs:
            raise ValueError(
                f"Adaline expected {self.config.inputs} inputs, got {inputs.shape[1]}."
            )
        return inputs @ self.weight + self.threshold

    def decide(self, inputs: Float[Tensor, "b d"]) -> Float[Tensor, " b"]:
        """+1 or -1; errors as in `forward`."""
        return sign(self(inputs))

    def loss(self, batch: dict, *, phase="main", generator=None) -> dict[str, Tensor]:
        """Mean squared error before the threshold; its gradient step is LMS."""
        return {"loss": F.mse_loss(self(batch["inputs"]), batch["target"])}

    @classmethod
    def example_batch(cls, config: AdalineConfig, n: int, *, generator=None) -> dict:
        """Random switches, +1 or -1, and targets of the same kind."""
        inputs = torch.randint(2, (n, config.inputs), generator=generator)
        target = torch.randint(2, (n,), generator=generator)
        return {"inputs": 2.0 * inputs - 1, "target": 2.0 * target - 1}


def sign(y: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """The threshold element: +1 from zero on, else -1."""
    return torch.where(y >= 0, 1.0, -1.0)


def vote(
    weight: Float[Tensor, "units d"], inputs: Float[Tensor, "n d"]
) -> Float[Tensor, " n"]:
    """MADALINE's answer: what most of its units say; an odd number of them."""
    return sign(sign(inputs @ weight.T).sum(1))


def madaline(
    inputs: Float[Tensor, "n d"],
    target: Float[Tensor, " n"],
    weight: Float[Tensor, "units d"],
    *,
    epochs: int,
) -> Learned:
    """Rule I: when the vote is wrong, turn the units that are easiest to turn.

    Args:
        inputs: examples, shown in order.
        target: +1 or -1 for each.
        weight: the start, an odd number of units; equal ones would stay equal.
        epochs: passes after which it gives up.

    Raises:
        ValueError: an even number of units, a target other than +1 and -1.
    """
    _check_signs(target)
    if len(weight) % 2 == 0:
        raise ValueError(f"expected an odd number of units, got {len(weight)}.")
    weight, mistakes = weight.clone(), []
    for _ in range(epochs):
        wrong = 0
        for x, d in zip(inputs, target, strict=True):
            y = weight @ x
            against = (d * sign(y) < 0).nonzero()[:, 0]
            needed = len(against) - len(weight) // 2
            if needed <= 0:
                continue
            wrong += 1
            # least disturbance: those whose output is nearest to zero
            easiest = against[y[against].abs().argsort()[:needed]]
            # alpha-LMS with alpha = 1: afterwards their output is d
            weight[easiest] += (d - y[easiest])[:, None] * x / (x @ x)
        mistakes.append(wrong)
        if wrong == 0:
            break
    return Learned(weight, mistakes)


def _check_signs(target: Tensor) -> None:
    if not bool((target.abs() == 1).all()):
        raise ValueError(
            f"expected targets of +1 and -1, got {sorted(set(target.tolist()))[:4]}."
        )
