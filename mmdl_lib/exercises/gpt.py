"""Exercises of the chapter on few examples, heads and cost (`sec-gpt`)."""

import torch
from torch import Tensor

from mmdl_lib.core import generator
from mmdl_lib.exercises import judge
from mmdl_lib.metrics import cost


def exercise_1(answer) -> None:
    """Predict: how many weights have the matrices of GPT-2 XL's blocks?

    It has 48 blocks of width 1600. Biases, norms and embeddings do not count.

    Raises:
        Hint: attention or MLP alone, one block, the width not squared, embeddings.
    """
    last = "not right: what are the sizes of the matrices in one block?"
    judge(answer, SOLUTIONS[1], MISTAKES[1], near=0, otherwise=last)


def exercise_2(answer) -> None:
    """Change the code: what a perfect induction head would say.

    Write `copied(tokens)` for one row of tokens (t,): at each place the token that
    followed the last earlier copy of the present one, and -1 where there is none.

    Raises:
        Hint: the first copy, the copy itself, the present place, a look ahead.
    """
    cases = [
        (torch.tensor([7, 3, 5, 7, 4, 7, 9, 3]),),
        (torch.randint(5, (14,), generator=generator(2)),),
        (torch.tensor([2, 2, 2, 1]),),
    ]
    last = "for 7 3 5 7 the last place should say 3: it followed the earlier 7."
    options = {"cases": cases, "near": 0, "otherwise": last}
    judge(answer, SOLUTIONS[2], MISTAKES[2], **options)


def exercise_3(answer) -> None:
    """Change the code: the nucleus of top-p sampling.

    Write `nucleus(logits, temperature, p)` for one step: probabilities (k,) of which
    the fewest stay that have at least `p` together, after the temperature.

    Raises:
        Hint: no temperature or a product, the crossing token lost, no new sum of one,
            the order changed.
    """
    logits = torch.tensor([0.3, 2.0, -1.0, 1.2, 1.0, -3.0])
    cases = [(logits, 1.0, 0.7), (logits, 0.5, 0.9), (logits, 2.0, 0.6)]
    judge(answer, SOLUTIONS[3], MISTAKES[3], cases=cases)


def exercise_4(answer) -> None:
    """Investigate: from weights and tokens to tonnes.

    Write `tonnes(weights, tokens, peak, utilization, watts, pue, intensity)`: tonnes of
    CO2 equivalents of a training. Peak is in operations a second for one GPU, watts are
    those of one GPU, the intensity is in grams a kWh.

    Raises:
        Hint: the PUE forgotten, 2 N D, kilograms or grams, seconds for hours, the
            utilization forgotten or on the wrong side.
    """
    cases = [
        (1.5e9, 4e10, 3e14, 0.4, 500.0, 1.2, 400.0),
        (1.7e11, 3e11, 1e15, 0.3, 700.0, 1.1, 56.0),
    ]
    judge(answer, SOLUTIONS[4], MISTAKES[4], cases=cases, near=1e-3)


def _copied(tokens: Tensor, *, pick=-1, everywhere=False, shift=1) -> Tensor:
    found = []
    for t in range(len(tokens)):
        known = len(tokens) if everywhere else t
        places = [s for s in range(known) if tokens[s] == tokens[t] and s != t]
        places = [s for s in places if s + shift < len(tokens)]
        found.append(int(tokens[places[pick] + shift]) if places else -1)
    return torch.tensor(found)


def _with_itself(tokens: Tensor) -> Tensor:
    # the copy is the token itself, and what follows it is the answer that is asked for
    return torch.cat([tokens[1:], torch.tensor([-1])])


def _nucleus(logits: Tensor, temperature: float, p: float, *, late=False) -> Tensor:
    share, order = (logits / temperature).softmax(-1).sort(descending=True)
    before = share.cumsum(-1) - share
    away = share.cumsum(-1) > p if late else before >= p
    kept = share.masked_fill(away, 0.0)
    return torch.zeros_like(share).scatter(0, order, kept / kept.sum().clamp(min=1e-9))


def _cold(logits: Tensor, temperature: float, p: float) -> Tensor:
    return _nucleus(logits, 1.0, p)


def _times(logits: Tensor, temperature: float, p: float) -> Tensor:
    return _nucleus(logits * temperature, 1.0, p)


def _short(logits: Tensor, temperature: float, p: float) -> Tensor:
    return _nucleus(logits, temperature, p, late=True)


def _whole(logits: Tensor, temperature: float, p: float) -> Tensor:
    share = (logits / temperature).softmax(-1)
    return share.masked_fill(_nucleus(logits, temperature, p) == 0, 0.0)


def _sorted(logits: Tensor, temperature: float, p: float) -> Tensor:
    return _nucleus(logits, temperature, p).sort(descending=True).values


def _tail(logits: Tensor, temperature: float, p: float) -> Tensor:
    share = (logits / temperature).softmax(-1)
    kept = share.masked_fill(share < p, 0.0)
    return kept / kept.sum().clamp(min=1e-9)


def _tonnes(weights, tokens, peak, utilization, watts, pue, intensity) -> float:
    flops = cost.language_flops(weights, tokens)
    hours = cost.device_hours(flops, peak=peak, utilization=utilization)
    return cost.co2_kg(cost.energy_kwh(watts, hours, pue=pue), intensity) / 1000


def _changed(factor):
    """A wrong answer that is off by a factor of what went in."""

    def tonnes(weights, tokens, peak, utilization, watts, pue, intensity):
        given = weights, tokens, peak, utilization, watts, pue, intensity
        return _tonnes(*given) * factor(utilization, pue)

    return tonnes


SOLUTIONS = {
    1: cost.block_weights(48, 1600),
    2: _copied,
    3: _nucleus,
    4: _tonnes,
}
MISTAKES = {
    1: [
        (4 * 48 * 1600**2, "that is attention alone: the MLP has matrices too."),
        (8 * 48 * 1600**2, "that is the MLP alone: attention has four matrices."),
        (12 * 1600**2, "that is one block of 48."),
        (12 * 48 * 1600, "the sides of a matrix are both of the width: square it."),
        (
            6 * 48 * 1600**2,
            "the MLP's inner width is four times the outer one: 8 d^2, not 2 d^2.",
        ),
        (1_557_611_200, "that is the whole model: leave out what is no matrix."),
        (1_542_000_000, "that is what the paper prints for the whole model."),
    ],
    2: [
        (
            lambda x: _copied(x, pick=0),
            "where a token came twice before, the last copy counts, not the first.",
        ),
        (
            lambda x: _copied(x, shift=0),
            "that is the copy itself: say what followed it.",
        ),
        (
            lambda x: _copied(x, shift=-1),
            "that is what stood before the copy: say what followed it.",
        ),
        (
            lambda x: _copied(x, everywhere=True),
            "a head cannot look ahead: only earlier copies count.",
        ),
        (_with_itself, "the present place is no copy of itself: look at earlier ones."),
        (
            lambda x: _copied(x).clamp(min=0),
            "where there is no copy, say -1: 0 is a token.",
        ),
    ],
    3: [
        (_cold, "divide the logits by the temperature first."),
        (_times, "divide by the temperature: a higher one makes more tokens stay."),
        (_short, "the token that crosses p stays too, or they have less than p."),
        (_whole, "what stays must sum to one again."),
        (_sorted, "give the probabilities in the order of the vocabulary."),
        (_tail, "p is a limit for the sum of those that stay, not for each."),
    ],
    4: [
        (_changed(lambda u, pue: 1 / pue), "the data center uses PUE times as much."),
        (
            _changed(lambda u, pue: 1 / 3),
            "6 N D: the backward pass costs two of these.",
        ),
        (_changed(lambda u, pue: 1000), "those are kilograms: a tonne has 1,000."),
        (_changed(lambda u, pue: 1e6), "those are grams: a tonne has a million."),
        (_changed(lambda u, pue: 3600), "an hour has 3,600 seconds."),
        (_changed(lambda u, pue: u), "a GPU does not reach its peak: divide by both."),
        (
            _changed(lambda u, pue: u * u),
            "the less of the peak is reached, the more hours it takes.",
        ),
    ],
}
