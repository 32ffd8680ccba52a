"""Sequences that no weight can know: a random text twice, a rule made up for each row.

`repeated` asks whether a model can copy from its context, `examples` whether it can
find out a rule from a few examples. `recipes/gpt.py` and its chapter use both.
"""

from itertools import permutations
from typing import NamedTuple

import torch
from einops import rearrange, repeat
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mmdl_lib.borders import check_number
from mmdl_lib.core import generator

VOCAB, LONGEST, LENGTH = 32, 16, 24  # of repeated texts
SYMBOLS = 16  # on a circle; the answers are the two tokens after them


class Repeated(NamedTuple):
    """Random tokens that begin again.

    Attributes:
        tokens: (b, t).
        period: how many tokens until they begin again.
        copied: True where the token could be copied from the first time.
    """

    tokens: Int[Tensor, "b t"]
    period: Int[Tensor, "b 1"]
    copied: Bool[Tensor, "b t"]

    def batch(self) -> dict[str, Tensor]:
        """A batch in which only what could be copied counts."""
        real = torch.ones_like(self.copied)
        return {"tokens": self.tokens, "mask": real, "scored": self.copied}


def repeated(n: int, seed: int, *, periods: tuple[int, int] = (8, 16)) -> Repeated:
    """Rows of random tokens that begin again after a period, cut at 24 tokens.

    With one period for all rows the place of a token says where its copy stands; with
    several it does not.

    Args:
        n: how many rows.
        seed: of texts and periods.
        periods: the shortest and the longest, from 1 to 16.

    Raises:
        ValueError: periods out of this range, or no row.
    """
    check_number("n", n, 1, whole=True)
    least, most = periods
    check_number("the longest period", most, 1, LONGEST, whole=True)
    check_number("the shortest period", least, 1, most, whole=True)
    g = generator(seed)
    text = torch.randint(VOCAB, (n, LONGEST), generator=g)
    period = torch.randint(least, most + 1, (n, 1), generator=g)
    place = torch.arange(LENGTH)
    # the first token of the second time comes as a surprise
    return Repeated(text.gather(1, place % period), period, place > period)


class Examples(NamedTuple):
    """Symbols on a circle of 16; half of the circle answers A, the other half B.

    Attributes:
        symbol: (b, k), no symbol twice in a row.
        answer: 0 or 1: whether it lies in the half that begins at `rule`.
        rule: where that half begins, made up for each row.
    """

    symbol: Int[Tensor, "b k"]
    answer: Int[Tensor, "b k"]
    rule: Int[Tensor, "b 1"]

    def tokens(self) -> Int[Tensor, "b t"]:
        """Symbol, answer, symbol, answer, ...: the answers are tokens 16 and 17."""
        pairs = torch.stack([self.symbol, SYMBOLS + self.answer], -1)
        return rearrange(pairs, "b k two -> b (k two)")

    def batch(self) -> dict[str, Tensor]:
        """A batch in which only the answers count."""
        tokens = self.tokens()
        scored = (torch.arange(tokens.shape[1]) % 2 == 1).expand_as(tokens)
        return {
            "tokens": tokens,
            "mask": torch.ones_like(scored),
            "scored": scored,
        }


def answers(rule: Tensor, symbol: Tensor) -> Tensor:
    """1 on the eight symbols from `rule` on, around the circle, and 0 elsewhere.

    Both are whole numbers, of shapes that fit each other.
    """
    return ((symbol - rule) % SYMBOLS < SYMBOLS // 2).long()


def examples(n: int, seed: int, *, shots: int = 8) -> Examples:
    """Rows of `shots` examples, each with a rule of its own.

    Raises:
        ValueError: no row, or more than the 16 symbols.
    """
    check_number("n", n, 1, whole=True)
    check_number("shots", shots, 1, SYMBOLS, whole=True)
    g = generator(seed)
    rule = torch.randint(SYMBOLS, (n, 1), generator=g)
    symbol = torch.rand(n, SYMBOLS, generator=g).argsort(1)[:, :shots]
    return Examples(symbol, answers(rule, symbol), rule)


def ideal(symbol: Tensor, answer: Tensor, asked: Tensor) -> Float[Tensor, "b q"]:
    """Probability of answer 1 for one who knows the game and sees the examples.

    All rules that fit the examples are equally likely; their order plays no part.

    Args:
        symbol, answer: (b, k) examples; none of them makes every rule possible.
        asked: (b, q) symbols to be answered.
    """
    rules = torch.arange(SYMBOLS)[:, None, None]
    fits = (answers(rules, symbol) == answer).all(-1).double()
    says = answers(rules, asked).double()
    return (fits[..., None] * says).sum(0) / fits.sum(0)[:, None]


def in_all_orders(shown: Examples) -> Int[Tensor, "orders b k 2"]:
    """The same examples in each order; symbol and answer stay together."""
    pairs = torch.stack([shown.symbol, shown.answer], -1)
    orders = torch.tensor(list(permutations(range(pairs.shape[1]))))
    return rearrange(pairs[:, orders], "b orders k two -> orders b k two")


@torch.no_grad()
def answered(
    model, pairs: Int[Tensor, "b k 2"], asked: Int[Tensor, "b q"]
) -> Float[Tensor, "b q"]:
    """A model's log-odds of answer 1 for each symbol asked after the same examples."""
    said = pairs.clone()
    said[..., 1] += SYMBOLS
    said = repeat(said, "b k two -> (b q) (k two)", q=asked.shape[1])
    tokens = torch.cat([said, rearrange(asked, "b q -> (b q) 1")], 1)
    logits = model.logits(tokens)[:, -1, SYMBOLS:]
    return rearrange(logits[:, 1] - logits[:, 0], "(b q) -> b q", b=len(asked))
