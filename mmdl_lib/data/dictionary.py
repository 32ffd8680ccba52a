"""Dictionaries: words, and the words by which each is defined. Nothing is fetched.

- `small`: 174 definitions of our own, in the file beside this one. Every word in a
  definition is defined as well, or is a function word.
- `wordnet`: the glosses of WordNet 3.0 (Princeton University, 2006) from the Debian
  package `wordnet-base`. An entry is a single lowercase word, whatever its part of
  speech; its definition is the gloss of its first sense, in that part of speech which
  is most often met in WordNet's tagged texts.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

SMALL = Path(__file__).parent / "dictionary_small.txt"
ROOT, PACKAGE = Path("/usr/share/wordnet"), "wordnet-base"
KINDS = {"noun": "1", "verb": "2", "adj": "35", "adv": "4"}  # and how keys name them
FUNCTION = frozenset(
    "a about above after all also an and another any are as at be because been before "
    "being below between both but by can come could do does done each either for from "
    "had has have having he her him his how i if in into is it its itself like may "
    "more most must no nor not of off on one oneself or other others our out over "
    "own she should so some someone something such than that the their them then there "
    "these they this those through thus to too under until up upon very was we were "
    "what when where whether which while who whom whose why will with within without "
    "would you your many much only esp especially usually used etc".split()
)
# endings of inflected words and what stands there in the base form
ENDINGS = tuple(
    pair.split("/")
    for pair in "s/ ses/s xes/x zes/z ches/ch shes/sh men/man ies/y es/e es/ ed/e ed/ "
    "ing/e ing/ er/ er/e est/ est/e".split(" ")
)
IRREGULAR = {"made": "make", "wrote": "write"}  # those in `small`


@dataclass(frozen=True)
class Dictionary:
    """Words with their definitions.

    Attributes:
        text: the definition of each word.
        uses: the words of its own that the definition of each word consists of, each
            once, in base form, without function words.
        lost: words in definitions that are no entries, with how often they occur.
        kind: topic of the first sense as WordNet's editors file it, such as
            "noun.animal"; empty where nobody filed it.
    """

    text: dict[str, str]
    uses: dict[str, tuple[str, ...]]
    lost: dict[str, int]
    kind: dict[str, str]

    def __len__(self) -> int:
        return len(self.text)

    @cached_property
    def users(self) -> dict[str, tuple[str, ...]]:
        """The words in whose definition each word stands."""
        found: dict[str, list[str]] = {word: [] for word in self.uses}
        for word, used in self.uses.items():
            for one in used:
                found[one].append(word)
        return {word: tuple(users) for word, users in found.items()}


def parse(
    text: dict[str, str],
    *,
    irregular: dict[str, str] | None = None,
    weight: Counter | None = None,
    kind: dict[str, str] | None = None,
) -> Dictionary:
    """Find in each definition the words that are defined themselves.

    A word in its own definition is passed over: mostly it has another sense there.

    Args:
        text: definition by word.
        irregular: base forms of words that the endings do not give.
        weight: how common each word is. Of several readings of a form the most common
            is taken, of equal ones the shortest change.
        kind: topic by word.
    """
    weight = Counter() if weight is None else weight
    irregular = irregular or {}
    uses, lost = {}, Counter()
    for word, definition in text.items():
        found: dict[str, None] = {}
        for form in re.findall(r"[a-z]+", definition.lower().replace("'s", "")):
            if form in FUNCTION:
                continue
            known = [w for w in _bases(form, irregular) if w in text]
            if not known:
                lost[form] += 1
                continue
            base = max(known, key=weight.__getitem__)
            if base not in FUNCTION and base != word:
                found[base] = None
        uses[word] = tuple(found)
    return Dictionary(text, uses, dict(lost), kind or {})


def _bases(form: str, irregular: dict[str, str]) -> Iterator[str]:
    yield form
    if form in irregular:
        yield irregular[form]
    for ending, base in ENDINGS:
        if form.endswith(ending) and len(form) > len(ending) + 1:
            yield form[: -len(ending)] + base


def small(without: Collection[str] = ()) -> Dictionary:
    """Our own dictionary of 174 words.

    Args:
        without: entries to leave out.

    Raises:
        ValueError: an entry to leave out that is none.
    """
    lines = SMALL.read_text(encoding="utf-8").splitlines()
    text = dict(line.split(": ", 1) for line in lines)
    unknown = [word for word in without if word not in text]
    if unknown:
        raise ValueError(f"without expected entries, got {unknown[0]!r}.")
    kept = {word: line for word, line in text.items() if word not in without}
    return parse(kept, irregular=IRREGULAR)


def wordnet(root: str | Path = ROOT) -> Dictionary:
    """WordNet as a dictionary of single words.

    Args:
        root: the folder with WordNet's files; by default where Debian has it.

    Raises:
        FileNotFoundError: no such folder; the sentence says which package has it.
    """
    root = Path(root)
    if not (root / "data.noun").is_file():
        raise FileNotFoundError(
            f"expected WordNet's files in {root}, got none: install the Debian package "
            f"{PACKAGE}, or give root=."
        )
    counts = _counts(root)
    best: dict[str, tuple[int, str, int]] = {}
    for kind in KINDS:
        for word, place in _entries(root, kind):
            seen = counts[word, kind]
            if word not in best or seen > best[word][0]:
                best[word] = (seen, kind, place)
    glosses = {kind: _glosses(root, kind) for kind in KINDS}
    text, topic = {}, {}
    for word, (_, kind, place) in sorted(best.items()):
        topic[word], text[word] = glosses[kind][place]
    weight = Counter()
    for (word, _), seen in counts.items():
        weight[word] += seen
    return parse(text, irregular=_exceptions(root), weight=weight, kind=topic)


def _lines(file: Path) -> Iterator[str]:
    """Lines of a file of WordNet without its license, which is indented."""
    with file.open(encoding="utf-8") as stream:
        for line in stream:
            if not line.startswith(" "):
                yield line


def _entries(root: Path, kind: str) -> Iterator[tuple[str, int]]:
    """Each single word, and where its first sense stands."""
    for line in _lines(root / f"index.{kind}"):
        word, _, senses, pointers, *rest = line.split()
        if re.fullmatch(r"[a-z]{2,}", word):
            yield word, int(rest[int(pointers) + 2])


def _glosses(root: Path, kind: str) -> dict[int, tuple[str, str]]:
    """Topic and definition of each sense, without examples."""
    found = {}
    for line in _lines(root / f"data.{kind}"):
        place, topic = line.split(" ", 2)[:2]
        gloss = line.split(" | ", 1)[1].split('; "')[0].strip()
        found[int(place)] = (TOPICS.get(topic, ""), re.sub(r"\([^)]*\)", "", gloss))
    return found


def _counts(root: Path) -> Counter:
    """How often each word was met in WordNet's tagged texts, by part of speech."""
    kinds = {digit: kind for kind, digits in KINDS.items() for digit in digits}
    found = Counter()
    for line in _lines(root / "cntlist.rev"):
        key, _, count = line.split()
        word, sense = key.split("%")
        found[word, kinds[sense[0]]] += int(count)
    return found


def _exceptions(root: Path) -> dict[str, str]:
    pairs = (line.split() for kind in KINDS for line in _lines(root / f"{kind}.exc"))
    return {words[0]: words[1] for words in pairs if len(words) > 1}


# the numbers of WordNet's files of nouns
TOPICS = {
    f"{3 + i:02d}": f"noun.{name}"
    for i, name in enumerate(
        "tops act animal artifact attribute body cognition communication event feeling "
        "food group location motive object person phenomenon plant possession process "
        "quantity relation shape state substance time".split()
    )
}
