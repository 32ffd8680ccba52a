"""A made world whose texts leave out what everyone sees: how things look.

112 made-up nouns name things. Each thing belongs to one of four topics, which texts
tell: things of the sea swim and sink, at the beach or in the harbor. Each has a color
and a shape, which texts leave out; every color occurs equally often in every topic, so
that no topic tells a color. Sixteen nouns are homonyms: they name one thing in one
topic and another thing, of another color, in another.

Of the nouns with one meaning a third is never shown: no caption names them, texts do.
"""

from dataclasses import dataclass, fields, replace
from functools import cache
from itertools import product
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mmdl_lib.borders import check_number
from mmdl_lib.core import Model, generator
from mmdl_lib.data import shapes
from mmdl_lib.data.shapes import COLORS
from mmdl_lib.models.bert import BERT, BERTConfig
from mmdl_lib.models.vokenization import IGNORE, Retriever, RetrieverConfig
from mmdl_lib.pretrained import small

PAD, UNK, CLS, SEP, MASK = range(5)
SHAPES = ("circle", "square", "star")
LOOKS = tuple(product(COLORS, SHAPES))  # 24 of them
TOPICS = {
    "sea": ("swims sinks dives floats drifts", "beach harbor bay reef port"),
    "farm": ("grazes digs grows eats ripens", "field barn meadow yard stable"),
    "home": ("sits hangs stands shines leans", "kitchen hall cellar attic garage"),
    "sky": ("flies soars hovers glides climbs", "clouds wind mist storm air"),
}
VERBS, PLACES = (
    [text[i].split() for text in TOPICS.values()] for i in range(len(("verb", "place")))
)
GLUE = ("the", "and", "in", "often", "today", "which", "is")
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
SINGLE, HOMONYMS = len(LOOKS) * len(TOPICS), 16
LENGTH = 13  # tokens of the longest sentence, with [CLS] and [SEP]
NOUN = 3  # place of the noun: [CLS] often the NOUN
BOTH = SINGLE + HOMONYMS


@cache
def nouns() -> tuple[str, ...]:
    """The made-up words: topic after topic, look after look, and then the homonyms."""
    heads, tails = "bdfgklmnprtvz", ("ako", "elu", "imo", "opa", "uri", "asse", "ondi")
    made = [a + b + c for c in ("", "n") for b in tails for a in heads]
    order = torch.randperm(len(made), generator=generator(335)).tolist()
    return tuple(made[i] for i in order[:BOTH])


@cache
def vocabulary() -> tuple[str, ...]:
    """All tokens by their numbers."""
    said = [word for group in (*VERBS, *PLACES) for word in group]
    return (*SPECIAL, *GLUE, *COLORS, *said, *nouns())


@cache
def ids() -> dict[str, int]:
    """The number of each token."""
    return {word: i for i, word in enumerate(vocabulary())}


@cache
def senses() -> Int[Tensor, "n 4"]:
    """The look of each noun in each topic, as a number of `LOOKS`; -1 for none."""
    look = torch.full((BOTH, len(TOPICS)), -1)
    row = torch.arange(SINGLE)
    look[row, row // len(LOOKS)] = row % len(LOOKS)
    for i in range(HOMONYMS):
        one, other = i % 4, (i + 1 + i // 8) % 4
        look[SINGLE + i, one] = (3 * i + 1) % len(LOOKS)
        look[SINGLE + i, other] = (3 * i + 10) % len(LOOKS)  # three colors further
    return look


def shown() -> Bool[Tensor, " n"]:
    """Which nouns captions name: two of three with one meaning, and all homonyms."""
    row = torch.arange(BOTH)
    return (row >= SINGLE) | ((row % 3 + row // len(LOOKS)) % 3 > 0)


@dataclass(frozen=True)
class Texts:
    """Sentences, and what they are about.

    Attributes:
        tokens: [CLS] sentence [SEP].
        mask: True on tokens.
        noun: its number.
        topic: in which it is used.
        look: of what it names here, a number of `LOOKS`.
    """

    tokens: Int[Tensor, "b t"]
    mask: Bool[Tensor, "b t"]
    noun: Int[Tensor, " b"]
    topic: Int[Tensor, " b"]
    look: Int[Tensor, " b"]

    @property
    def color(self) -> Int[Tensor, " b"]:
        """Of what the noun names here, a number of `COLORS`."""
        return self.look // len(SHAPES)

    def __getitem__(self, rows) -> "Texts":
        return Texts(*(getattr(self, field.name)[rows] for field in fields(self)))

    def __len__(self) -> int:
        return len(self.noun)


def sentences(
    n: int,
    seed: int,
    *,
    among: Bool[Tensor, " n"] | None = None,
    said: float | int = 0.0,
) -> Texts:
    """n sentences, all nouns equally often but for chance.

    Args:
        n: how many.
        seed: of the choice.
        among: which nouns; all by default.
        said: share of the sentences that say the color: "which is red".

    Raises:
        ValueError: no sentence, or no share.
    """
    check_number("n", n, 1, whole=True)
    check_number("said", said, 0, 1)
    g, look = generator(seed), senses()
    known = torch.arange(BOTH) if among is None else among.nonzero()[:, 0]
    noun = known[torch.randint(len(known), (n,), generator=g)]
    # of a homonym one topic or the other, by a coin
    chance = torch.rand(n, len(TOPICS), generator=g).masked_fill(look[noun] < 0, -1)
    topic = chance.argmax(1)
    look = look[noun, topic]
    pick = torch.randint(5, (n, 3), generator=g)
    first = torch.rand(n, generator=g) < 0.5
    tells = torch.rand(n, generator=g) < said
    rows = []
    for i in range(n):
        t = topic[i].item()
        a, b, c = pick[i].tolist()
        words = ["often" if first[i] else "today", "the", nouns()[noun[i]]]
        if tells[i]:
            words += ["which", "is", LOOKS[look[i]][0]]
        words += [VERBS[t][a], "and", VERBS[t][b], "in", "the", PLACES[t][c]]
        rows.append([CLS, *(ids()[w] for w in words), SEP])
    tokens = torch.tensor([row + [PAD] * (LENGTH + 1 - len(row)) for row in rows])
    return Texts(tokens, tokens != PAD, noun, topic, look)


def words(tokens: Int[Tensor, " t"]) -> list[str]:
    """The tokens of one sentence in letters, without padding."""
    return [vocabulary()[i] for i in tokens.tolist() if i != PAD]


class Pictures(NamedTuple):
    """Pictures of single things.

    Attributes:
        image: bytes.
        feature: what our CLIP's tower says of them, of length one.
        look: a number of `LOOKS`.
    """

    image: Tensor
    feature: Float[Tensor, "n p"]
    look: Int[Tensor, " n"]


@cache
def pictures(n: int, seed: int) -> Pictures:
    """n pictures of every look, at random sizes and places; look after look."""
    names = {"shapes": SHAPES, "held_out": "include", "textures": "solid"}
    scenes = shapes.sample(40 * len(LOOKS) * n // 8, seed=seed, objects=1, **names)
    index = [shapes.SHAPES.index(name) for name in SHAPES]
    found = torch.tensor([index.index(s) for s in scenes.shape[:, 0].tolist()])
    look = len(SHAPES) * scenes.color[:, 0] + found
    kept = torch.cat([(look == k).nonzero()[:n, 0] for k in range(len(LOOKS))])
    if len(kept) < n * len(LOOKS):
        raise ValueError(f"expected {n} pictures of each look, got fewer.")
    image = scenes[kept].render(32)
    tower = small.load("clip").eval()
    with torch.no_grad():
        pages = shapes.to_float(image).split(250)
        feature = torch.cat([tower.encode_image(page) for page in pages])
    return Pictures(image, F.normalize(feature, dim=1), look[kept])


def beside(texts: Texts, pool: Pictures, seed: int) -> Float[Tensor, "b p"]:
    """Features of a picture for each sentence, of what it is about."""
    each = len(pool.look) // len(LOOKS)
    which = torch.randint(each, (len(texts),), generator=generator(seed))
    return pool.feature[each * texts.look + which]


SMALL = BERTConfig(
    vocab=len(vocabulary()),
    width=64,
    depth=2,
    heads=4,
    positions=LENGTH + 1,
    segments=1,
    dropout=0.0,
    cls_token=CLS,
    sep_token=SEP,
    mask_token=MASK,
)
RETRIEVER = RetrieverConfig(text=SMALL, picture=64, hidden=64, width=32, dropout=0.0)


def widened(model, *, start: float | int = 0.07):
    """BERT's tables and matrices as large as a small width wants them; no heads."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 2 and "_head" not in name:
                parameter *= start / 0.02
    return model


class Alone(Retriever):
    """A retriever whose tokens see only themselves: one voken a word, no context."""

    def encode_tokens(self, tokens, mask):
        """As in `Retriever`, without attention to others."""
        itself = torch.eye(tokens.shape[1], dtype=torch.bool).expand(
            len(tokens), -1, -1
        )
        x = self.token_head(self.text.hidden(tokens, itself))
        return F.normalize(x, dim=-1) * mask[..., None]


def dealt(texts: Texts, seed: int) -> Texts:
    """The same sentences with the nouns of each topic dealt anew.

    Whoever gets vokens of these has vokens that are as regular as the right ones, and
    that belong to another thing. Homonyms are dealt among themselves.
    """
    g, to = generator(seed), torch.arange(BOTH)
    groups = [torch.arange(k * 24, k * 24 + 24) for k in range(4)]
    groups += [
        (senses()[SINGLE:] >= 0).eq(kind).all(1).nonzero()[:, 0] + SINGLE
        for kind in (senses()[SINGLE:] >= 0).unique(dim=0)
    ]
    for group in groups:
        # turned in a random order: none keeps its own
        order = group[torch.randperm(len(group), generator=g)]
        to[order] = order.roll(1)
    tokens = texts.tokens.clone()
    tokens[:, NOUN] = to[texts.noun] + ids()[nouns()[0]]
    return replace(texts, tokens=tokens)


def noise(vokens: Int[Tensor, "b t"], count: int, seed: int) -> Int[Tensor, "b t"]:
    """A random voken wherever there is one."""
    other = torch.randint(count, vokens.shape, generator=generator(seed))
    return torch.where(vokens == IGNORE, IGNORE, other)


class Namer(Model):
    """The color of what a sentence is about: one linear layer on a trunk."""

    def __init__(self, trunk: BERT):
        super().__init__(trunk.config)
        self.trunk = trunk
        self.head = nn.Linear(trunk.config.width, len(COLORS))

    def forward(self, tokens, mask):
        return self.head(meaning(self.trunk, tokens, mask))

    def loss(self, batch, *, phase="main", generator=None):
        """Cross-entropy of `label`; the trunk learns as well."""
        logits = self(batch["tokens"], batch["mask"])
        return {"loss": F.cross_entropy(logits, batch["label"])}


def meaning(trunk: BERT, tokens: Tensor, mask: Tensor) -> Float[Tensor, "b d"]:
    """The mean vector of a sentence's words."""
    words = trunk.words(tokens, mask)[..., None]
    return (trunk.hidden(tokens, mask) * words).sum(1) / words.sum(1)


@torch.no_grad()
def features(trunk: BERT, texts: Texts) -> Float[Tensor, "b d"]:
    """`meaning` of many sentences, in evaluation mode."""
    parts = zip(texts.tokens.split(500), texts.mask.split(500), strict=True)
    return torch.cat([meaning(trunk.eval(), *part) for part in parts])


def labeled(each: int, seed: int) -> Bool[Tensor, " n"]:
    """So many nouns of each color, of those with one meaning that captions name.

    Each is of another topic, so that with four a color no topic tells a color, neither
    of nouns with labels nor of those that are left.
    """
    check_number("each", each, 1, len(TOPICS), whole=True)
    look, g = senses()[:SINGLE], generator(seed)
    chosen = torch.zeros(BOTH, dtype=torch.bool)
    for k in range(len(COLORS)):
        for topic in range(k, k + each):
            there = look[:, topic % len(TOPICS)]
            rows = (
                (there // len(SHAPES) == k) & (there >= 0) & shown()[:SINGLE]
            ).nonzero()
            chosen[rows[torch.randint(len(rows), (), generator=g)]] = True
    return chosen


def kinds(chosen: Bool[Tensor, " n"]) -> dict[str, Bool[Tensor, " n"]]:
    """Nouns that are asked, none of them with labels: new, homonyms, never shown."""
    single = torch.arange(BOTH) < SINGLE
    new = single & shown() & ~chosen
    return {"new": new, "homonym": ~single, "never shown": ~shown()}


def by_kind(right: Bool[Tensor, " b"], texts: Texts, chosen: Tensor) -> dict:
    """Share of right answers for each kind of noun."""
    return {
        name: right[which[texts.noun]].double().mean().item()
        for name, which in kinds(chosen).items()
    }
