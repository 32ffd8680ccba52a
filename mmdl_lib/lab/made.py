"""A made-up pair of languages, in which every link is known and no word is a guess.

A sentence is a row of noun phrases and one verb. The source says the noun before its
adjective and the verb at the end; the target says the adjective first and the verb
behind the first phrase:

    n7 a2  n31  n12 a9  v4   ->   A2 N7  V4  N31  A9 N12

Words are drawn at random, so nothing but the source tells which one comes next. Each
source word has one translation: links are all sure, and complete.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from mmdl_lib.borders import check_number
from mmdl_lib.core import generator

START, END = 1, 2
NOUNS, ADJECTIVES, VERBS = 40, 20, 20
VOCAB = 3 + NOUNS + ADJECTIVES + VERBS


class Sentences(NamedTuple):
    """Pairs of sentences, padded and framed.

    Attributes:
        source, tokens: ids; masks: True = real.
        link: (b, t) the place in the source of the word after each target position,
            -1 where that is no word.
    """

    source: Int[Tensor, "b n"]
    source_mask: Bool[Tensor, "b n"]
    tokens: Int[Tensor, "b t"]
    mask: Bool[Tensor, "b t"]
    link: Int[Tensor, "b t"]

    def batch(self) -> dict[str, Tensor]:
        """What a translator eats."""
        names = ("source", "source_mask", "tokens", "mask")
        return {name: getattr(self, name) for name in names}


def draw(b: int, words: int, seed: int, *, least: int = 4) -> Sentences:
    """`b` pairs of `least` to `words` words each.

    Raises:
        ValueError: fewer than one sentence or two words, or `least` above `words`.
    """
    check_number("b", b, 1, whole=True)
    check_number("least", least, 2, whole=True)
    check_number("words", words, least, whole=True)
    random = generator(seed)
    sizes = torch.randint(least, words + 1, (b,), generator=random).tolist()
    rows = [_pair(size, random) for size in sizes]
    source, tokens, link = zip(*rows, strict=True)
    found = [pad_sequence(part, batch_first=True) for part in (source, tokens)]
    size = torch.tensor([len(row) for row in source])
    mask = torch.arange(found[0].shape[1]) < size[:, None]
    link = pad_sequence(link, batch_first=True, padding_value=-1)
    return Sentences(found[0], mask, found[1], mask.clone(), link)


def _pair(size: int, random: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Source, target and links of one sentence."""

    def pick(count: int) -> int:
        return int(torch.randint(count, (), generator=random))

    phrases, left = [], size - 1
    while left:
        noun, place = 3 + pick(NOUNS), size - 1 - left
        if left > 1 and pick(2):
            adjective = 3 + NOUNS + pick(ADJECTIVES)
            phrases.append([(noun, place), (adjective, place + 1)])
        else:
            phrases.append([(noun, place)])
        left -= len(phrases[-1])
    verb = (3 + NOUNS + ADJECTIVES + pick(VERBS), size - 1)
    source = [word for phrase in phrases for word in phrase] + [verb]
    target = [phrase[::-1] for phrase in phrases]
    target = [*target[0], verb, *(word for phrase in target[1:] for word in phrase)]
    said = [START, *(id for id, _ in source), END]
    # the target's ids are the source's in another order of the dictionary
    meant = [START, *(3 + (7 * (id - 3) + 5) % (VOCAB - 3) for id, _ in target), END]
    links = [place + 1 for _, place in target] + [-1, -1]
    return torch.tensor(said), torch.tensor(meant), torch.tensor(links)


@torch.no_grad()
def accuracy(model, some: Sentences) -> float:
    """Share of target words that are the likeliest, the true ones before them given."""
    logits = model.eval().logits(some.tokens, some.source, some.source_mask)
    right = logits[:, :-1].argmax(-1) == some.tokens[:, 1:]
    word = some.link[:, :-1] >= 0
    return (right & word).sum().item() / word.sum().item()


@torch.no_grad()
def found(weights: Float[Tensor, "b t n"], some: Sentences) -> dict[str, float]:
    """Share of links at the largest weight: of all, and of those off the diagonal."""
    word = some.link >= 0
    hit = weights.argmax(-1) == some.link
    place = torch.arange(some.link.shape[1])
    far = word & ((some.link - place - 1).abs() >= 2)
    share = {"links": word, "moved": far}
    return {k: (hit & v).sum().item() / v.sum().item() for k, v in share.items()}


def words(ids: Int[Tensor, " t"], *, translated: bool = False) -> list[str]:
    """Names without frames, such as n7, a2, v4; capitals in the target's language.

    A word and its translation have the same letter and number.
    """
    inside = [i - 3 for i in ids.tolist() if i > END]
    if translated:  # 23 * 7 = 161 = 1 modulo 80
        inside = [23 * (i - 5) % (VOCAB - 3) for i in inside]
    ends = (NOUNS, NOUNS + ADJECTIVES)
    kinds = [(i >= ends[0]) + (i >= ends[1]) for i in inside]
    starts = (0, *ends)
    names = [f"{'nav'[k]}{i - starts[k]}" for k, i in zip(kinds, inside, strict=True)]
    return [name.upper() for name in names] if translated else names
