"""Verses: 31,084 pairs of one sentence in English and Spanish, with gold word links.

The King James Version and the Reina-Valera of 1909, both in the public domain, verse by
verse. Both name, for most words, the Hebrew or Greek word that they translate, by its
Strong's number. Words with the same number in the same verse translate each other: that
is known without any model. The language is archaic, in both.

Words are lowercase; a punctuation mark is a word of its own; "brother's" and "beth-el"
are one word each.

**Links.** Only numbers that stand equally often on both sides of a verse count; where
that is more than once, they are matched in order. A link is sure where its number
stands once on each side and marks one word there. All others are possible: a mark
over several words ("los cielos") links all of them. Words without a link are not wrong:
nobody said what they translate ("the" is mostly unmarked in English).

**Tags** are those of the New Testament's English words: the part of speech that the
marked Greek word most often has (MorphGNT, CC BY-SA 3.0), so "shall" may carry the
"verb" of a whole Greek future; and "article" for an unmarked "the", "a" and "an".

**Split.** By whole books, always the same: Ruth, Ecclesiastes, Galatians and 1 Peter
validate, Esther, Job, John and James test. Parallel passages, such as those of Matthew,
Mark and Luke or of Kings and Chronicles, stand on the side of training, all of them.

`tools/make_verses.py` wrote the files from Debian's `sword-text-kjv` and
`sword-text-sparv`.
"""

import json
import lzma
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from mmdl_lib.borders import check_choice, check_integers, check_number, check_texts

FOLDER = Path(__file__).parent / "_verses"
LANGUAGES = ("english", "spanish")
SPLITS = ("train", "valid", "test", "all")
PAD, START, END = 0, 1, 2
STOPS = frozenset(".:;?!")
PARTS = {"n": "noun", "v": "verb", "a": "adjective", "d": "adverb", "r": "pronoun"}
PARTS |= {"p": "preposition", "c": "conjunction", "t": "article", "x": "other"}
PARTS |= {"-": None}


@dataclass(frozen=True)
class Verses:
    """Pairs of sentences and what is known about them; row i of each belongs together.

    Attributes:
        english: words of each sentence.
        spanish: words of its translation.
        links: pairs (i, j): English word i and Spanish word j are of one source word.
        sure: those of them that leave no doubt.
        tags: part of speech of each English word, one of `PARTS`, or None; an empty
            list in the Old Testament.
        book: short name, such as "Gen" or "1Cor"; chapter, verse: from 1.
    """

    english: list[list[str]]
    spanish: list[list[str]]
    links: list[list[tuple[int, int]]]
    sure: list[set[tuple[int, int]]]
    tags: list[list[str | None]]
    book: list[str]
    chapter: list[int]
    verse: list[int]

    def __len__(self) -> int:
        return len(self.english)

    def take(self, rows: Iterable[int]) -> "Verses":
        """Some of the rows, in the order given."""
        rows = list(rows)
        return Verses(*([column[i] for i in rows] for column in vars(self).values()))

    def short(self, n: int, *, least: int = 1) -> "Verses":
        """Pairs with `least` to `n` words, punctuation included, on both sides.

        Raises:
            ValueError: `n` or `least` is no whole number from 1.
        """
        check_number("n", n, 1, whole=True)
        check_number("least", least, 1, whole=True)
        pairs = enumerate(zip(self.english, self.spanish, strict=True))
        return self.take(
            i
            for i, (e, s) in pairs
            if least <= min(len(e), len(s)) and max(len(e), len(s)) <= n
        )

    def clauses(self) -> "Verses":
        """The verses cut behind each of . : ; ? ! into shorter pairs.

        A verse is left out if the two sides have another number of parts, or if a link
        leads out of its part: 19,702 of 31,084 stay, in 30,740 parts. `verse` does not
        say which part.
        """
        found = [part for i in range(len(self)) for part in self._cut(i)]
        columns = zip(*found, strict=True) if found else [()] * len(vars(self))
        return Verses(*map(list, columns))

    def _cut(self, i: int) -> list[tuple]:
        ours, theirs = parts(self.english[i]), parts(self.spanish[i])
        left = [k for k, part in enumerate(ours) for _ in part]
        right = [k for k, part in enumerate(theirs) for _ in part]
        if len(ours) != len(theirs) or any(
            left[a] != right[b] for a, b in self.links[i]
        ):
            return []
        links = [([], set()) for _ in ours]
        for a, b in self.links[i]:
            k = left[a]
            links[k][0].append((a - ours[k].start, b - theirs[k].start))
            if (a, b) in self.sure[i]:
                links[k][1].add(links[k][0][-1])
        place = self.book[i], self.chapter[i], self.verse[i]
        sides = [
            [words[part.start : part.stop] for part in cuts]
            for words, cuts in (
                (self.english[i], ours),
                (self.spanish[i], theirs),
                (self.tags[i], ours),
            )
        ]
        return [
            (english, spanish, *known, tags, *place)
            for english, spanish, tags, known in zip(*sides, links, strict=True)
        ]


def parts(words: list[str]) -> list[range]:
    """Places of the parts of a sentence, each up to and with a stop."""
    ends = [i + 1 for i, word in enumerate(words) if word in STOPS]
    if not ends or ends[-1] < len(words):
        ends.append(len(words))
    return [range(a, b) for a, b in zip([0, *ends], ends, strict=False)]


def load(split: str = "all") -> Verses:
    """The pairs, in the order of the books.

    Args:
        split: "train" (28,308 verses), "valid" (561), "test" (2,215) or "all".

    Raises:
        ValueError: another split, or a damaged file.
    """
    check_choice("split", split, SPLITS)
    whole, held = _whole()
    if split == "all":
        return whole
    out = {book for books in held.values() for book in books}
    wanted = set(whole.book) - out if split == "train" else set(held[split])
    return whole.take(i for i, book in enumerate(whole.book) if book in wanted)


class Encoded(NamedTuple):
    """Ids of a sentence, framed, and the word that each is a piece of; -1: a frame."""

    ids: list[int]
    word: list[int]


class Pieces:
    """Byte-pair pieces of one language, within words, learned on the training books.

    The ids of `<pad>`, `<start>` and `<end>` are 0, 1 and 2 (`PAD`, `START`, `END`).

    Args:
        language: "english" or "spanish".

    Raises:
        ValueError: another language, or a damaged file.
    """

    def __init__(self, language: str):
        from tokenizers import Tokenizer

        check_choice("language", language, LANGUAGES)
        self.language = language
        self.engine = Tokenizer.from_str(json.dumps(_file("pieces")[language]))
        self.vocab = self.engine.get_vocab_size()
        letters = (piece.removesuffix("</w>") for piece in self.engine.get_vocab())
        self.letters = {letter for letter in letters if len(letter) == 1}

    def encode(self, words: list[str]) -> Encoded:
        """Ids between start and end, and where each comes from.

        Raises:
            ValueError: no list of words, an empty word, or a letter that no verse has.
        """
        check_texts("words", words)
        if "" in words:
            raise ValueError("words expected a letter in each, got an empty word.")
        if strange := sorted(set("".join(words)) - self.letters):
            raise ValueError(
                f"words expected lowercase letters of {self.language} verses, got "
                f"{strange[0]!r}."
            )
        found = self.engine.encode(words, is_pretokenized=True)
        return Encoded([START, *found.ids, END], [-1, *found.word_ids, -1])

    def decode(self, ids: Iterable[int] | Int[Tensor, " t"]) -> list[str]:
        """Words again; start and padding are skipped, all behind an end is ignored.

        Raises:
            ValueError: a number that is no piece's.
        """
        ids = ids.tolist() if isinstance(ids, Tensor) else list(ids)
        ids = ids[: ids.index(END)] if END in ids else ids
        check_integers("ids", torch.tensor(ids, dtype=torch.long), 0, self.vocab - 1)
        pieces = [self.engine.id_to_token(i) for i in ids if i not in (PAD, START)]
        return "".join(pieces).replace("</w>", " ").split()

    def __call__(
        self, sentences: list[list[str]]
    ) -> tuple[Int[Tensor, "b t"], Bool[Tensor, "b t"]]:
        """Tokens, padded with 0 to the longest sentence, and mask, True = real.

        Raises:
            ValueError: as `encode`, or no sentence at all.
        """
        if not sentences:
            raise ValueError("sentences expected at least one, got none.")
        rows = [torch.tensor(self.encode(words).ids) for words in sentences]
        tokens = pad_sequence(rows, batch_first=True, padding_value=PAD)
        return tokens, tokens != PAD


@cache
def pieces(language: str) -> Pieces:
    """The pieces of a language, read once; errors as in `Pieces`."""
    return Pieces(language)


def _file(name: str):
    path = FOLDER / f"{name}.json.xz"
    try:
        return json.loads(lzma.decompress(path.read_bytes()))
    except (OSError, lzma.LZMAError, ValueError) as error:
        raise ValueError(
            f"{path} expected the packed verses of the book, got a missing or damaged "
            "file: install mmdl_lib again."
        ) from error


@cache
def _whole() -> tuple[Verses, dict[str, list[str]]]:
    """All pairs, and the books that are held out."""
    rows, tags = _file("verses"), _file("tags")
    links, sure = zip(*map(_links, rows["links"]), strict=True)
    whole = Verses(
        english=[text.split() for text in rows["english"]],
        spanish=[text.split() for text in rows["spanish"]],
        links=list(links),
        sure=list(sure),
        tags=[[PARTS[letter] for letter in line] for line in tags],
        book=[rows["books"][i] for i in rows["book"]],
        chapter=rows["chapter"],
        verse=rows["verse"],
    )
    return whole, rows["held"]


def _links(text: str) -> tuple[list[tuple[int, int]], set[tuple[int, int]]]:
    """From "0-1 2-3?": all, and those without a question mark."""
    links, sure = [], set()
    for one in text.split():
        i, j = one.removesuffix("?").split("-")
        links.append((int(i), int(j)))
        if not one.endswith("?"):
            sure.add(links[-1])
    return links, sure
