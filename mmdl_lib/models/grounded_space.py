"""Grounded space: sentences meet pictures in a space beside their own vectors.

**Paper** Bordes, Zablocki, Soulier, Piwowarski, Gallinari, "Incorporating Visual
Semantics into Sentence Representations within a Grounded Space", EMNLP 2019,
arXiv 2002.02734.

**Book** `sec-grounded_space`

**Symbols**
- `tokens (b, t)`, `after (b, t)` = a sentence and the one that follows it in a text
- `caption (m, t)`, `label (m,)`, `picture (m, p)` = sentences about pictures, which
  picture, and its features
- `sentence (b, d)` = s, what is kept; `grounded (m, g)` = its point in the grounded
  space
- `margin` = gamma; `cluster`, `perceptual` = alpha_C, alpha_P, weights of the losses

**Start**
- As PyTorch does; embeddings normal. The projection comes last, so that nets with and
  without one start with equal encoders and decoders.

**Differs from the paper**
- Small sizes, all ours; the projection has one hidden layer. One decoder, which writes
  the following sentence, begins with s as its state; it has the encoder's embeddings.
- Every triple and every pair of a batch counts, where one may also draw some of each.
- `StraightGrounding` is the control: the same losses on s itself.

**Builds on** nothing.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mmdl_lib.borders import (
    check_integers,
    check_labels,
    check_mask,
    check_number,
    check_numbers,
    check_same_length,
    check_some,
)
from mmdl_lib.core import Config, Model

Ids = Int[Tensor, "b t"]
Mask = Bool[Tensor, "b t"]


@dataclass(frozen=True, kw_only=True)
class GroundedSpaceConfig(Config):
    """Hyperparameters; no default is the paper's."""

    vocab: int = 20_000
    embed: int = 300
    width: int = 1024  # of s
    space: int = 512  # of the grounded space
    margin: float | int = 0.5
    cluster: float | int = 1.0
    perceptual: float | int = 1.0


def cosines(x: Float[Tensor, "m d"]) -> Float[Tensor, "m m"]:
    """Cosine of each row with each."""
    unit = F.normalize(x, dim=1)
    return unit @ unit.T


def together(label: Int[Tensor, " m"]) -> tuple[Tensor, Tensor]:
    """Pairs (i, j) of one picture, i != j, and pairs of two pictures, as (m, m).

    Raises:
        ValueError: no picture has two sentences, or there is one picture only.
    """
    check_labels("label", label)
    same = label[:, None] == label[None]
    pairs, apart = same & ~torch.eye(len(label), device=label.device).bool(), ~same
    if not label.is_meta and not (pairs.any() and apart.any()):
        raise ValueError(
            "label expected a picture with two sentences and another picture, got "
            f"{len(label.unique())} pictures of {len(label)} sentences."
        )
    return pairs, apart


def cluster_loss(
    grounded: Float[Tensor, "m g"],
    label: Int[Tensor, " m"],
    *,
    margin: float | int = 0.5,
) -> Float[Tensor, ""]:
    """Sentences of one picture nearer, by a margin, than sentences of two.

    Args:
        grounded: points of m sentences.
        label: the picture of each.
        margin: by how much.

    Raises:
        ValueError: unequal lengths, or as `together`.
    """
    check_same_length(grounded=grounded, label=label)
    pairs, apart = together(label)
    cosine = cosines(grounded)
    # max(0, gamma - cos(i, j) + cos(i, k)): j shares the picture of i, k does not
    hinge = (margin - cosine[:, :, None] + cosine[:, None, :]).relu()
    counted = (pairs[:, :, None] & apart[:, None, :]).to(hinge)
    return (hinge * counted).sum() / counted.sum()


def perceptual_loss(
    grounded: Float[Tensor, "m g"], picture: Float[Tensor, "m p"]
) -> Float[Tensor, ""]:
    """Minus the correlation, over all pairs, of both kinds of cosines; -1 is best.

    Args:
        grounded: points of m sentences.
        picture: features of the picture of each.

    Raises:
        ValueError: unequal lengths, fewer than three, or pictures that are all alike.

    Example:
        >>> x = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
        >>> round(perceptual_loss(5 * x.flip(1), x).item(), 4)
        -1.0
    """
    check_same_length(grounded=grounded, picture=picture)
    check_numbers("picture", picture, "m p")
    m = len(picture)
    if m < 3 and not picture.is_meta:
        raise ValueError(f"picture expected three or more, got {m}.")
    i, j = torch.triu_indices(m, m, 1, device=picture.device)
    x, y = cosines(grounded)[i, j], cosines(picture)[i, j]
    if not picture.is_meta and y.std() < 1e-6:
        raise ValueError("picture expected features that differ, got all alike.")
    # Pearson: the cosine of what is left when the means are taken away; 0 where all
    # points of the grounded space are one
    return -F.cosine_similarity(x - x.mean(), y - y.mean(), dim=0)


def cohesion(grounded: Float[Tensor, "m g"], label: Int[Tensor, " m"]) -> float:
    """Mean cosine of two sentences of one picture; 1, too, where all points are one.

    Raises:
        ValueError: as `cluster_loss`.

    Example:
        >>> x = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
        >>> round(cohesion(x, torch.tensor([0, 0, 1])), 4)
        0.7071
    """
    check_same_length(grounded=grounded, label=label)
    return cosines(grounded)[together(label)[0]].mean().item()


class GroundedSpace(Model):
    """A sentence encoder that learns from the next sentence and from pictures.

    Example:
        >>> model = GroundedSpace.from_preset("tiny")
        >>> batch = GroundedSpace.example_batch(model.config, 4)
        >>> s = model.encode_text(batch["tokens"], batch["mask"])
        >>> s.shape, model.ground(s).shape
        (torch.Size([4, 32]), torch.Size([4, 16]))
    """

    PRESETS = {
        "tiny": GroundedSpaceConfig(vocab=20, embed=16, width=32, space=16),
        "stories": GroundedSpaceConfig(vocab=57, embed=32, width=64, space=64),
        "large": GroundedSpaceConfig(),
    }
    LEARNED = {"main": 0.9}

    def __init__(self, config: GroundedSpaceConfig):
        super().__init__(config)
        check_number("margin", config.margin, 0)
        check_number("cluster", config.cluster, 0)
        check_number("perceptual", config.perceptual, 0)
        self.embed = nn.Embedding(config.vocab, config.embed)
        self.encoder = nn.GRU(config.embed, config.width, batch_first=True)
        self.decoder = nn.GRU(config.embed, config.width, batch_first=True)
        self.words = nn.Linear(config.width, config.vocab)
        self.projection = self.build(config)

    def build(self, c: GroundedSpaceConfig) -> nn.Module:
        """From s to the grounded space."""
        return nn.Sequential(
            *(nn.Linear(c.width, c.width), nn.ReLU(), nn.Linear(c.width, c.space)),
        )

    def encode_text(
        self, tokens: Int[Tensor, "b t"], mask: Bool[Tensor, "b t"]
    ) -> Float[Tensor, "b d"]:
        """s, the state after the last real word.

        Raises:
            ValueError: unknown words, padding in front, or nothing but padding.
        """
        check_words("tokens", tokens, mask, self.config.vocab)
        states, _ = self.encoder(self.embed(tokens * mask))
        last = mask.sum(1) - 1
        return states.take_along_dim(last[:, None, None], 1)[:, 0]

    def ground(self, sentence: Float[Tensor, "b d"]) -> Float[Tensor, "b g"]:
        """The points of sentences in the grounded space."""
        return self.projection(sentence)

    def text_loss(
        self,
        sentence: Float[Tensor, "b d"],
        after: Int[Tensor, "b t"],
        mask: Bool[Tensor, "b t"],
    ) -> Float[Tensor, ""]:
        """Nats a word of the sentence that follows, read off s, a mean over words.

        Raises:
            ValueError: as `encode_text`, or another number of sentences.
        """
        check_same_length(sentence=sentence, after=after)
        check_words("after", after, mask, self.config.vocab)
        states, _ = self.decoder(self.embed(after[:, :-1]), sentence[None])
        real = mask[:, 1:]
        check_some("after_mask behind the start", real)
        nats = F.cross_entropy(
            self.words(states).flatten(0, 1), after[:, 1:].flatten(), reduction="none"
        )
        return (nats * real.flatten()).sum() / real.sum()

    def loss(self, batch, *, phase="main", generator=None) -> dict[str, Tensor]:
        """L_text + alpha_C L_cluster + alpha_P L_perceptual; no term of weight 0."""
        c = self.config
        sentence = self.encode_text(batch["tokens"], batch["mask"])
        text = self.text_loss(sentence, batch["after"], batch["after_mask"])
        terms = {"loss": text, "text": text}
        if c.cluster == c.perceptual == 0:
            return terms
        told = self.encode_text(batch["caption"], batch["caption_mask"])
        grounded = self.ground(told)
        if c.cluster > 0:
            terms["cluster"] = cluster_loss(grounded, batch["label"], margin=c.margin)
            terms["loss"] = terms["loss"] + c.cluster * terms["cluster"]
        if c.perceptual > 0:
            terms["perceptual"] = perceptual_loss(grounded, batch["picture"])
            terms["loss"] = terms["loss"] + c.perceptual * terms["perceptual"]
        return terms

    @classmethod
    def example_batch(cls, config, n: int, *, generator=None) -> dict[str, Tensor]:
        """Random words; two sentences about each picture."""
        rows, length = {}, torch.tensor([6, 4])[torch.arange(n) % 2, None]
        masks = {"tokens": "mask", "after": "after_mask", "caption": "caption_mask"}
        for name, mask in masks.items():
            rows[name] = torch.randint(3, config.vocab, (n, 6), generator=generator)
            rows[mask] = torch.arange(6) < length
        label = torch.arange(n) // 2
        picture = torch.randn(n, 8, generator=generator)[label]
        return rows | {"label": label, "picture": picture}


class StraightGrounding(GroundedSpace):
    """The control: losses of grounding on s itself, without a space beside it."""

    def build(self, c: GroundedSpaceConfig) -> nn.Module:
        """s is the point."""
        return nn.Identity()


def check_words(name: str, tokens: Tensor, mask: Tensor, vocab: int) -> None:
    """Check sentences against a vocabulary.

    Raises:
        ValueError: no ids below vocab, padding in front or between, an empty row.
    """
    if tokens.ndim != 2:
        raise ValueError(f"{name} expected shape (b, t), got {tuple(tokens.shape)}.")
    prefix = "" if name == "tokens" else f"{name}_"
    check_mask(mask, name=f"{prefix}mask", shape=tokens.shape)
    check_integers(name, tokens, 0, vocab - 1)
