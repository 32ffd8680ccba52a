"""word2vec: a word is known by its neighbors, and a vector predicts them.

**Paper** Mikolov, Chen, Corrado and Dean, "Efficient Estimation of Word Representations
in Vector Space", ICLR workshop 2013, arXiv 1301.3781 (CBOW, skip-gram); Mikolov,
Sutskever, Chen, Corrado and Dean, "Distributed Representations of Words and Phrases and
their Compositionality", NIPS 2013, arXiv 1310.4546 (negative sampling, subsampling).

**Book** `sec-word2vec`

**Symbols**
- `center (b,)`, `context (b,)` = w_I and w_O: a word and one of its neighbors
- `word (v, d)` = v_w, what is kept; `context (v, d)` = v'_w, its second vector
- `negatives` = k; `noise` = P_n(w), the count to the power of 3/4, as running sums
- `threshold` = t, `f` = a word's share of the text

**Start**
- As in word2vec.c: word vectors uniform within 0.5 / d of zero, context vectors zero.
  So every score starts at zero and the first loss is (k + 1) log 2.

**Differs from the paper**
- `keep` is what word2vec.c does, min(1, sqrt(t/f) + t/f). The paper prints that a word
  is discarded with probability 1 - sqrt(t/f).
- A negative that happens to be the true neighbor is skipped and not drawn again, as in
  word2vec.c, where the paper is silent.
- word2vec.c lets the neighbor's vector predict the center; we take the paper's
  direction. The windows of both words are drawn alike, so the pairs are as frequent.
- For CBOW, word2vec.c adds the whole error to each of the n context words, which is n
  times the gradient of their mean. Ours is the gradient.
- Batches and Adam in `fit`, where word2vec.c takes one pair after the other with a rate
  that falls from 0.025 to a ten-thousandth of it. Its first word, the end of a
  sentence, is never a negative; we have no such word.
- `SoftmaxSkipGram` sums over all words, for comparison; no hierarchical softmax.

**Builds on** nothing.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mmdl_lib.borders import check_integers, check_number, check_some
from mmdl_lib.core import Config, Model
from mmdl_lib.data.corpus import Corpus


@dataclass(frozen=True, kw_only=True)
class Word2VecConfig(Config):
    """Hyperparameters; the defaults are those of word2vec.c, but for the vocabulary."""

    vocab: int
    width: int = 100
    negatives: int = 5
    power: float = 0.75


def keep(count: Int[Tensor, " v"], threshold: float) -> Float[Tensor, " v"]:
    """Probability with which each occurrence of a word stays in the text.

    Words are thinned only where their share f is above 2.618 t: the root of
    t/f + sqrt(t/f) = 1.

    Args:
        count: occurrences of each word.
        threshold: t, such as 1e-3.

    Raises:
        ValueError: a negative count, or a threshold that is not above zero.

    Example:
        >>> count = torch.tensor([10, 990])
        >>> [round(p, 4) for p in keep(count, 1e-3).tolist()]
        [0.4162, 0.0328]
    """
    check_integers("count", count)
    check_number("threshold", threshold, above=0)
    ratio = threshold * count.sum() / count.double()  # t / f
    return (ratio.sqrt() + ratio).clamp(max=1).float()


def thin(
    corpus: Corpus, threshold: float, *, generator: torch.Generator | None = None
) -> Corpus:
    """The text without many occurrences of its most frequent words.

    It happens before windows are laid, so what stays sees farther.
    """
    chance = keep(corpus.count, threshold)[corpus.token]
    return corpus.only(torch.rand(len(corpus), generator=generator) < chance)


def pairs(
    corpus: Corpus, window: int, *, generator: torch.Generator | None = None
) -> tuple[Int[Tensor, " m"], Int[Tensor, " m"]]:
    """All (center, context) pairs of a text, by distance.

    Each center draws how far it looks, 1 to `window`: near neighbors count more.

    Raises:
        ValueError: a window that is no whole number of one or more.
    """
    check_number("window", window, 1, whole=True)
    reach = torch.randint(1, window + 1, (len(corpus),), generator=generator)
    center, context = [], []
    for distance in range(1, window + 1):
        i = corpus.beside(distance)
        for one, other in ((i, i + distance), (i + distance, i)):
            seen = reach[one] >= distance
            center.append(corpus.token[one[seen]])
            context.append(corpus.token[other[seen]])
    return torch.cat(center), torch.cat(context)


def bags(
    corpus: Corpus, window: int, *, generator: torch.Generator | None = None
) -> dict[str, Tensor]:
    """For each word of a text all of its neighbors at once: the batches of CBOW.

    Returns:
        center (n,), context (n, 2 window) and mask, True where there is a neighbor. A
        word without any is left out.

    Raises:
        ValueError: a window that is no whole number of one or more.
    """
    check_number("window", window, 1, whole=True)
    n = len(corpus)
    reach = torch.randint(1, window + 1, (n,), generator=generator)
    offset = torch.tensor([o for o in range(-window, window + 1) if o])
    place = torch.arange(n)[:, None] + offset
    inside = place.clamp(0, n - 1)
    mask = (place == inside) & (offset.abs() <= reach[:, None])
    mask &= corpus.sentence[inside] == corpus.sentence[:, None]
    context, some = corpus.token[inside].where(mask, 0), mask.any(1)
    return {"center": corpus.token[some], "context": context[some], "mask": mask[some]}


def running_sums(count: Int[Tensor, " v"], power: float) -> Float[Tensor, " v"]:
    """P_n(w), proportional to the count to a power, as sums up to each word.

    Raises:
        ValueError: no whole numbers, a negative one, or nothing but zeros.
    """
    check_integers("count", count)
    check_integers("the sum of count", count.sum(), 1)
    share = count.double() ** power
    return (share.cumsum(0) / share.sum()).float()


def draw(
    noise: Float[Tensor, " v"], shape: tuple[int, ...], *, generator=None
) -> Int[Tensor, "..."]:
    """Words from the noise distribution, given by its running sums."""
    chance = torch.rand(shape, generator=generator, device=noise.device)
    word = torch.searchsorted(noise, chance, right=True)
    return word.clamp(max=len(noise) - 1)  # the last sum may be rounded below 1


def negative_sampling(
    score: Float[Tensor, "b n"], skipped: Bool[Tensor, "b n"]
) -> Float[Tensor, ""]:
    """- log s(v'_O v_I) - sum over k negatives of log s(- v'_k v_I), a mean over pairs.

    Args:
        score: inner products, the true neighbor in the first column.
        skipped: columns that count nothing.
    """
    right = torch.cat([score[:, :1], -score[:, 1:]], 1)
    return -F.logsigmoid(right).masked_fill(skipped, 0).sum(1).mean()


class SkipGram(Model):
    """A word's vector predicts each of its neighbors, one pair at a time."""

    # with zero context vectors 40 steps of Adam at 1e-3 move a score by a tenth
    LEARNED: ClassVar = {"main": 0.97}
    PRESETS: ClassVar = {
        "tiny": Word2VecConfig(vocab=40, width=64),
        "large": Word2VecConfig(vocab=100_000, width=300),  # no paper's vocabulary
    }

    def __init__(self, config: Word2VecConfig, count: Int[Tensor, " v"] | None = None):
        """
        Args:
            config: sizes.
            count: occurrences of each word, for the negatives; None is once each.

        Raises:
            ValueError: counts of another number of words, no negative.
        """
        super().__init__(config)
        check_number("negatives", config.negatives, 1, whole=True)
        v, d = config.vocab, config.width
        self.word, self.context = nn.Embedding(v, d), nn.Embedding(v, d)
        nn.init.uniform_(self.word.weight, -0.5 / d, 0.5 / d)
        nn.init.zeros_(self.context.weight)
        count = torch.ones(v, dtype=torch.long) if count is None else count
        if count.shape != (v,):
            raise ValueError(f"count expected {v} numbers, got {tuple(count.shape)}.")
        self.register_buffer("noise", running_sums(count, config.power))

    def vectors(self) -> Float[Tensor, "v d"]:
        """The word vectors: what is kept when training is over."""
        return self.word.weight

    def scores(self, hidden: Float[Tensor, "b d"], target: Int[Tensor, " b"], g):
        """Inner products with the target and k negatives, and which of them to skip."""
        k = self.config.negatives
        drawn = draw(self.noise, (len(target), k), generator=g)
        told = torch.cat([target[:, None], drawn], 1)
        score = torch.einsum("bd,bnd->bn", hidden, self.context(told))
        skipped = told == target[:, None]
        return score, skipped & (torch.arange(k + 1, device=told.device) > 0)

    def loss(self, batch, *, phase="main", generator=None):
        hidden = self.word(batch["center"])
        score, skipped = self.scores(hidden, batch["context"], generator)
        return {"loss": negative_sampling(score, skipped)}

    @classmethod
    def example_batch(cls, config, n, *, generator=None):
        center, context = torch.randint(config.vocab, (2, n), generator=generator)
        return {"center": center, "context": context}


class CBOW(SkipGram):
    """The mean of the neighbors' vectors predicts the word; their order is lost."""

    def loss(self, batch, *, phase="main", generator=None):
        check_some("mask of neighbors", batch["mask"], each=True)
        mask = batch["mask"][:, :, None].float()
        hidden = (self.word(batch["context"]) * mask).sum(1) / mask.sum(1)
        score, skipped = self.scores(hidden, batch["center"], generator)
        return {"loss": negative_sampling(score, skipped)}

    @classmethod
    def example_batch(cls, config, n, *, generator=None):
        context = torch.randint(config.vocab, (n, 4), generator=generator)
        first = super().example_batch(config, n, generator=generator)
        return {**first, "context": context, "mask": torch.ones_like(context).bool()}


class SoftmaxSkipGram(SkipGram):
    """Skip-gram as it is defined: a softmax over all v words for each pair."""

    LEARNED: ClassVar = {"main": 0.99}

    def loss(self, batch, *, phase="main", generator=None):
        # log p(w_O | w_I) = v'_O v_I - log sum over w of exp(v'_w v_I)
        score = self.word(batch["center"]) @ self.context.weight.T
        return {"loss": F.cross_entropy(score, batch["context"])}
