"""Vokenization: each token of a text gets a picture, and BERT learns to name it.

**Paper** Tan, Bansal, "Vokenization: Improving Language Understanding with
Contextualized, Visual-Grounded Supervision", EMNLP 2020, arXiv 2010.06775.

**Book** `sec-vokenization`

**Symbols**
- `tokens (b, t)` = the sentence s, its tokens w_i; `picture (b, p)` = features of the
  picture x beside it; `store (k, p)` = features of the pictures to choose from
- `Retriever.encode_tokens` = f(w; s); `Retriever.encode_picture` = g(x); both of length
  one, so that their inner product, the relevance r, is a cosine
- `vokens (b, t)` = v(w_i; s), numbers of rows of the store; `IGNORE` where none is

**Start**
- The language net as BERT; heads as PyTorch does.

**Differs from the paper**
- Wrong pictures are all others of the batch; the paper draws one.
- The language net under the retriever is small and learns with the heads. The paper
  has a BERT and a ResNeXt that know both worlds already and stand still; of the four
  last layers of BERT, which it joins, ours reads the last.
- No whole texts of other data sets: the made world has one language.
- The voken head of the released code: one hidden layer, gelu and LayerNorm, as BERT's
  head for words.

**Builds on** bert.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mmdl_lib.borders import (
    check_integers,
    check_mask,
    check_number,
    check_numbers,
    check_same_length,
    check_some,
)
from mmdl_lib.core import Config, Model, seeded
from mmdl_lib.models.bert import BERT, BERTConfig, hide

IGNORE = -100  # no voken here; the number that cross_entropy leaves out
TINY = BERT.PRESETS["tiny"]


@dataclass(frozen=True, kw_only=True)
class RetrieverConfig(Config):
    """Hyperparameters; the defaults are those of the paper's released code."""

    text: BERTConfig = BERTConfig()
    picture: int = 2048  # numbers of a picture's features
    hidden: int = 256
    width: int = 64  # of the common space
    dropout: float = 0.3
    margin: float = 0.5


@dataclass(frozen=True, kw_only=True)
class VokenizationConfig(BERTConfig):
    """BERT, and how many pictures the store has."""

    vokens: int = 50_000
    share: float = 1.0  # weight of the voken task beside the words'


def hinge(
    words: Float[Tensor, "b t d"],
    pictures: Float[Tensor, "b d"],
    mask: Bool[Tensor, "b t"],
    *,
    margin: float | int = 0.5,
) -> Float[Tensor, ""]:
    """Each token should be nearer to its own picture than to others, by the margin.

    Args:
        words: tokens of sentences, of length one.
        pictures: row by row, the picture of each sentence, of length one.
        mask: True on real tokens; the others count nowhere.
        margin: from which on a pair is right enough.

    Raises:
        ValueError: other numbers of rows, fewer than two of them, a margin that is not
            above zero.

    Source: section 3.2.
    """
    check_same_length(words=words, pictures=pictures)
    check_mask(mask, shape=words.shape[:2])
    check_number("margin", margin, above=0)
    if len(words) < 2:
        raise ValueError(f"words expected two sentences or more, got {len(words)}.")
    relevance = torch.einsum("b t d, k d -> b t k", words, pictures)
    own = torch.einsum("b t d, b d -> b t", words, pictures)
    # max(0, margin - r(w, x; s) + r(w, x'; s))
    each = (margin - own[..., None] + relevance).relu()
    other = ~torch.eye(len(words), dtype=torch.bool, device=words.device)
    counted = mask[..., None] & other[:, None]
    return (each * counted).sum() / counted.sum()


def nearest(
    words: Float[Tensor, "*n d"], store: Float[Tensor, "k d"]
) -> Int[Tensor, "*n"]:
    """The row of the store with the largest inner product; of equals the first.

    Among vectors of length one it is also the row at the smallest distance.

    Raises:
        ValueError: a store without pictures.
    """
    if not len(store):
        raise ValueError("store expected at least one picture, got none.")
    return (words @ store.T).argmax(-1)


def revokenized(
    vokens: Sequence[int], spans: Sequence[tuple], other: Sequence[tuple]
) -> list[int]:
    """Vokens for the pieces of another tokenizer, by the letters that they cover.

    Each piece gets the voken of the old piece with which it shares most letters, of
    equals the first; `IGNORE` where it shares none.

    Args:
        vokens: one for each old piece.
        spans: first letter of each old piece, and the first behind it.
        other: the same of the new pieces.

    Raises:
        ValueError: not one voken for each old piece.

    Example:
        >>> revokenized([7, 9], [(0, 4), (5, 8)], [(0, 2), (2, 4), (5, 8), (8, 9)])
        [7, 7, 9, -100]
    """
    check_same_length(vokens=vokens, spans=spans)
    found = []
    for low, high in other:
        shared = [min(high, b) - max(low, a) for a, b in spans]
        most = max(shared, default=0)
        found.append(vokens[shared.index(most)] if most > 0 else IGNORE)
    return found


def grounding_ratio(
    words: Sequence[str],
    seen: Mapping[str, int],
    *,
    stop: Collection[str] = (),
    least: int = 100,
) -> float:
    """Share of running words that name what pictures show.

    A word counts if captions use it at least so often, and if it is no stop word.

    Args:
        words: a text.
        seen: how often captions use each word.
        stop: words that count nowhere, such as "the".
        least: uses in captions.

    Raises:
        ValueError: no words.

    Example:
        >>> text = ["the", "dog", "thinks"]
        >>> round(grounding_ratio(text, {"dog": 900, "the": 9999}, stop={"the"}), 3)
        0.333
    """
    if not words:
        raise ValueError("words expected at least one, got none.")
    check_number("least", least, 1, whole=True)
    counts = [w not in stop and seen.get(w, 0) >= least for w in words]
    return sum(counts) / len(words)


class Retriever(Model):
    """Which picture goes with a token of a sentence: two heads that meet in one space.

    Example:
        >>> model = Retriever.from_preset("tiny").eval()
        >>> batch = Retriever.example_batch(model.config, 3)
        >>> model.vokens(batch["tokens"], batch["mask"], torch.randn(9, 10)).shape
        torch.Size([3, 16])
    """

    PRESETS = {
        "tiny": RetrieverConfig(text=TINY, picture=10, hidden=32, width=16),
        "released": RetrieverConfig(),
    }
    LEARNED = {"main": 0.9}

    def __init__(self, config: RetrieverConfig):
        super().__init__(config)
        check_number("margin", config.margin, above=0)
        self.text = BERT(config.text)
        del self.text.pool, self.text.follows, self.text.transform
        del self.text.norm_words, self.text.bias  # no word is guessed here
        self.token_head = head(config.text.width, config)
        self.picture_head = head(config.picture, config)

    def encode_tokens(
        self, tokens: Int[Tensor, "b t"], mask: Bool[Tensor, "b t"]
    ) -> Float[Tensor, "b t d"]:
        """f(w; s): a unit vector for each token in its sentence, zeros for padding.

        Raises:
            ValueError: ids outside of the vocabulary, padding that is not at the end.
        """
        check_integers("tokens", tokens, 0, self.config.text.vocab - 1)
        check_mask(mask, shape=tokens.shape)
        x = self.token_head(self.text.hidden(tokens, mask))
        return F.normalize(x, dim=-1) * mask[..., None]

    def encode_picture(self, picture: Float[Tensor, "b p"]) -> Float[Tensor, "b d"]:
        """g(x): a unit vector for the features of each picture.

        Raises:
            ValueError: no finite floats, or another number of features.
        """
        check_numbers("picture", picture, "b p")
        if picture.shape[1] != self.config.picture:
            raise ValueError(
                f"picture expected {self.config.picture} numbers each, got "
                f"{picture.shape[1]}."
            )
        return F.normalize(self.picture_head(picture), dim=-1)

    @torch.no_grad()
    def vokens(
        self,
        tokens: Int[Tensor, "b t"],
        mask: Bool[Tensor, "b t"],
        store: Float[Tensor, "k p"],
    ) -> Int[Tensor, "b t"]:
        """v(w; s): for each token the number of a picture, `IGNORE` for padding.

        Raises:
            ValueError: also a store without pictures.
        """
        if not len(store):
            raise ValueError("store expected at least one picture, got none.")
        pictures = self.encode_picture(store)
        found = nearest(self.encode_tokens(tokens, mask), pictures)
        return found.masked_fill(~mask, IGNORE)

    def loss(self, batch, *, phase="main", generator=None) -> dict[str, Tensor]:
        """The hinge of `tokens`, `mask` and the `picture` of each sentence."""
        check_same_length(tokens=batch["tokens"], picture=batch["picture"])
        with seeded(generator):
            words = self.encode_tokens(batch["tokens"], batch["mask"])
            pictures = self.encode_picture(batch["picture"])
        loss = hinge(words, pictures, batch["mask"], margin=self.config.margin)
        return {"loss": loss}

    @classmethod
    def example_batch(cls, config: RetrieverConfig, n: int, *, generator=None) -> dict:
        """Random sentences with random features."""
        batch = BERT.example_batch(config.text, n, generator=generator)
        picture = torch.randn(n, config.picture, generator=generator)
        return {"tokens": batch["tokens"], "mask": batch["mask"], "picture": picture}


def head(inputs: int, config: RetrieverConfig) -> nn.Sequential:
    """One hidden layer into the common space, the same for tokens and pictures."""
    return nn.Sequential(
        *(nn.Linear(inputs, config.hidden), nn.ReLU(), nn.Dropout(config.dropout)),
        nn.Linear(config.hidden, config.width),
    )


class Said(NamedTuple):
    """What the net says of each token, as logits."""

    words: Float[Tensor, "b t v"]
    vokens: Float[Tensor, "b t k"]


class Vokenization(BERT):
    """BERT without pairs, and a second head that names the voken of each token.

    Example:
        >>> model = Vokenization.from_preset("tiny").eval()
        >>> batch = Vokenization.example_batch(model.config, 3)
        >>> model(batch["tokens"], batch["mask"]).vokens.shape
        torch.Size([3, 16, 7])
    """

    PRESETS = {
        "tiny": VokenizationConfig(**{**vars(TINY), "vokens": 7}),
        "base": VokenizationConfig(),
    }
    PAPER_PARAMS = {}
    LEARNED = {"main": 0.8}

    def __init__(self, config: VokenizationConfig):
        super().__init__(config)
        check_number("vokens", config.vokens, 1, whole=True)
        check_number("share", config.share, 0)
        del self.pool, self.follows
        width, epsilon = config.width, config.epsilon
        self.voken_head = nn.Sequential(
            *(nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width, epsilon)),
            nn.Linear(width, config.vokens),
        )

    def forward(self, tokens, mask=None) -> Said:
        """Arguments as in `hidden`.

        Raises:
            ValueError: unknown tokens, a mask of another shape.
        """
        check_integers("tokens", tokens, 0, self.config.vocab - 1)
        x = self.hidden(tokens, mask)
        return Said(self.guess(x), self.voken_head(x))

    def loss(self, batch: dict, *, phase="main", generator=None) -> dict[str, Tensor]:
        """Guess hidden words; say the voken of every word, hidden or not.

        Args:
            batch: `tokens`, `mask`, and `vokens (b, t)` with `IGNORE` where there is
                none. Padding never counts, nor do [CLS] and [SEP].

        Raises:
            ValueError: no text, unknown tokens or vokens, shapes that differ.
        """
        config, tokens, mask = self.config, batch["tokens"], batch["mask"]
        check_integers("tokens", tokens, 0, config.vocab - 1)
        check_mask(mask, shape=tokens.shape)
        check_integers("vokens", batch["vokens"], IGNORE, config.vokens - 1)
        check_same_length(tokens=tokens, vokens=batch["vokens"])
        if batch["vokens"].shape != tokens.shape:
            one, two = tuple(tokens.shape), tuple(batch["vokens"].shape)
            raise ValueError(f"vokens expected shape {one}, got {two}.")
        names = {"vocab": config.vocab, "mask_token": config.mask_token}
        words = self.words(tokens, mask)
        check_some("tokens that may be hidden", words)
        read, chosen = hide(tokens, words, **names, generator=generator)
        with seeded(generator):
            x = self.hidden(read, mask)
        each = F.cross_entropy(self.guess(x).mT, tokens, reduction="none")
        # L = - sum over hidden i log p(w_i | s') - sum over all i log q(v_i | s')
        terms = {"words": (each * chosen).sum() / chosen.sum()}
        given = batch["vokens"].masked_fill(~words, IGNORE)
        each = F.cross_entropy(
            self.voken_head(x).mT, given, ignore_index=IGNORE, reduction="none"
        )
        terms["vokens"] = each.sum() / (given != IGNORE).sum().clamp(min=1)
        loss = terms["words"] + config.share * terms["vokens"]
        return {"loss": loss} | terms

    @classmethod
    def example_batch(
        cls, config: VokenizationConfig, n: int, *, generator=None
    ) -> dict:
        """Random texts with random vokens."""
        batch = super().example_batch(config, n, generator=generator)
        tokens, mask = batch["tokens"], batch["mask"]
        vokens = torch.randint(config.vokens, tokens.shape, generator=generator)
        return {
            "tokens": tokens,
            "mask": mask,
            "vokens": vokens.masked_fill(~mask, IGNORE),
        }
