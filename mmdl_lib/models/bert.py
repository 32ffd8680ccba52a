"""BERT: hide some words of a text, and guess them from both sides.

**Paper** Devlin, Chang, Lee, Toutanova, "BERT: Pre-training of Deep Bidirectional
Transformers for Language Understanding", NAACL 2019, arXiv 1810.04805.

**Book** `sec-bert`

**Symbols** (section 3 of the paper)
- `tokens (b, t)`: [CLS] A [SEP], or [CLS] A [SEP] B [SEP]; `segments` 0 for A, 1 for B
- `embed` = E, the sum of three tables; `hidden (b, t, d)` = T_i; `pooled (b, d)` = C
- `width` = H, `depth` = L, `heads` = A

**Start**
- Matrices and tables from a normal distribution of 0.02, cut at two deviations, biases
  of zero, as in the released code; the paper says nothing.

**Differs from the paper**
- gelu is the exact one, as in `transformers`; the released code has the tanh form, at
  most 0.0005 away.
- The words to hide are drawn anew in each step, as RoBERTa does (1907.11692); the
  release drew them ten times in advance. It also hid at most 20 words of a text.
- `pairs` draws the random text from the same rows; the release drew it from another
  document, and made one pair in ten a short one.
- `encode_text`, a mean over tokens, is Sentence-BERT's (1908.10084).
- Our trainings correct Adam's bias, as `torch` does; the release did not.
- BERT-large has 336 million parameters with its heads; the paper prints 340 million.

**Builds on** nothing.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mmdl_lib.borders import (
    check_flags,
    check_integers,
    check_labels,
    check_mask,
    check_number,
    check_some,
)
from mmdl_lib.core import Config, Model, seeded
from mmdl_lib.nn import LearnedPositions, PostNormBlock, Transformer

SPECIAL = 5  # [PAD], [UNK], [CLS], [SEP], [MASK] of a small vocabulary


@dataclass(frozen=True, kw_only=True)
class BERTConfig(Config):
    """Hyperparameters; the defaults are BERT-base, uncased."""

    vocab: int = 30_522
    width: int = 768
    depth: int = 12
    heads: int = 12
    positions: int = 512
    segments: int = 2
    dropout: float = 0.1
    epsilon: float = 1e-12  # of LayerNorm
    cls_token: int = 101  # these three are no words
    sep_token: int = 102
    mask_token: int = 103


class Hidden(NamedTuple):
    """A text of which some words are to be guessed.

    Attributes:
        tokens: what the model reads.
        chosen: where it has to say what stood there.
    """

    tokens: Int[Tensor, "b t"]
    chosen: Bool[Tensor, "b t"]


def hide(
    tokens: Int[Tensor, "b t"],
    words: Bool[Tensor, "b t"],
    *,
    vocab: int,
    mask_token: int,
    share: float = 0.15,
    generator: torch.Generator | None = None,
) -> Hidden:
    """Choose words of each text, and hide most of them.

    Args:
        tokens: the texts.
        words: what may be chosen: no padding, no [CLS], no [SEP].
        vocab: number of tokens; a random word is any of them.
        mask_token: the token [MASK].
        share: of the words that are chosen, rounded, and at least one.
        generator: where the randomness comes from.

    Raises:
        ValueError: a share outside of (0, 1], or `words` that are no flags.

    Source: section 3.1, task #1, and appendix A.1.
    """
    check_number("share", share, high=1, above=0)
    check_flags("words", words, tokens.shape)
    size = {"size": tokens.shape, "device": tokens.device}
    order = torch.rand(**size, generator=generator).masked_fill(~words, 2.0)
    rank = order.argsort(1).argsort(1)
    count = (share * words.sum(1, keepdim=True)).round().clamp(min=1)
    chosen = (rank < count) & words
    # of the chosen ones 80 % become [MASK], 10 % another word, 10 % stay
    dice = torch.rand(**size, generator=generator)
    other = torch.randint(0, vocab, **size, generator=generator)
    read = torch.where(chosen & (dice < 0.9), other, tokens)
    return Hidden(torch.where(chosen & (dice < 0.8), mask_token, read), chosen)


class Pairs(NamedTuple):
    """Which second text each first text gets.

    Attributes:
        second: number of the row whose second text it is.
        label: 0 where that is its own, so B follows A; 1 where it is another row's.
    """

    second: Int[Tensor, " b"]
    label: Int[Tensor, " b"]


def pairs(b: int, *, generator: torch.Generator | None = None) -> Pairs:
    """Half of the rows, by a coin each, keep the text that follows; others lose it.

    Rows are moved by at least one place and less than all, so that a pair with label 1
    is never a true one. (Two rows may still hold the same words.)

    Args:
        b: rows, at least two.
        generator: where the randomness comes from.

    Raises:
        ValueError: fewer than two rows.

    Source: section 3.1, task #2.
    """
    check_number("b", b, 2, whole=True)
    label = torch.randint(2, (b,), generator=generator)
    moved = torch.arange(b) + label * torch.randint(1, b, (b,), generator=generator)
    return Pairs(moved % b, label)


class Guesses(NamedTuple):
    """What BERT says of a text, as logits.

    Attributes:
        words: which word stands here, for each place.
        follows: whether the second text follows the first: 0 = it does, 1 = random.
    """

    words: Float[Tensor, "b t k"]
    follows: Float[Tensor, "b 2"]


class BERT(Model):
    """An encoder that reads both sides, with a head for words and one for pairs.

    Example:
        >>> model = BERT.from_preset("tiny").eval()
        >>> batch = BERT.example_batch(model.config, 3)
        >>> model(batch["tokens"], batch["mask"]).words.shape
        torch.Size([3, 16, 60])
    """

    PRESETS = {
        "tiny": BERTConfig(
            **{"vocab": 60, "width": 48, "depth": 2, "heads": 4, "positions": 32},
            **{"cls_token": 2, "sep_token": 3, "mask_token": 4},
        ),
        "base": BERTConfig(),
        "large": BERTConfig(width=1024, depth=24, heads=16),
        "MiniLM-L6": BERTConfig(width=384, depth=6),
    }
    # large is printed as 340 M, which is 1.2 % above our count with its heads
    PAPER_PARAMS = {"base": 110_000_000}
    LEARNED = {"main": 0.8}

    def __init__(self, config: BERTConfig):
        super().__init__(config)
        width = config.width
        self.tokens = nn.Embedding(config.vocab, width)
        self.positions = LearnedPositions(config.positions, width)
        self.segments = nn.Embedding(config.segments, width)
        self.norm = nn.LayerNorm(width)
        self.drop = nn.Dropout(config.dropout)
        how = {"block": PostNormBlock, "dropout": config.dropout}
        self.transformer = Transformer(width, config.depth, config.heads, **how)
        self.pool = nn.Linear(width, width)
        self.transform, self.norm_words = nn.Linear(width, width), nn.LayerNorm(width)
        self.bias = nn.Parameter(torch.zeros(config.vocab))
        self.follows = nn.Linear(width, 2)
        for module in self.modules():
            if isinstance(module, nn.LayerNorm):
                module.eps = config.epsilon
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.trunc_normal_(module.weight, std=0.02, a=-0.04, b=0.04)

    def embed(
        self, tokens: Int[Tensor, "b t"], segments: Int[Tensor, "b t"] | None = None
    ) -> Float[Tensor, "b t d"]:
        """Figure 2: token, place and text, summed; without segments all are A."""
        segments = torch.zeros_like(tokens) if segments is None else segments
        x = self.tokens(tokens) + self.segments(segments)
        return self.drop(self.norm(x + self.positions(tokens.shape[1])))

    def hidden(
        self,
        tokens: Int[Tensor, "b t"],
        mask: Tensor | None = None,
        segments: Int[Tensor, "b t"] | None = None,
    ) -> Float[Tensor, "b t d"]:
        """The vector of each token after the last block.

        Args:
            tokens: texts with [CLS] and [SEP].
            mask: bool, True on real tokens (b, t); or (b, t, t), for each token which
                ones it may see, where BERT is compared with models that see less.
            segments: 0 in the first text, 1 in the second.

        Raises:
            ValueError: more tokens than positions, a mask of another shape.
        """
        return self.transformer(self.embed(tokens, segments), mask)

    def guess(self, hidden: Float[Tensor, "*n d"]) -> Float[Tensor, "*n k"]:
        """Logits of the words: the table of the tokens once more, and a bias."""
        x = self.norm_words(F.gelu(self.transform(hidden)))
        return x @ self.tokens.weight.T + self.bias

    def forward(self, tokens, mask=None, segments=None) -> Guesses:
        """Arguments and errors as in `hidden`.

        Raises:
            ValueError: also no tokens, unknown ones, padding in front of real ones, or
                a third segment.
        """
        check_integers("tokens", tokens, 0, self.config.vocab - 1)
        if tokens.ndim != 2 or not tokens.shape[1]:
            raise ValueError(
                "tokens expected shape (b, t) with t of at least 1, got "
                f"{tuple(tokens.shape)}."
            )
        if mask is not None and mask.ndim < 3:
            check_mask(mask, shape=tokens.shape)
        if segments is not None:
            check_integers("segments", segments, 0, self.config.segments - 1)
            if segments.shape != tokens.shape:
                raise ValueError(
                    f"segments expected shape {tuple(tokens.shape)}, got "
                    f"{tuple(segments.shape)}."
                )
        x = self.hidden(tokens, mask, segments)
        pooled = self.drop(torch.tanh(self.pool(x[:, 0])))
        return Guesses(self.guess(x), self.follows(pooled))

    def encode_text(
        self, tokens: Int[Tensor, "b t"], mask: Bool[Tensor, "b t"]
    ) -> Float[Tensor, "b d"]:
        """The mean over the real tokens, of length one, as Sentence-BERT has it.

        Raises:
            ValueError: ids outside of the vocabulary, padding that is not at the end.
        """
        check_integers("tokens", tokens, 0, self.config.vocab - 1)
        check_mask(mask, shape=tokens.shape)
        x = self.hidden(tokens, mask) * mask[..., None]
        return F.normalize(x.sum(1) / mask.sum(1, keepdim=True), dim=1)

    def words(self, tokens: Tensor, mask: Bool[Tensor, "b t"]) -> Bool[Tensor, "b t"]:
        """Where a token may be hidden: no padding, no [CLS], no [SEP]."""
        return (
            mask & (tokens != self.config.cls_token) & (tokens != self.config.sep_token)
        )

    def loss(self, batch: dict, *, phase="main", generator=None) -> dict[str, Tensor]:
        """Guess hidden words, and whether the second text follows the first.

        Args:
            batch: `tokens`, `mask`, and for pairs `segments` and `label (b,)`, 0 where
                the second text follows, 1 where it is a random one.

        Raises:
            ValueError: as `encode_text`; no row has a word; a label that is neither.
                (A row of frames only is left out of the mean; each other row hides one
                word at least.)
        """
        config, tokens, mask = self.config, batch["tokens"], batch["mask"]
        check_integers("tokens", tokens, 0, config.vocab - 1)
        check_mask(mask, shape=tokens.shape)
        names = {
            "vocab": config.vocab,
            "mask_token": config.mask_token,
            "generator": generator,
        }
        words = self.words(tokens, mask)
        check_some("tokens that may be hidden", words)
        read, chosen = hide(tokens, words, **names)
        with seeded(generator):
            x = self.hidden(read, mask, batch.get("segments"))
            pooled = self.drop(torch.tanh(self.pool(x[:, 0])))
        # as many places in each row as the fullest row can need
        most = round(0.15 * tokens.shape[1]) + 1
        kept, place = chosen.float().topk(min(most, tokens.shape[1]))
        found = x.take_along_dim(place[..., None], 1)
        each = F.cross_entropy(
            self.guess(found).flatten(0, 1), tokens.gather(1, place).flatten(),
            reduction="none",
        )  # fmt: skip
        terms = {"words": (each * kept.flatten()).sum() / kept.sum()}
        if "label" in batch:
            check_labels("label", batch["label"], 2)
            terms["follows"] = F.cross_entropy(self.follows(pooled), batch["label"])
        return {"loss": sum(terms.values())} | terms

    @classmethod
    def example_batch(cls, config: BERTConfig, n: int, *, generator=None) -> dict:
        """Random pairs of texts of 16 tokens at most."""
        size = (n, min(16, config.positions))
        low = min(SPECIAL, config.vocab - 1)
        tokens = torch.randint(low, config.vocab, size, generator=generator)
        length = torch.randint(8, size[1] + 1, (n, 1), generator=generator)
        place = torch.arange(size[1])
        tokens[:, 0], tokens[:, 4] = config.cls_token, config.sep_token
        tokens = torch.where(place == length - 1, config.sep_token, tokens)
        mask = place < length
        return {
            "tokens": torch.where(mask, tokens, 0),
            "mask": mask,
            "segments": (place > 4).long() * mask,
            "label": torch.randint(2, (n,), generator=generator),
        }
