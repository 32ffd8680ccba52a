"""Exercises of the chapter on BERT, T5 and GPT (`sec-bert`)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mmdl_lib.core import generator
from mmdl_lib.exercises import judge
from mmdl_lib.models import t5

VOCAB = 100


def exercise_1(answer) -> None:
    """Predict: how many words does BERT not get to see?

    A text has 200 words. How many [MASK] tokens does BERT read in their place, on
    average over many draws?

    Raises:
        Hint: all chosen words, the replaced ones, the ones that stay, 80 % of all.
    """
    last = "not right: which share is chosen, and which share of these is masked?"
    judge(answer, SOLUTIONS[1], MISTAKES[1], near=0.06, otherwise=last)


def exercise_2(answer) -> None:
    """Change the code: the mask of a prefix model.

    Write `prefix_mask(n, prefix)`: a bool tensor (n, n), True where the token of the
    row may see the token of the column. The first `prefix` tokens see each other in
    both directions; each later token sees the prefix, those before it and itself.

    Raises:
        Hint: causal, full, rows and columns exchanged, the prefix cut off, no self.
    """
    last = "draw it for n = 4 and prefix = 2: who sees whom?"
    cases = [(5, 2), (6, 1), (4, 4)]
    judge(answer, SOLUTIONS[2], MISTAKES[2], cases=cases, otherwise=last)


def exercise_3(answer) -> None:
    """Change the code: the loss of the hidden words.

    Write `word_loss(logits, tokens, chosen)` for logits (b, t, k), the true tokens
    (b, t) and a bool mask of the chosen places: the mean over chosen places, in nats.

    Raises:
        Hint: all words, a mean before the mask, a mean over texts, a sum, no log.
    """
    g = generator(3)
    logits = 2 * torch.randn(3, 8, 7, generator=g)
    tokens = torch.randint(7, (3, 8), generator=g)
    chosen = torch.zeros(3, 8, dtype=torch.bool)
    for row, places in enumerate(([1, 4], [6], [0, 2, 3, 7])):
        chosen[row, places] = True
    judge(answer, SOLUTIONS[3], MISTAKES[3], cases=[(logits, tokens, chosen)])


def exercise_4(answer) -> None:
    """Change the code: T5's two texts, put together again.

    Write `put_back(inputs, targets)`: the text, a list of ids, that `t5.corrupt` made
    the two from. Ids from 90 up are sentinels, 1 is the end token.

    Raises:
        Hint: ends or sentinels left in, the wrong order, spans missing.
    """
    cases = []
    for seed in range(3):
        text = torch.randint(2, 80, (20,), generator=generator(seed)).tolist()
        g = generator(seed)
        cases.append(tuple(t5.corrupt(text, vocab=VOCAB, mean=1.5, generator=g)))
    last = "walk through the inputs; at a sentinel, write its span."
    judge(answer, SOLUTIONS[4], MISTAKES[4], cases=cases, otherwise=last)


def _prefix(n: int, prefix: int) -> Tensor:
    return t5.visible("prefix", n, prefix=prefix)


def _blind(n: int, prefix: int) -> Tensor:
    """Later tokens see only each other."""
    seen = _prefix(n, prefix).clone()
    seen[prefix:, :prefix] = False
    return seen


def _spied(n: int, prefix: int) -> Tensor:
    """The prefix sees all."""
    seen = _prefix(n, prefix).clone()
    seen[:prefix] = True
    return seen


def _each(logits: Tensor, tokens: Tensor) -> Tensor:
    return F.cross_entropy(logits.mT, tokens, reduction="none")


def _word_loss(logits: Tensor, tokens: Tensor, chosen: Tensor) -> Tensor:
    return _each(logits, tokens)[chosen].mean()


def _by_text(logits: Tensor, tokens: Tensor, chosen: Tensor) -> Tensor:
    each = _each(logits, tokens) * chosen
    return (each.sum(1) / chosen.sum(1)).mean()


def _is_sentinel(token: int) -> bool:
    return token >= 90


def _restored(inputs: list[int], targets: list[int]) -> list[int]:
    return t5.restore(list(inputs), list(targets), vocab=VOCAB)


def _with_sentinels(inputs: list[int], targets: list[int]) -> list[int]:
    spans = _spans(targets)
    found = []
    for token in inputs[:-1]:
        found += [token, *spans.get(token, [])]
    return found


def _spans(targets: list[int]) -> dict[int, list[int]]:
    spans, now = {}, None
    for token in targets[:-1]:
        if _is_sentinel(token):
            now = spans.setdefault(token, [])
        else:
            now.append(token)
    return spans


def _turned(inputs: list[int], targets: list[int]) -> list[int]:
    spans = _spans(targets)
    order = dict(zip(spans, list(spans.values())[::-1], strict=True))
    return [x for token in inputs[:-1] for x in order.get(token, [token])]


def _first_only(inputs: list[int], targets: list[int]) -> list[int]:
    spans = _spans(targets)
    return [x for token in inputs[:-1] for x in spans.get(token, [token])[:1]]


def _kept(inputs: list[int], targets: list[int]) -> list[int]:
    return [token for token in inputs[:-1] if not _is_sentinel(token)]


def _behind(inputs: list[int], targets: list[int]) -> list[int]:
    rest = [token for token in targets[:-1] if not _is_sentinel(token)]
    return _kept(inputs, targets) + rest


SOLUTIONS = {1: 24.0, 2: _prefix, 3: _word_loss, 4: _restored}
MISTAKES = {
    1: [
        (30.0, "30 words are chosen, and not all of them become [MASK]."),
        (27.0, "one chosen word in ten becomes another word, not [MASK]."),
        (3.0, "that is how many are replaced by a random word, or stay."),
        (6.0, "that is how many are chosen and not masked."),
        (160.0, "80 % of the chosen words, not of all."),
        (0.12, "that is a share: how many words of 200?"),
        (12.0, "that is the number for a hundred words."),
    ],
    2: [
        (lambda n, p: t5.visible("causal", n), "the prefix sees both sides of itself."),
        (lambda n, p: t5.visible("full", n), "no token sees what comes later."),
        (lambda n, p: _prefix(n, p).T, "rows see, columns are seen."),
        (_blind, "later tokens see the prefix, too."),
        (_spied, "the prefix does not see what comes after it."),
        (
            lambda n, p: _prefix(n, p) & ~torch.eye(n, dtype=torch.bool),
            "a token sees itself.",
        ),
    ],
    3: [
        (
            lambda x, y, c: _each(x, y).mean(),
            "only the chosen places count; a mean over all times a mask is no cure.",
        ),
        (
            lambda x, y, c: (_each(x, y) * c).mean(),
            "divide by the number of chosen places, not by that of all.",
        ),
        (_by_text, "each chosen place counts alike, whichever text it is in."),
        (lambda x, y, c: (_each(x, y) * c).sum(), "that is the sum: take the mean."),
        (lambda x, y, c: _each(x, y)[~c].mean(), "those are the places not chosen."),
        (
            lambda x, y, c: -x.take_along_dim(y[..., None], -1)[..., 0][c].mean(),
            "logits are no log-probabilities: log_softmax first.",
        ),
    ],
    4: [
        (
            lambda x, y: [*_restored(x, y), 1],
            "the end token is no part of the text.",
        ),
        (_with_sentinels, "a span takes the place of its sentinel."),
        (_turned, "the first sentinel has the first span."),
        (_first_only, "a span may have several tokens."),
        (_kept, "the spans are missing: they stand in the targets."),
        (_behind, "each span goes where its sentinel stands, not to the end."),
    ],
}
