"""Exercises of the chapter on VAE, VQ-VAE and VQGAN (`sec-vae`)."""

from collections.abc import Callable

import torch
from torch import Tensor

from mmdl_lib.core import generator
from mmdl_lib.exercises import judge


def exercise_1(answer) -> None:
    """Predict: which beta do two means amount to?

    A loss takes the mean of the squared error over the 3 x 32 x 32 numbers of a picture
    and the mean of the KL over 64 units. Up to its scale it is the sum of squared
    errors plus beta times the sum of the KL. Which beta?

    Raises:
        Hint: one of the two means forgotten, a product, the other way round.
    """
    last = "not right: multiply the loss by the number of pixels, and compare."
    judge(answer, SOLUTIONS[1], MISTAKES[1], near=1e-6, otherwise=last)


def exercise_2(answer) -> None:
    """Change the code: the KL to any Gaussian.

    Write `kl(mean, log_var, other_mean, other_log_var)`: the KL from the diagonal
    Gaussian of the first two to that of the last two, all (b, j), in nats, (b,).

    Raises:
        Hint: the other direction, a mean, a lost half, deviations for variances.
    """
    cases = []
    for b, j, seed in ((3, 2, 0), (1, 4, 1), (5, 1, 2)):
        values = torch.randn(4, b, j, generator=generator(seed))
        cases.append(tuple(values))
    judge(answer, SOLUTIONS[2], MISTAKES[2], cases=cases)


def exercise_3(answer) -> None:
    """Change the code: both pulls between vectors and codes, each on its own side.

    Write `pull(z, q, beta)` for vectors and their codes (n, d): the sum of two mean
    squared distances, of which one moves the codes with weight 1 and the other moves
    the vectors with weight beta.

    Raises:
        Hint: beta on the wrong side, no stop at all, one pull only, sums.
    """
    cases = []
    for n, d, beta, seed in ((4, 3, 0.25, 0), (2, 5, 0.5, 1), (6, 2, 2.0, 2)):
        z, q = torch.randn(2, n, d, generator=generator(seed))
        cases.append((z, q, beta))
    judge(answer, SOLUTIONS[3], MISTAKES[3][:1], cases=cases)
    # from here on the value is right, and only the gradients can tell
    mistakes = [(_felt(wrong), hint) for wrong, hint in MISTAKES[3]]
    judge(_felt(answer), _felt(SOLUTIONS[3]), mistakes, cases=cases)


def _felt(answer: Callable) -> Callable:
    """A loss as what vectors and codes feel of it, side by side."""

    def felt(z: Tensor, q: Tensor, beta: float) -> Tensor:
        z, q = (x.detach().clone().requires_grad_() for x in (z, q))
        loss = answer(z, q, beta)
        if not isinstance(loss, Tensor) or not loss.requires_grad:
            return torch.zeros(2, *z.shape)
        grads = torch.autograd.grad(loss.sum(), (z, q), allow_unused=True)
        grads = [torch.zeros_like(z) if g is None else g for g in grads]
        return torch.stack(grads).detach()

    return felt


def _kl(mean, log_var, other_mean, other_log_var):
    ratio = (log_var - other_log_var).exp()
    far = (mean - other_mean).square() * (-other_log_var).exp()
    return 0.5 * (ratio + far - 1 + other_log_var - log_var).sum(1)


def _other_way(mean, log_var, other_mean, other_log_var):
    return _kl(other_mean, other_log_var, mean, log_var)


def _mean(mean, log_var, other_mean, other_log_var):
    return _kl(mean, log_var, other_mean, other_log_var) / mean.shape[1]


def _no_half(mean, log_var, other_mean, other_log_var):
    return 2 * _kl(mean, log_var, other_mean, other_log_var)


def _deviations(mean, log_var, other_mean, other_log_var):
    return _kl(mean, 2 * log_var, other_mean, 2 * other_log_var)


def _to_the_prior(mean, log_var, other_mean, other_log_var):
    return 0.5 * (mean.square() + log_var.exp() - 1 - log_var).sum(1)


def _pull(z, q, beta):
    codes = (z.detach() - q).square().mean()
    return codes + beta * (z - q.detach()).square().mean()


def _wrong_side(z, q, beta):
    return beta * (z.detach() - q).square().mean() + (z - q.detach()).square().mean()


def _no_stop(z, q, beta):
    return (1 + beta) * (z - q).square().mean()


def _codes_only(z, q, beta):
    return (1 + beta) * (z.detach() - q).square().mean()


def _vectors_only(z, q, beta):
    return (1 + beta) * (z - q.detach()).square().mean()


def _sums(z, q, beta):
    return _pull(z, q, beta) * z.numel()


def _no_gradient(z, q, beta):
    return (1 + beta) * (z - q).detach().square().mean()


SOLUTIONS = {1: 48, 2: _kl, 3: _pull}
MISTAKES = {
    1: [
        (3072, "that would be a mean beside a sum: the KL is a mean, too."),
        (64, "that is the number of units: what does the mean over pixels do?"),
        (1024, "a picture has three channels."),
        (16, "a picture has three channels."),
        (1 / 48, "the other way round: which term was made smaller by more?"),
        (1, "two means over different numbers of things do not cancel."),
        (196608, "one mean makes beta larger, the other one smaller."),
    ],
    2: [
        (_other_way, "that is the KL in the other direction."),
        (_mean, "sum over the units, in nats."),
        (_no_half, "every term has one half in front."),
        (_deviations, "log_var is the log of the variance: exp gives the variance."),
        (_to_the_prior, "that is the KL to N(0, 1): the other Gaussian counts."),
    ],
    3: [
        (_sums, "means, not sums."),
        (_wrong_side, "same value, other gradients: beta belongs to the vectors."),
        (_no_stop, "without a stop each term moves both sides."),
        (_codes_only, "both terms move the codes: who moves the vectors?"),
        (_vectors_only, "both terms move the vectors: who moves the codes?"),
        (
            _no_gradient,
            "the value is right, but it has no gradient: detach one side of each term.",
        ),
    ],
}
