"""A text as numbers: which words there are, how often, and what stands beside what."""

from collections import Counter
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mmdl_lib.borders import check_flags, check_number
from mmdl_lib.data.words import Words


@dataclass(frozen=True)
class Corpus:
    """Sentences in a row, each word by its number.

    Attributes:
        words: the vocabulary, most frequent first, equals in alphabetical order.
        count: how often each stands in `token`.
        token: numbers of words, one sentence after the other.
        sentence: for each token the number of its sentence; no window crosses one.
    """

    words: list[str]
    count: Int[Tensor, " v"]
    token: Int[Tensor, " n"]
    sentence: Int[Tensor, " n"]

    @classmethod
    def read(
        cls, sentences: Iterable[Sequence[str]], *, least: int = 1,
        without: Container[str] = (),
    ) -> "Corpus":  # fmt: skip
        """Number the words of a text.

        A word that is left out is taken from its sentence before any window is laid,
        as word2vec.c does: its neighbors move together.

        Args:
            sentences: lists of words.
            least: rarer words are left out.
            without: words that are left out, however frequent.

        Raises:
            ValueError: strings for lists of words, no word that is left, a bad `least`.
        """
        check_number("least", least, 1, whole=True)
        kept = list(sentences)
        if any(isinstance(one, str) for one in kept):
            raise ValueError("sentences expected lists of words, got a string.")
        often = Counter(word for one in kept for word in one if word not in without)
        words = sorted((w for w in often if often[w] >= least),
                       key=lambda w: (-often[w], w))  # fmt: skip
        if not words:
            raise ValueError(f"expected a word that occurs {least} times, got none.")
        place = {word: number for number, word in enumerate(words)}
        found = [
            (place[word], number)
            for number, one in enumerate(kept)
            for word in one
            if word in place
        ]
        token, sentence = torch.tensor(found).T.contiguous()
        return cls(words, token.bincount(minlength=len(words)), token, sentence)

    def __len__(self) -> int:
        return len(self.token)

    def only(self, kept: Bool[Tensor, " n"]) -> "Corpus":
        """The same vocabulary over some of the tokens, which are counted anew.

        Raises:
            ValueError: no flag for each token.
        """
        check_flags("kept", kept, self.token.shape)
        token = self.token[kept]
        count = token.bincount(minlength=len(self.words))
        return Corpus(self.words, count, token, self.sentence[kept])

    def table(self, value: Float[Tensor, "v *d"]) -> Words:
        """A row for each word, to be looked up by name.

        Raises:
            ValueError: another number of rows.
        """
        if len(value) != len(self.words):
            raise ValueError(f"expected {len(self.words)} rows, got {len(value)}.")
        return Words(self.words, value.detach())

    def beside(self, distance: int) -> Int[Tensor, " m"]:
        """Places whose word and the word `distance` later share a sentence."""
        n = max(len(self) - distance, 0)
        same = self.sentence[:n] == self.sentence[distance:][:n]
        return same.nonzero()[:, 0]

    def cooccurrences(self, window: int, *, near: bool = False) -> Float[Tensor, "v v"]:
        """X: how often a word (row) has another one (column) in its window.

        The table is dense: 5,000 words take 100 MB.

        Args:
            window: how many words to either side count.
            near: whether a neighbor counts 1 / distance, as GloVe has it, or 1.

        Raises:
            ValueError: no whole number of one or more.
        """
        check_number("window", window, 1, whole=True)
        v = len(self.words)
        found = torch.zeros(v * v)
        for distance in range(1, window + 1):
            i = self.beside(distance)
            cell = self.token[i] * v + self.token[i + distance]
            share = torch.full(cell.shape, 1 / distance if near else 1.0)
            found.index_add_(0, cell, share)
        found = found.view(v, v)
        return found + found.T
