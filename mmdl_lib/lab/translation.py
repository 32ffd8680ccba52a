"""What the translators are trained on and asked: clauses, batches, alignments.

Source is Spanish, target English: the reader can judge what comes out.
"""

from collections.abc import Callable, Iterable
from functools import cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from mmdl_lib.borders import check_number
from mmdl_lib.core import generator
from mmdl_lib.data import verses
from mmdl_lib.data.verses import Verses
from mmdl_lib.metrics.alignment_error_rate import alignment_error_rate

LENGTH = 20  # most words of a clause, on either side


class Pairs(NamedTuple):
    """Clauses and their pieces; row i of each belongs together.

    Attributes:
        text: the words and their links.
        source, target: ids of the pieces of each clause, framed.
        source_word, target_word: the word that each piece belongs to, -1 for a frame.
    """

    text: Verses
    source: list[Tensor]
    target: list[Tensor]
    source_word: list[list[int]]
    target_word: list[list[int]]

    def batch(self, rows: Iterable[int]) -> dict[str, Tensor]:
        """What a translator eats."""
        rows = list(rows)
        found = {}
        for name, mask, lists in (
            ("source", "source_mask", self.source),
            ("tokens", "mask", self.target),
        ):
            some = [lists[i] for i in rows]
            found[name] = pad_sequence(some, batch_first=True)
            size = torch.tensor([len(one) for one in some])
            found[mask] = torch.arange(found[name].shape[1]) < size[:, None]
        return found

    def take(self, rows: Iterable[int]) -> "Pairs":
        """Some of the rows, in the order given."""
        rows = list(rows)
        lists = ([part[i] for i in rows] for part in self[1:])
        return Pairs(self.text.take(rows), *lists)


@cache
def pairs(split: str, *, longest: int = LENGTH, least: int = 3) -> Pairs:
    """Clauses of the training, validation or test books, with their pieces.

    What stands in them twice, such as "and the lord spake unto moses , saying ,", is
    kept once.
    """
    text = verses.load(split).clauses().short(longest, least=least)
    both = zip(map(tuple, text.english), map(tuple, text.spanish), strict=True)
    first = {pair: i for i, pair in reversed(list(enumerate(both)))}
    text = text.take(sorted(first.values()))
    sides = []
    for language in ("spanish", "english"):
        pieces = verses.pieces(language)
        found = [pieces.encode(words) for words in getattr(text, language)]
        sides.append(([torch.tensor(f.ids) for f in found], [f.word for f in found]))
    (source, source_word), (target, target_word) = sides
    return Pairs(text, source, target, source_word, target_word)


def batches(data: Pairs, size: int, seed: int) -> Callable[[int], dict]:
    """`batches(step)` of clauses of like length; every epoch in another order.

    Raises:
        ValueError: batches of no clause, or of more than there are.
    """
    check_number("size", size, 1, len(data.source), whole=True)
    length = torch.tensor(
        [len(s) + len(t) for s, t in zip(data[1], data[2], strict=True)]
    )
    count = len(length) // size

    @cache
    def order(epoch: int) -> Tensor:
        random = generator(1_000_003 * seed + epoch)
        mixed = torch.randperm(len(length), generator=random)[: count * size]
        sorted_ = mixed[length[mixed].argsort(stable=True)].view(count, size)
        return sorted_[torch.randperm(count, generator=random)]

    return lambda step: data.batch(order(step // count)[step % count].tolist())


@torch.no_grad()
def piece_nats(model, data: Pairs, *, size: int = 200) -> list[list[float]]:
    """-log p of each piece of each target clause, the last of them its end."""
    model.eval()
    order = sorted(range(len(data.source)), key=lambda i: len(data.target[i]))
    found = [[] for _ in order]
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        batch = data.batch(rows)
        logits = model.logits(batch["tokens"], batch["source"], batch["source_mask"])
        each = F.cross_entropy(
            logits[:, :-1].mT, batch["tokens"][:, 1:], reduction="none"
        )
        for k, i in enumerate(rows):
            found[i] = each[k, : len(data.target[i]) - 1].tolist()
    return found


def per_word(nats: list[list[float]], data: Pairs) -> float:
    """Nats for each target word; those of the ends are shared among the words."""
    return sum(map(sum, nats)) / sum(map(len, data.text.english))


def by_length(
    nats: list[list[float]], data: Pairs, edges: Iterable[int]
) -> list[float]:
    """Nats for each target word, over clauses of at most so many source words."""
    edges, values = list(edges), list(map(sum, nats))
    source = [len(words) for words in data.text.spanish]
    target = [len(words) for words in data.text.english]
    found = []
    for low, high in zip([0, *edges], edges, strict=False):
        rows = [i for i, n in enumerate(source) if low < n <= high]
        found.append(sum(values[i] for i in rows) / sum(target[i] for i in rows))
    return found


@torch.no_grad()
def word_weights(model, data: Pairs, *, size: int = 200) -> list[Float[Tensor, "e s"]]:
    """Attention of each English word on each Spanish word, the gold words given.

    Weights are summed over the pieces of a Spanish word, and averaged over those of an
    English one; what falls on the frame of the source is left out.
    """
    model.eval()
    found = []
    for start in range(0, len(data.source), size):
        rows = range(start, min(start + size, len(data.source)))
        batch = data.batch(rows)
        weights = model.attention(
            batch["tokens"], batch["source"], batch["source_mask"]
        )
        found += [pooled(weights[k], data, i) for k, i in enumerate(rows)]
    return found


def pooled(weights: Float[Tensor, "t n"], data: Pairs, i: int) -> Float[Tensor, "e s"]:
    """From pieces to words; row t of the weights chose the piece behind it."""
    target = one_hot(data.target_word[i][1:], len(data.text.english[i]))
    source = one_hot(data.source_word[i], len(data.text.spanish[i]))
    inside = weights[: len(target), : len(source)]
    return (target / target.sum(0)).T @ inside @ source


def one_hot(word: list[int], count: int) -> Float[Tensor, "n w"]:
    """Which word each piece belongs to; a frame to none."""
    return F.one_hot(torch.tensor(word) + 1, count + 1)[:, 1:].float()


Links = list[set[tuple[int, int]]]


def best(weights: list[Float[Tensor, "e s"]]) -> Links:
    """One link for each English word: to where it looked most."""
    return [{(i, int(j)) for i, j in enumerate(w.argmax(1))} for w in weights]


def error_rate(links: Links, text: Verses) -> float:
    """Alignment error rate over English words that have a gold link.

    The other words are not judged: nobody said what they translate.
    """
    known = [{i for i, _ in gold} for gold in text.links]
    judged = [
        {link for link in mine if link[0] in words}
        for mine, words in zip(links, known, strict=True)
    ]
    return alignment_error_rate(judged, text.sure, [set(gold) for gold in text.links])


def diagonal(text: Verses) -> Links:
    """Link each English word to the Spanish word at the same share of the way."""
    return [
        {(i, round(i * (len(s) - 1) / max(len(e) - 1, 1))) for i in range(len(e))}
        for e, s in zip(text.english, text.spanish, strict=True)
    ]


def moved(links: Links, text: Verses, *, least: int = 2) -> float:
    """Share of sure gold links far off the diagonal that are proposed.

    Args:
        links: what is proposed.
        text: clauses and their gold links.
        least: how many words a gold link must lie beside the diagonal to count.
    """
    found = count = 0
    for mine, straight, sure in zip(links, diagonal(text), text.sure, strict=True):
        place = dict(straight)
        far = {(i, j) for i, j in sure if abs(j - place[i]) >= least}
        found, count = found + len(far & mine), count + len(far)
    return found / count


def at_random(text: Verses, seed: int) -> Links:
    """Link each English word to a Spanish word drawn from all of the clause."""
    random = generator(seed)
    return [
        {(i, int(torch.randint(len(s), (), generator=random))) for i in range(len(e))}
        for e, s in zip(text.english, text.spanish, strict=True)
    ]


def ibm1(text: Verses, *, rounds: int = 5) -> dict[str, dict[str, float]]:
    """t(english | spanish) of IBM's model 1 (Brown et al. 1993), by counting.

    Each round shares every English word among the Spanish words of its clause by the
    present t, and counts the shares anew (expectation, maximization).
    """
    both = list(zip(text.english, text.spanish, strict=True))
    table = {word: {} for _, spanish in both for word in spanish}
    for english, spanish in both:
        for word in spanish:
            table[word].update(dict.fromkeys(english, 1.0))
    for _ in range(rounds):
        counts = {word: dict.fromkeys(row, 0.0) for word, row in table.items()}
        for english, spanish in both:
            for e in english:
                shares = [table[s][e] for s in spanish]
                total = sum(shares)
                for s, share in zip(spanish, shares, strict=True):
                    counts[s][e] += share / total
        table = {
            word: {e: c / total for e, c in row.items()}
            for word, row in counts.items()
            if (total := sum(row.values()))
        }
    return table


def counted(table: dict[str, dict[str, float]], text: Verses) -> Links:
    """Link each English word to the Spanish word that most likely gave it."""
    found = []
    for english, spanish in zip(text.english, text.spanish, strict=True):
        scores = [[table.get(s, {}).get(e, 0.0) for s in spanish] for e in english]
        found.append({(i, row.index(max(row))) for i, row in enumerate(scores)})
    return found
