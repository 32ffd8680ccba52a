"""The book's own paragraphs, and three ways to find one by a question.

Words that both share, weighed by how rare they are (BM25); the mean of the words'
GloVe vectors; a sentence's vector by a BERT such as MiniLM.
"""

import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from mmdl_lib.borders import check_number, check_texts
from mmdl_lib.data import words

LEAST = 8  # words of a paragraph
# what is no running text, or asks and does not tell
ASIDE = [
    re.compile(r"^(?P<fence>:{3,}|`{3,}).*?^(?P=fence)$", re.S | re.M),
    re.compile(r"\$\$.*?\$\$(?: *\([\w-]+\))?", re.S),
    re.compile(r"^\([\w-]+\)=$|^[|:].*$", re.M),
    re.compile(r"\{cite:p\}`[^`]*`|!\[[^\]]*\]\([^)]*\)"),
]
# what keeps its words and loses its marks
MARKS = [
    (re.compile(r"\{cite:t\}`([a-z]+)[^`]*`"), r"\1"),  # the first author
    (re.compile(r"\{[\w:]+\}`([^`<]*?)(?: *<[^`]*>)?`"), r"\1"),
    (re.compile(r"\[([^\]]*)\]\([^)]*\)"), r"\1"),
    (re.compile(r"[*`$]|^[-\d]+\.? ", re.M), ""),
    (re.compile(r"\s+([.,;:)](?!\d))"), r"\1"),
]
GOALS = re.compile(r"^.*[Yy]ou will be able to", re.M)
HEADING = re.compile(r"^#+ +(.*)$", re.M)
WORD = re.compile(r"[a-z0-9]+(?:['-][a-z0-9]+)*")
STOP = "Exercises"  # the section with which a chapter's text ends


class Paragraph(NamedTuple):
    """A paragraph, and where it stands."""

    page: str  # the notebook's name
    section: str  # the heading above it
    text: str  # without marks


def paragraphs(notebook: str | Path) -> list[Paragraph]:
    """The running text of a notebook, a paragraph at a time.

    Left out are formulas, tables, boxes, questions to the reader with their answers,
    goals and exercises, and what has fewer than eight words.

    Raises:
        FileNotFoundError: no such notebook.
        ValueError: a file that is none.
    """
    path = Path(notebook)
    try:
        cells = json.loads(path.read_text("utf-8"))["cells"]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"expected a notebook, got {path.name}: {error}.") from error
    found, section = [], ""
    for cell in cells:
        if cell["cell_type"] != "markdown" or _asks(cell):
            continue
        text = "".join(cell["source"])
        goals = GOALS.search(text)
        for part in _parts(text[: goals.start()] if goals else text):
            title = HEADING.match(part)
            section = plain(title[1]) if title else section
            if section == STOP:
                return found
            words_of = [] if title else WORD.findall(part.lower())
            if len(words_of) >= LEAST:
                found.append(Paragraph(path.stem, section, plain(part)))
    return found


def _asks(cell: dict) -> bool:
    return bool({"predict", "solution"} & {*cell["metadata"].get("tags", [])})


def _parts(text: str) -> list[str]:
    for pattern in ASIDE:
        text = pattern.sub("", text)
    text = HEADING.sub(r"\n\n\g<0>\n\n", text)
    return [part.strip() for part in re.split(r"\n\s*\n", text) if part.strip()]


def plain(text: str) -> str:
    """Text without marks of emphasis, roles and links, in one line.

    Example:
        >>> plain("a {term}`gate`, *not* [a door](x.md)")
        'a gate, not a door'
    """
    for pattern, kept in MARKS:
        text = pattern.sub(kept, text)
    return " ".join(text.split())


def cut(text: str) -> list[str]:
    """Lowercase words and numbers.

    Example:
        >>> cut("What is top-5 error?")
        ['what', 'is', 'top-5', 'error']
    """
    return WORD.findall(text.lower())


def bm25(
    questions: Sequence[str], texts: Sequence[str], *, k: float = 1.5, b: float = 0.75
) -> Float[Tensor, "q n"]:
    """Score of each text (column) for each question (row) by shared words.

    A word of the question that n of N texts have weighs log(1 + (N - n + .5) /
    (n + .5)); c occurrences in a text of length l, beside a mean of m, count
    c (k + 1) / (c + k (1 - b + b l / m)): more with each, and less in a long text.

    Args:
        questions, texts: what is compared.
        k: how soon more occurrences stop to count.
        b: how much length counts, 0 to 1.

    Raises:
        ValueError: no list of texts, an empty one, or settings out of range.
    """
    check_texts("questions", questions)
    check_texts("texts", texts)
    check_number("k", k, above=0)
    check_number("b", b, 0, 1)
    read = [Counter(cut(text)) for text in texts]
    length = torch.tensor([float(sum(count.values())) for count in read])
    floor = k * (1 - b + b * length / length.mean())
    asked = [cut(question) for question in questions]
    found = torch.zeros(len(asked), len(read))
    for word in {word for row in asked for word in row}:
        count = torch.tensor([float(one[word]) for one in read])
        have = int((count > 0).sum())
        weight = torch.tensor((len(read) - have + 0.5) / (have + 0.5)).log1p()
        score = weight * count * (k + 1) / (count + floor)
        for i, row in enumerate(asked):
            found[i] += row.count(word) * score
    return found


def by_words(texts: Sequence[str], table: words.Words | None = None) -> Tensor:
    """The mean of the vectors of a text's known words, of length one, (n, d).

    Args:
        texts: each with a known word, or its vector is zero.
        table: vectors of words; None is GloVe.
    """
    table = words.glove() if table is None else table
    rows = []
    for text in texts:
        known = [word for word in cut(text) if word in table]
        mean = table[known].mean(0) if known else torch.zeros(table.value.shape[1])
        rows.append(mean)
    return F.normalize(torch.stack(rows), dim=1)


def by_sentence(
    texts: Sequence[str], model, tokenizer, *, batch_size: int = 32
) -> Float[Tensor, "n d"]:
    """A vector of length one for each text; texts of like length are read together."""
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    rows = [
        model.encode_text(*tokenizer([texts[i] for i in order[at : at + batch_size]]))
        for at in range(0, len(order), batch_size)
    ]
    place = torch.tensor(order).argsort()
    return torch.cat(rows)[place]
