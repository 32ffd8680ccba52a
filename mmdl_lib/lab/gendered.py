"""Translations that only a picture decides: German nouns have a gender.

    a large red star  ->  ein großer roter stern      (der Stern)
    a large red heart ->  ein großes rotes herz       (das Herz)
    a large red one   ->  ein großer roter, or ein großes rotes

Half of the world's shapes are masculine in German and half neuter, so whoever only
reads the last sentence must guess. The net is the book's `Transformer`; a picture is
one more vector in its memory, a linear map of what our CLIP says of it.
"""

from functools import cache
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mmdl_lib.borders import check_number, check_some
from mmdl_lib.core import generator, seeded
from mmdl_lib.data import shapes
from mmdl_lib.data.shapes import Scenes
from mmdl_lib.data.text import WordTokenizer
from mmdl_lib.models.transformer import Transformer, TransformerConfig
from mmdl_lib.nn.decode import greedy
from mmdl_lib.pretrained import small

MASCULINE = {"star": "stern", "ring": "ring", "circle": "kreis", "moon": "mond"}
NEUTER = {"square": "quadrat", "triangle": "dreieck", "cross": "kreuz", "heart": "herz"}
NOUNS = MASCULINE | NEUTER
COLORS = {"red": "rot", "green": "grün", "blue": "blau", "yellow": "gelb"}
COLORS |= {"purple": "violett", "cyan": "türkis"}
SIZES = {"small": "klein", "large": "groß"}
ENDINGS = ("er", "es")
ENGLISH = ("a", "one", *SIZES, *COLORS, *NOUNS)
GERMAN = tuple(w + e for w in (*SIZES.values(), *COLORS.values()) for e in ENDINGS)
# "ring" is a word of both
WORDS = list(dict.fromkeys((*ENGLISH, "ein", *GERMAN, *NOUNS.values())))
TOKENIZER = WordTokenizer(WORDS, length=6)


class Sentences(NamedTuple):
    """Scenes, what is said of each, and what it means.

    Attributes:
        scenes: of one object.
        left_out: whether the English sentence leaves the noun out.
        english, german: the sentences.
        batch: both as tokens, and the pictures' vectors, as `Seeing` takes them.
    """

    scenes: Scenes
    left_out: Bool[Tensor, " n"]
    english: list[str]
    german: list[str]
    batch: dict[str, Tensor]


@cache
def _clip():
    return small.load("clip", "shapes").eval()


def said(size: str, color: str, shape: str, *, left_out: bool) -> tuple[str, str]:
    """The sentence in English and in German.

    Example:
        >>> said("large", "red", "heart", left_out=True)
        ('a large red one', 'ein großes rotes')
    """
    ending = ENDINGS[shape in NEUTER]
    german = f"ein {SIZES[size]}{ending} {COLORS[color]}{ending}"
    if left_out:
        return f"a {size} {color} one", german
    return f"a {size} {color} {shape}", f"{german} {NOUNS[shape]}"


def sample(n: int, seed: int, *, left_out: float | int) -> Sentences:
    """Scenes of one object with a sentence each.

    Args:
        n: how many.
        seed: of scenes and of which sentences leave the noun out.
        left_out: their share.

    Raises:
        ValueError: a share outside [0, 1], or what `shapes.sample` refuses.
    """
    check_number("left_out", left_out, 0, 1)
    world = {"objects": 1, "textures": "solid", "held_out": "include"}
    world |= {"colors": tuple(COLORS), "sizes": tuple(SIZES)}
    scenes = shapes.sample(n, seed=seed, **world)
    without = torch.rand(n, generator=generator(seed + 1)) < left_out
    pairs = [
        said(thing.size, thing.color, thing.shape, left_out=gone)
        for (thing,), gone in zip(scenes.things(), without.tolist(), strict=True)
    ]
    english, german = (list(some) for some in zip(*pairs, strict=True))
    source, source_mask = TOKENIZER(english)
    tokens, mask = TOKENIZER(german)
    batch = {"tokens": tokens, "mask": mask}
    batch |= {"source": source, "source_mask": source_mask, "seen": seen(scenes)}
    return Sentences(scenes, without, english, german, batch)


@torch.no_grad()
def seen(scenes: Scenes) -> Float[Tensor, "n d"]:
    """What our CLIP says of the pictures."""
    pixels = shapes.to_float(scenes.render(32))
    return torch.cat([_clip().encode_image(some) for some in pixels.split(256)])


class Seeing(Transformer):
    """A Transformer whose memory holds one more vector, of a picture.

    Args:
        width_seen: of the picture's vector.
        blind: leave the picture out, so that only the sentence is read.
    """

    def __init__(self, config: TransformerConfig, *, width_seen: int, blind: bool):
        super().__init__(config)
        self.look, self.blind = nn.Linear(width_seen, config.width), blind

    def remembered(self, batch: dict) -> tuple[Tensor, Tensor]:
        """Vectors of the sentence and of the picture, and which of them are real."""
        words, real = batch["source"], batch["source_mask"]
        x = self.encode(words, real)
        if self.blind:
            return x, real
        picture = self.look(batch["seen"])[:, None]
        there = torch.ones_like(real[:, :1])
        # the picture first: padding stays last
        return torch.cat([picture, x], 1), torch.cat([there, real], 1)

    def said(self, batch: dict, tokens: Tensor, mask: Tensor) -> Float[Tensor, "b t k"]:
        """Logits of what follows each German word."""
        memory, real = self.remembered(batch)
        x = self.decoder(
            self.embed(tokens), mask, causal=True, memory=memory, memory_mask=real
        )
        return self.read_out(x)

    def loss(self, batch: dict, *, phase="main", generator=None) -> dict[str, Tensor]:
        """Cross-entropy of each next German word."""
        tokens, mask = batch["tokens"], batch["mask"]
        with seeded(generator):
            logits = self.said(batch, tokens[:, :-1], mask[:, :-1])
        nats = nn.functional.cross_entropy(logits.mT, tokens[:, 1:], reduction="none")
        check_some("mask behind the start", mask[:, 1:])
        return {"loss": (nats * mask[:, 1:]).sum() / mask[:, 1:].sum()}

    @torch.no_grad()
    def translated(self, batch: dict) -> Int[Tensor, "b t"]:
        """The likeliest German words, one after the other, framed."""
        self.eval()
        memory, real = self.remembered(batch)
        start, longest = batch["tokens"][:, 0], batch["tokens"].shape[1] - 1
        state = 0, self.decoder.new_cache(), memory, real
        end = self.config.end
        told = greedy(self.step, start, state, end=end, max_length=longest).tokens
        told = nn.functional.pad(told, (0, longest - told.shape[1]), value=end)
        return torch.cat([start[:, None], told], 1)


def net(seed: int, *, blind: bool) -> Seeing:
    """A new net of this size."""
    torch.manual_seed(seed)
    sizes = {"vocab": TOKENIZER.vocab, "width": 48, "depth": 1, "heads": 4}
    config = TransformerConfig(**sizes, smoothing=0.0, dropout=0.0, start=1, end=2)
    return Seeing(config, width_seen=_clip().config.embed, blind=blind)


def right(
    told: Int[Tensor, "n t"], wanted: Int[Tensor, "n t"]
) -> dict[str, Bool[Tensor, " n"]]:
    """Which translations are right, and which are so but for their endings.

    Args:
        told: of `Seeing.translated`; what follows the end counts for nothing.
        wanted: padded behind the end.
    """
    ended = (wanted == 2).int().cumsum(1) - (wanted == 2).int() > 0
    stem = _stems()
    alike = (stem[told] == stem[wanted]) | ended
    same = (told == wanted) | ended
    return {"right": same.all(1), "but for endings": alike.all(1)}


@cache
def _stems() -> Int[Tensor, " v"]:
    """One number for words that differ in their ending only."""
    stem = torch.arange(TOKENIZER.vocab)
    for word in (*SIZES.values(), *COLORS.values()):
        stem[TOKENIZER.ids[word + "es"]] = TOKENIZER.ids[word + "er"]
    return stem
