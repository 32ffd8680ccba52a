"""English verses as rows for a language model, and what its layers know of words.

`recipes/gpt.py` and its chapter use them.
"""

from functools import cache

import torch
from jaxtyping import Int
from torch import Tensor

from mmdl_lib.borders import check_number
from mmdl_lib.core import Model, generator
from mmdl_lib.data import verses
from mmdl_lib.metrics.probe import linear_probe

KINDS = [part for part in verses.PARTS.values() if part]


@cache
def stream(split: str) -> tuple[Int[Tensor, " n"], Int[Tensor, " verses"]]:
    """All verses of a split as one row of pieces, and where each begins.

    A verse stands between the pieces `verses.START` and `verses.END`.
    """
    pieces = verses.pieces("english")
    rows = [torch.tensor(pieces.encode(w).ids) for w in verses.load(split).english]
    ends = torch.tensor([len(row) for row in rows]).cumsum(0)
    return torch.cat(rows), torch.cat([ends.new_zeros(1), ends[:-1]])


def windows(split: str, n: int, seed: int, *, length: int) -> dict[str, Tensor]:
    """A batch of rows that begin where a verse does and go on into the next ones.

    Raises:
        ValueError: no row, a length below two or above that of the text, another split.
    """
    check_number("n", n, 1, whole=True)
    text, begins = stream(split)
    check_number("length", length, 2, len(text), whole=True)
    begins = begins[begins + length <= len(text)]
    row = torch.randint(len(begins), (n, 1), generator=generator(seed))
    tokens = text[begins[row] + torch.arange(length)]
    return {"tokens": tokens, "mask": torch.ones_like(tokens, dtype=torch.bool)}


def tagged(
    split: str, n: int, *, length: int
) -> tuple[list[tuple[Tensor, list[int]]], Int[Tensor, " words"]]:
    """About n verses spread over a split, and the parts of speech of their words.

    Returns:
        For each verse its tokens (1, t), cut at `length`, and the places that count:
        the last piece of each word with a tag, since there the model has read all of
        the word and not yet the next one. Then the tags of all places, as places in
        `KINDS`.

    Raises:
        ValueError: no verse, another split.
    """
    check_number("n", n, 1, whole=True)
    pieces, whole = verses.pieces("english"), verses.load(split)
    known = [i for i in range(len(whole)) if whole.tags[i]]
    found, tags = [], []
    for i in known[:: max(1, len(known) // n)][:n]:
        ids, word = pieces.encode(whole.english[i])
        # behind the last piece of a word stands one of another word
        ends = [
            (place, w)
            for place, (w, after) in enumerate(zip(word, [*word[1:], -1], strict=True))
            if w >= 0 and w != after and whole.tags[i][w] and place < length
        ]
        found.append((torch.tensor([ids[:length]]), [place for place, _ in ends]))
        tags += [KINDS.index(whole.tags[i][w]) for _, w in ends]
    return found, torch.tensor(tags)


@torch.no_grad()
def probe(model: Model, *, train: int = 250, test: int = 150) -> list[float]:
    """Accuracy of a linear classifier of the part of speech, on h_0 to h_L.

    Args:
        model: a GPT in eval mode.
        train: verses that the classifiers see.
        test: verses of other books by which they are judged.
    """
    sets = []
    for split, n in (("train", train), ("test", test)):
        rows, tags = tagged(split, n, length=model.config.context)
        states = [model.states(ids)[0, :, places] for ids, places in rows]
        sets.append((torch.cat(states, 1), tags))
    (x, tags), (y, truth) = sets
    with torch.enable_grad():
        return [linear_probe(a, tags, b, truth) for a, b in zip(x, y, strict=True)]
