"""Words: real vectors, and what people say about words. Nothing is fetched.

- `glove`: the 30,000 most frequent words of GloVe 6B in 50 dimensions (Pennington,
  Socher and Manning 2014; PDDL 1.0), kept as float16.
- `concreteness`: the Glasgow norms (Scott et al. 2019; CC BY 4.0), 4,682 words.
- `senses`: the Lancaster sensorimotor norms (Lynott et al. 2020; CC BY 4.0), 39,707
  words and expressions, six senses each.

The two files beside this one are written by `tools/words_data.py`. GloVe was trained on
newswire and an encyclopedia of 2014 and before, unfiltered: it knows its slurs and
prejudices.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from mmdl_lib.borders import check_number, check_numbers, check_texts

HERE = Path(__file__).parent
GLOVE_WORDS = 30_000
SENSES = ("visual", "auditory", "haptic", "interoceptive", "gustatory", "olfactory")


@dataclass(frozen=True)
class Words:
    """Words and what is known about each; row i belongs to `words[i]`.

    Attributes:
        words: each once, in the order of the source.
        value: one row a word.
    """

    words: list[str]
    value: Float[Tensor, "n ..."]

    @cached_property
    def index(self) -> dict[str, int]:
        """The row of each word."""
        return {word: row for row, word in enumerate(self.words)}

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self.index

    def __getitem__(self, word: str | Sequence[str]) -> Float[Tensor, "*nd"]:
        """The row of a word, or the rows of several.

        Raises:
            KeyError: a word that is not here; the sentence names it.
        """
        if isinstance(word, str) or not isinstance(word, Iterable):
            return self.value[self._row(word)]
        return self.value[[self._row(one) for one in word]]

    def unit(self) -> "Words":
        """The same words with rows of length one: directions only."""
        return Words(self.words, F.normalize(self.value, dim=1))

    def nearest(
        self, query: Float[Tensor, " d"], n: int = 5, *, without: Sequence[str] = ()
    ) -> list[tuple[str, float]]:
        """Words whose rows point most nearly in a direction, and their cosines.

        Args:
            query: a vector.
            n: how many.
            without: words that are no answer.

        Raises:
            ValueError: a query that is no vector of this width, such as a word, or
                fewer words than asked for.
        """
        check_texts("without", without, least=0)
        check_number("n", n, 1, len(self) - len(set(without)), whole=True)
        check_numbers("query", query, "d")
        if query.shape != self.value.shape[1:]:
            width = self.value.shape[1]
            raise ValueError(f"query expected {width} numbers, got {len(query)}.")
        cosine = F.normalize(self.value, dim=1) @ F.normalize(query, dim=0)
        cosine[[self._row(word) for word in without]] = -2.0
        best = cosine.topk(n)
        words = (self.words[row] for row in best.indices.tolist())
        return list(zip(words, best.values.tolist(), strict=True))

    def _row(self, word: str) -> int:
        try:
            return self.index[word]
        except (KeyError, TypeError):
            text = f"expected one of {len(self):,} words, got {word!r:.40}."
            raise KeyError(text) from None


def glove(n: int = GLOVE_WORDS) -> Words:
    """The n most frequent words of GloVe 6B, most frequent first, and their vectors.

    Args:
        n: 1 to 30,000.

    Returns:
        Vectors (n, 50) in float32; they were rounded to float16 on the way.

    Raises:
        ValueError: another number.
    """
    check_number("n", n, 1, GLOVE_WORDS, whole=True)
    words, value = _glove()
    return Words(words[:n], value[:n].clone())


def concreteness() -> Words:
    """Glasgow norms: how concrete is a word, (n,), 1 (abstract) to 7."""
    words, value = _norms()["glasgow"]
    return Words(list(words), value.clone())


def senses() -> Words:
    """Lancaster norms: how much it is felt through each of `SENSES`, (n, 6), 0 to 5."""
    words, value = _norms()["lancaster"]
    return Words(list(words), value.clone())


@cache
def _glove() -> tuple[list[str], Tensor]:
    with np.load(HERE / "words_glove.npz") as file:
        vector = torch.from_numpy(file["vector"]).float()
        return _split(file["words"]), vector


@cache
def _norms() -> dict[str, tuple[list[str], Tensor]]:
    """Ratings are kept as whole numbers: thousandths and hundredths."""
    with np.load(HERE / "words_norms.npz") as file:
        glasgow = torch.from_numpy(file["glasgow"].astype(np.float32)) / 1000
        lancaster = torch.from_numpy(file["lancaster"].astype(np.float32)) / 100
        return {
            "glasgow": (_split(file["glasgow_words"]), glasgow),
            "lancaster": (_split(file["lancaster_words"]), lancaster),
        }


def _split(letters: np.ndarray) -> list[str]:
    return letters.tobytes().decode("utf-8").split("\n")
