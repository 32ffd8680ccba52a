"""Exercises of the chapter on SimCLR (`sec-simclr`)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from mmdl_lib.core import generator
from mmdl_lib.exercises import call, compare, scalar


def exercise_1(answer) -> None:
    """Predict: what does a net that knows nothing pay?

    All 2N projections are the same vector. What is NT-Xent for N = 32 pictures, in
    nats, at temperature 0.1?

    Raises:
        Hint: own view counted, partner not counted, one view only, bits, or zero.
    """
    value = scalar(answer).double()
    wrong = [
        ("a view is not compared with itself: k != i.", math.log(64)),
        ("the partner stands in the denominator too.", math.log(62)),
        ("both views of each picture are candidates: 2N, not N.", math.log(32)),
        ("both views of the other pictures are candidates.", math.log(31)),
        ("that is in bits: the paper's log is the natural one.", math.log2(63)),
        (
            "the temperature cancels when all similarities are equal.",
            math.log(63) / 0.1,
        ),
        (
            "the temperature cancels when all similarities are equal.",
            0.1 * math.log(63),
        ),
        ("that is the share of the partner: take -log of it.", 1 / 63),
        ("agreeing with the partner is not enough: so do all strangers.", 0.0),
    ]
    pairs = [(hint, torch.tensor(v, dtype=torch.double)) for hint, v in wrong]
    # two decimals are enough
    compare(
        (value * 100).round() / 100,
        torch.tensor(round(math.log(63), 2), dtype=torch.double),
        [(hint, (v * 100).round() / 100) for hint, v in pairs],
    )


def exercise_2(answer) -> None:
    """Predict, then check: the limit of a small temperature.

    Write `limit(positive, negative)`: what tau * l_ij goes to when tau goes to 0, for
    the similarity of the partner, a number, and those of the strangers, (n,).

    Raises:
        Hint: below zero, a mean, a sum, the easiest stranger, the wrong sign, a margin.
    """
    g = generator(0)
    for partner in (0.9, 0.1, -0.6):
        positive = torch.tensor(partner)
        negative = torch.rand(6, generator=g) * 1.6 - 0.8
        gap = negative - positive
        right = F.relu(gap.max())
        wrong = [
            ("a loss of this kind is never below zero: when is it zero?", gap.max()),
            ("not the mean: which stranger is left when tau is tiny?", gap.mean()),
            ("not the mean: which stranger is left?", F.relu(gap).mean()),
            ("not the sum: which stranger is left?", F.relu(gap).sum()),
            ("the most similar stranger counts, not the least.", F.relu(gap.min())),
            (
                "the sign: it costs when a stranger is *more* similar.",
                F.relu(-gap.max()),
            ),
            (
                "the sign: it costs when a stranger is *more* similar.",
                F.relu((-gap).max()),
            ),
            ("there is no margin here.", F.relu(gap.max() + 1)),
            ("the partner's similarity is missing.", F.relu(negative.max())),
        ]
        # where a mistake changes nothing it is no mistake
        wrong = [(h, v) for h, v in wrong if not torch.allclose(v, right, atol=1e-4)]
        compare(scalar(call(answer, positive, negative)), right, wrong)


def exercise_3(answer) -> None:
    """Change the code: write the loss.

    Write `loss(first, second, temperature)`, NT-Xent of two (N, p) tensors.

    Raises:
        Hint: no normalization, no temperature or a product, the own view, one
            direction, strangers of the same view missing, the partner missing, a sum.
    """
    first, second = torch.randn(2, 5, 4, generator=generator(1))
    tau = 0.3

    def table(first: Tensor, second: Tensor, normal=True, scale=1 / tau) -> Tensor:
        z = torch.cat([first, second])
        z = F.normalize(z, dim=1) if normal else z
        return z @ z.T * scale

    def entropy(logits: Tensor) -> Tensor:
        return F.cross_entropy(logits, torch.arange(10).roll(5))

    own = torch.eye(10, dtype=torch.bool)
    partner = own.roll(5, 1)

    def masked(logits: Tensor) -> Tensor:
        return logits.masked_fill(own, -torch.inf)

    right_table = table(first, second)
    right = entropy(masked(right_table))
    one, two = F.normalize(first, dim=1), F.normalize(second, dim=1)
    cross, rows = one @ two.T / tau, torch.arange(5)
    both = (F.cross_entropy(cross, rows) + F.cross_entropy(cross.T, rows)) / 2
    below = right_table.masked_fill(own | partner, -torch.inf).logsumexp(1)
    wrong = [
        (
            "sim is the cosine: divide each vector by its length.",
            entropy(masked(table(first, second, normal=False))),
        ),
        (
            "divide by the temperature.",
            entropy(masked(table(first, second, scale=1))),
        ),
        (
            "divide by the temperature, do not multiply.",
            entropy(masked(table(first, second, scale=tau))),
        ),
        ("a view is not its own stranger: mask the diagonal.", entropy(right_table)),
        ("both views ask for their partner: 2N rows.", F.cross_entropy(cross, rows)),
        ("strangers seen in the *same* view count as well.", both),
        (
            "the partner stands in the denominator, too.",
            (below - right_table[partner]).mean(),
        ),
        ("take the mean over the 2N views, not the sum.", 10 * right),
        ("divide by 2N, not by N.", 2 * right),
        ("a loss is minimized: mind the sign.", -right),
    ]
    compare(scalar(call(answer, first, second, tau)), right, wrong)


def exercise_4(answer) -> None:
    """Change the code: write the local rate of LARS.

    Write `local_rate(w, gradient, trust, weight_decay)` for one matrix.

    Raises:
        Hint: upside down, squared norms, no decay, no trust, the norm of the largest
            entry, decay times one.
    """
    g = generator(2)
    w, gradient = torch.randn(2, 3, 4, generator=g)
    trust, decay = 0.02, 0.3
    size, slope = w.norm(), gradient.norm()
    right = trust * size / (slope + decay * size)
    wrong = [
        ("upside down: a long weight may take a long step.", trust * slope / size),
        ("upside down.", trust * (slope + decay * size) / size),
        ("weight decay is missing in the denominator.", trust * size / slope),
        ("decay acts on the length of the weight.", trust * size / (slope + decay)),
        ("the trust coefficient is missing.", size / (slope + decay * size)),
        (
            "lengths, not squared lengths.",
            trust * size**2 / (slope**2 + decay * size**2),
        ),
        (
            "that is the code's form, |g + decay w|; write the paper's.",
            trust * size / (gradient + decay * w).norm(),
        ),
        (
            "the length of the whole matrix, not of its rows.",
            (
                trust * w.norm(dim=1) / (gradient.norm(dim=1) + decay * w.norm(dim=1))
            ).mean(),
        ),
    ]
    compare(scalar(call(answer, w, gradient, trust, decay)), right, wrong)
