"""fastText: a word is the mean of its pieces, so a word never seen has a vector too.

**Paper** Bojanowski, Grave, Joulin and Mikolov, "Enriching Word Vectors with Subword
Information", TACL 2017, arXiv 1607.04606.

**Book** `sec-word2vec`

**Symbols**
- `pieces(word)` = G_w, its n-grams of 3 to 6 letters, with < and > for its ends
- `rows` = the word's own row (if it has one) and a row for each n-gram
- `piece (v + buckets, d)` = z_g; `context (v, d)` = v_c

**Start** Rows uniform within 1 / d of zero, context vectors zero, as in the C++ code.

**Differs from the paper**
- As the C++ code, not as printed: a word's vector is the mean of its rows, not the sum.
- As the C++ code: negatives go with the square root of the count (word2vec: power 3/4),
  and one that equals the true neighbor is drawn again, not skipped.
- As the C++ code: n-grams share `buckets` rows by an FNV-1a hash over bytes with their
  sign, so letters beyond ASCII hash unlike the textbook's FNV-1a; two n-grams may share
  a row; an n-gram that is nothing but one end is left out.
- Batches and AdamW instead of one pair after the other.

**Builds on** `word2vec`: pairs and the loss.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from mmdl_lib.borders import check_number, check_text, check_texts
from mmdl_lib.core import Config, Model
from mmdl_lib.models.word2vec import SkipGram, negative_sampling, running_sums


@dataclass(frozen=True, kw_only=True)
class FastTextConfig(Config):
    """Hyperparameters; defaults of the C++ code, but for the vocabulary."""

    vocab: int
    width: int = 100
    shortest: int = 3
    longest: int = 6
    buckets: int = 2_000_000
    negatives: int = 5
    power: float = 0.5


def pieces(word: str, shortest: int = 3, longest: int = 6) -> list[str]:
    """The n-grams of <word>, from each letter on; the whole may be one of them.

    Raises:
        ValueError: no text, or lengths that leave nothing.

    Example:
        >>> pieces("as", 2, 3)
        ['<a', '<as', 'as', 'as>', 's>']
    """
    check_text("word", word)
    check_number("shortest", shortest, 1, longest, whole=True)
    framed = f"<{word}>"
    ends = {0, len(framed) - 1}
    return [
        framed[i : i + n]
        for i in range(len(framed))
        for n in range(shortest, min(longest, len(framed) - i) + 1)
        if not (n == 1 and i in ends)
    ]


def bucket(piece: str, buckets: int) -> int:
    """FNV-1a over the signed bytes of a piece, in 32 bits, modulo the buckets.

    Example:
        >>> bucket("<wh", 2_000_000)
        167652
    """
    found = 2166136261
    for byte in piece.encode("utf-8"):
        signed = byte - 256 if byte > 127 else byte  # C's char has a sign
        found = ((found ^ (signed & 0xFFFFFFFF)) * 16777619) & 0xFFFFFFFF
    return found % buckets


def draw_other(
    noise: Float[Tensor, " v"], target: Int[Tensor, " b"], k: int, *, generator=None
) -> Int[Tensor, "b k"]:
    """k words for each target from the noise distribution, none of them the target.

    Drawing again until it differs is the same as drawing from what the others have: the
    target's stretch of the running sums is stepped over.
    """
    end = noise[target][:, None]
    start = torch.where(target > 0, noise[(target - 1).clamp(min=0)], 0.0)[:, None]
    shape = (len(target), k)
    chance = torch.rand(shape, generator=generator, device=noise.device)
    chance = chance * (1 - (end - start))
    chance = torch.where(chance < start, chance, chance + (end - start))
    drawn = torch.searchsorted(noise, chance, right=True).clamp(max=len(noise) - 1)
    # on the border of its stretch rounding may give the target
    other = torch.where(target > 0, target - 1, target + 1)[:, None]
    return torch.where(drawn == target[:, None], other, drawn)


class FastText(Model):
    """Skip-gram whose center is the mean of a word's row and those of its n-grams."""

    LEARNED: ClassVar = {"main": 0.97}  # as word2vec: context vectors start at zero
    PRESETS: ClassVar = {
        "tiny": FastTextConfig(vocab=40, width=64, buckets=500),
        "large": FastTextConfig(vocab=10_000, width=300),
    }

    def __init__(
        self,
        config: FastTextConfig,
        words: Sequence[str] | None = None,
        count: Int[Tensor, " v"] | None = None,
    ):
        """
        Args:
            config: sizes.
            words: the vocabulary, spelled; None names them "0", "1" and so on.
            count: occurrences of each, for the negatives; None is once each.

        Raises:
            ValueError: words or counts of another number, no bucket, no negative.
        """
        super().__init__(config)
        for name in ("buckets", "negatives"):
            check_number(name, getattr(config, name), 1, whole=True)
        v, d = config.vocab, config.width
        words = [str(i) for i in range(v)] if words is None else list(words)
        check_texts("words", words)
        count = torch.ones(v, dtype=torch.long) if count is None else count
        if len(words) != v or count.shape != (v,):
            raise ValueError(
                f"expected {v} words and counts, got {len(words)} and {len(count)}."
            )
        self.known = {word: number for number, word in enumerate(words)}
        self.piece = nn.Embedding(v + config.buckets, d)
        nn.init.uniform_(self.piece.weight, -1 / d, 1 / d)
        self.context = nn.Embedding(v, d)
        nn.init.zeros_(self.context.weight)
        self.register_buffer("noise", running_sums(count, config.power))
        self.register_buffer("table", self._padded(words), persistent=False)

    def rows(self, word: str) -> list[int]:
        """Rows of `piece` whose mean is a word's vector, known or not.

        Raises:
            ValueError: an unknown word so short that it has no n-gram.
        """
        given = self.config
        found = pieces(word, given.shortest, given.longest)
        own = [self.known[word]] if word in self.known else []
        if not own and not found:
            raise ValueError(f"expected a longer word, got {word!r}: it has no pieces.")
        return own + [given.vocab + bucket(piece, given.buckets) for piece in found]

    def _padded(self, words: Sequence[str]) -> Int[Tensor, "n r"]:
        """Rows of each word, filled up with a number one beyond the last row."""
        found = [torch.tensor(self.rows(word)) for word in words]
        beyond = self.config.vocab + self.config.buckets
        return pad_sequence(found, batch_first=True, padding_value=beyond)

    def mean_of(self, rows: Int[Tensor, "n r"]) -> Float[Tensor, "n d"]:
        """Means of rows of `piece`; fillers do not count."""
        real = rows < len(self.piece.weight)
        share = real / real.sum(1, keepdim=True)
        return F.embedding_bag(
            rows.where(real, 0), self.piece.weight, mode="sum",
            per_sample_weights=share.to(self.piece.weight.dtype),
        )  # fmt: skip

    def vectors(self, words: Sequence[str] | None = None) -> Float[Tensor, "n d"]:
        """Vectors of any words; None is the whole vocabulary.

        Raises:
            ValueError: no list of words, or as `rows`.
        """
        if words is not None:
            check_texts("words", words)
        rows = self.table if words is None else self._padded(words)
        return self.mean_of(rows.to(self.table.device))

    def loss(self, batch, *, phase="main", generator=None):
        hidden, target = self.mean_of(self.table[batch["center"]]), batch["context"]
        k = self.config.negatives
        drawn = draw_other(self.noise, target, k, generator=generator)
        told = torch.cat([target[:, None], drawn], 1)
        score = torch.einsum("bd,bnd->bn", hidden, self.context(told))
        return {"loss": negative_sampling(score, torch.zeros_like(told).bool())}

    example_batch = SkipGram.example_batch
