"""Stories of two sentences: a world in which pairs have a topic and an order.

A story is about one of six topics and goes through four stages in a circle. Each topic
has four nouns, each stage four verbs, which all topics share. A sentence is a noun and
a verb. Two sentences that follow each other have one topic, and the stage of the second
is the next one. So a hidden noun or verb can only be told from the other sentence.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mmdl_lib.borders import check_number
from mmdl_lib.core import Model, generator
from mmdl_lib.lab.masks import CLS, MASK, SEP, SPECIAL
from mmdl_lib.models.bert import BERT, BERTConfig, pairs

TOPICS, STAGES, NAMES = 6, 4, 4  # names: nouns of a topic, verbs of a stage
NOUN = len(SPECIAL)
VERB = NOUN + TOPICS * NAMES
VOCAB = VERB + STAGES * NAMES
RELATIONS = ("later", "earlier", "another story")


class Stories(NamedTuple):
    """Two sentences each.

    Attributes:
        first, second: their words, without frames.
        topic: of the first.
        relation: of the second to the first, as a place in `RELATIONS`.
    """

    first: Int[Tensor, "b w"]
    second: Int[Tensor, "b w"]
    topic: Int[Tensor, " b"]
    relation: Int[Tensor, " b"]


def sentence(
    topic: Int[Tensor, " b"], stage: Int[Tensor, " b"], generator: torch.Generator
) -> Int[Tensor, "b 2"]:
    """A noun of the topic and a verb of the stage."""
    name = torch.randint(NAMES, (2, len(topic)), generator=generator)
    noun, verb = NOUN + NAMES * topic + name[0], VERB + NAMES * stage + name[1]
    return torch.stack([noun, verb], 1)


def draw(b: int, seed: int, *, relations: int = 1) -> Stories:
    """Pairs of sentences whose second one is later, or any of the first relations.

    Args:
        b: how many.
        seed: of all that is random.
        relations: 1, all follow; 2, a half goes back; 3, a third each, with pairs of
            two topics, whose stage is the next one or the one before.

    Raises:
        ValueError: no stories, or no such number of relations.
    """
    check_number("b", b, 1, whole=True)
    check_number("relations", relations, 1, high=len(RELATIONS), whole=True)
    random = generator(seed)
    topic = torch.randint(TOPICS, (b,), generator=random)
    stage = torch.randint(STAGES, (b,), generator=random)
    relation = torch.randint(relations, (b,), generator=random)
    coin = torch.randint(2, (b,), generator=random)
    step = torch.where(relation == 2, coin, relation)  # 0 forward, 1 back
    away = torch.randint(1, TOPICS, (b,), generator=random) * (relation == 2)
    first = sentence(topic, stage, random)
    after = (topic + away) % TOPICS, (stage + 1 - 2 * step) % STAGES
    return Stories(first, sentence(*after, random), topic, relation)


def framed(
    first: Int[Tensor, "b w"], second: Int[Tensor, "b w"] | None = None
) -> dict[str, Tensor]:
    """What BERT reads: [CLS] A [SEP], or [CLS] A [SEP] B [SEP]; no row has padding."""
    b, width = first.shape
    start, end = torch.full((b, 1), CLS), torch.full((b, 1), SEP)
    parts = [start, first, end] + ([] if second is None else [second, end])
    tokens = torch.cat(parts, 1)
    segments = (torch.arange(tokens.shape[1]) > width + 1).long().expand_as(tokens)
    mask = torch.ones_like(tokens, dtype=torch.bool)
    return {"tokens": tokens, "mask": mask, "segments": segments}


def mixed(batch: dict, random: torch.Generator) -> dict:
    """Half of the stories get the second sentence of another; see `bert.pairs`."""
    second, label = pairs(len(batch["first"]), generator=random)
    return framed(batch["first"], batch["second"][second]) | {"label": label}


def whole(batch: dict, random: torch.Generator) -> dict:
    """All stories as they are, and no label."""
    return framed(**batch)


class Reader(BERT):
    """BERT that may leave out one of its two tasks.

    Attributes:
        tasks: which parts of the loss count.
    """

    tasks = ("words", "follows")

    def loss(self, batch, *, phase="main", generator=None):
        terms = super().loss(batch, phase=phase, generator=generator)
        return {"loss": sum(terms[name] for name in self.tasks)}


class Sorter(Model):
    """A label for a text: one linear layer on what [CLS] says, all of it trained."""

    def __init__(self, trunk: BERT, classes: int):
        super().__init__(trunk.config)
        self.trunk, self.head = trunk, nn.Linear(trunk.config.width, classes)

    def forward(self, tokens, mask, segments):
        x = self.trunk.hidden(tokens, mask, segments)[:, 0]
        return self.head(torch.tanh(self.trunk.pool(x)))

    def loss(self, batch, *, phase="main", generator=None):
        """Cross-entropy; the trunk's own heads have no part."""
        logits = self(*(batch[k] for k in ("tokens", "mask", "segments")))
        return {"loss": F.cross_entropy(logits, batch["label"])}


def topics(some: Stories) -> dict[str, Tensor]:
    """A label of one sentence: which topic it is about."""
    return framed(some.first) | {"label": some.topic}


def relations(some: Stories) -> dict[str, Tensor]:
    """A label of two: is the second later, earlier, or of another story?"""
    return framed(some.first, some.second) | {"label": some.relation}


TASKS = {"sentence": (topics, TOPICS), "pair": (relations, len(RELATIONS))}


@torch.no_grad()
def right(model: Sorter, task: dict) -> Bool[Tensor, " b"]:
    """Where the likeliest label is the true one."""
    model.eval()
    logits = model(*(task[k] for k in ("tokens", "mask", "segments")))
    return logits.argmax(1) == task["label"]


@torch.no_grad()
def follows(model: BERT, first: Tensor, second: Tensor) -> float:
    """Share of pairs of which the net says that the second follows the first."""
    said = model.eval()(*framed(first, second).values()).follows
    return (said.argmax(1) == 0).double().mean().item()


@torch.no_grad()
def nats(model: BERT, some: Stories, seed: int) -> float:
    """Mean -log p of one hidden noun or verb of each second sentence.

    Args:
        model: what guesses.
        some: true stories.
        seed: of the places.
    """
    row = torch.arange(len(some.second))
    place = torch.randint(some.second.shape[1], row.shape, generator=generator(seed))
    read = framed(some.first, some.second)
    at = place + some.first.shape[1] + 2
    read["tokens"][row, at] = MASK
    x = model.eval().hidden(*read.values())[row, at]
    return F.cross_entropy(model.guess(x), some.second[row, place]).item()


def together(some: Stories) -> Float[Tensor, "k k"]:
    """How much more often than by chance two words come in one story, as log ratios.

    It does not matter which of them comes first: a bag of words knows no order.
    """
    count = torch.full((VOCAB, VOCAB), 0.1)
    for left in some.first.T:
        for word in some.second.T:
            one = torch.ones(len(left))
            count.index_put_((left, word), one, accumulate=True)
    count = count + count.T
    share = count / count.sum()
    return (share / (share.sum(0) * share.sum(1)[:, None])).log()


def fits(table: Float[Tensor, "k k"], first: Tensor, second: Tensor) -> Tensor:
    """The sum of the table over all words of one sentence and all of the other."""
    return table[first[:, :, None], second[:, None]].sum((1, 2))


def small(width: int, depth: int = 2) -> BERTConfig:
    """A BERT for these stories."""
    return BERTConfig(
        vocab=VOCAB, width=width, depth=depth, heads=4, positions=7,
        dropout=0.0, cls_token=CLS, sep_token=SEP, mask_token=MASK,
    )  # fmt: skip
