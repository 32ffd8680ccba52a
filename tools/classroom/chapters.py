"""What the tags of a notebook say about teaching it.

A cell tagged `slide` is on the chapter's deck. So is one tagged `predict`, which asks:

    **Predict.** The side of the patch is halved. What does attention cost?

    - twice as much
    - sixteen times as much

    :::{dropdown} Answer
    1. No: there are four times as many tokens.
    2. Right: all pairs of four times as many tokens.

    What stands below the list belongs to no option.
    :::

The answer has one line for each option, in their order, that begins with `Right` or
`No`. Where the right option is a number, the next code cell is tagged `computes` and
prints it.
"""

import json
import re
import sys
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "book/_ext"))
from mmdl_plan import Page, pages  # noqa: E402

EXECUTED = "_build/executed"  # what tools/run_notebooks.py leaves
TAGS = {"show", "slide", "predict", "computes", "card", "solution"}
# those of the notebook's readers: MyST-NB, nbval
FOREIGN = re.compile(r"(hide|remove)-(input|output|cell)|nbval-[\w-]+|raises-exception")

ANSWER = re.compile(
    r"^(?P<fence>:{3,}|`{3,})\{(?:dropdown|admonition)\} Answer\n"
    r"(?P<body>.*?)^(?P=fence)",
    re.S | re.M,
)
OPTION = re.compile(r"^- (.+?)(?=^- |^\s*$|\Z)", re.S | re.M)
VERDICT = re.compile(
    r"^\d+\. (Right|No)\b[.:,]?\s*(.*?)(?=^\d+\. |\n\s*\n|\Z)", re.S | re.M
)
ASKS = re.compile(r"\*\*Predict\.\*\*\s*")
HEADING = re.compile(r"^(?:\([\w-]+\)=|#+ .*)\n", re.M)
NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
EXERCISE = re.compile(
    r"\*\*(?P<number>\d+)\. (?P<kind>[^*]+?)\.?\*\*\s*\(?(?P<stars>★+),? "
    r"(?P<minutes>\d+) minutes"
)
GOALS = re.compile(r"[Yy]ou will be able to.*?\n\n(?P<list>(?:(?:-|\d+\.) .*\n?)+)")
ITEM = re.compile(r"^(?:-|\d+\.) (.*)$", re.M)
NEED = re.compile(r"^\| you need \|(?P<cell>.*)\|$", re.M)
DOCUMENT = re.compile(r"\{doc\}`(?:[^`<]*<)?([^`>]+)>?`")


# what is no reading on the way through a chapter: folded text, formulas, labels
ASIDE = re.compile(
    r"^(?P<fence>:{3,}|`{3,})\{(?:dropdown|admonition|solution)\}.*?^(?P=fence)$"
    r"|\$\$.*?\$\$(?: *\(eq-[\w-]+\))?|^\([\w-]+\)=$",
    re.S | re.M,
)
FORMULA = re.compile(r"\$[^$\n]+\$")
ROLE = re.compile(r"\{[\w:]+\}`([^`<]*)(?:<[^`]*>)?`")
WORD = re.compile(r"[\w.,'’%-]*\w[\w.,'’%-]*")


class Question(NamedTuple):
    """A `predict` cell."""

    name: str  # the cell's id
    text: str  # Markdown, without the word Predict
    options: tuple[str, ...]
    right: frozenset[int]  # places in `options`
    feedback: tuple[str, ...]  # one for each option
    remark: str  # what the answer says beside


class Exercise(NamedTuple):
    """An exercise as its heading announces it."""

    number: int
    kind: str
    stars: int
    minutes: int


class Chapter:
    """A written chapter, read from its executed copy where there is one.

    Attributes:
        page: number, title, file and minutes, as the plan knows them.
        cells: of the notebook, with the outputs of its last run.
        ran: whether there was such a run of this code.
    """

    def __init__(self, page: Page, root: Path = ROOT):
        self.page, self.root = page, root
        self.slug = Path(page.file).stem
        self.cells = _read(root / f"{page.file}.ipynb")["cells"]
        done = root / EXECUTED / f"{page.file}.ipynb"
        self.ran = done.exists() and self._with_outputs(_read(done)["cells"])
        for cell in self.cells:
            check_tags(cell, self.slug)

    def _with_outputs(self, executed: list[dict]) -> bool:
        """Take over what the last run left, if it ran this code."""
        cells, done = (
            [c for c in of if not is_prose(c)] for of in (self.cells, executed)
        )
        if [words(cell) for cell in cells] != [words(cell) for cell in done]:
            return False
        for cell, run in zip(cells, done, strict=True):
            cell["outputs"] = run["outputs"]
        return True

    @cached_property
    def slides(self) -> list[dict]:
        """The cells of the deck; questions always belong to it."""
        return [cell for cell in self.cells if on_deck(cell)]

    @cached_property
    def questions(self) -> list[Question]:
        """The `predict` cells.

        Raises:
            ValueError: a question without options, answer, or a right option.
        """
        found = []
        for i, cell in enumerate(self.cells):
            if "predict" in tags(cell):
                question = asked(cell)
                rest = self.cells[i + 1 :]
                check_computed(question, rest, ran=self.ran)
                found.append(question)
        return found

    @cached_property
    def exercises(self) -> list[Exercise]:
        """In the order of their numbers."""
        return exercises(self.cells, self.slug)

    @cached_property
    def goals(self) -> list[str]:
        """What a reader will be able to do, in Markdown."""
        found = GOALS.search(words(self.cells[0]))
        if not found:
            raise ValueError(
                f"{self.slug}: expected a list of goals in the first cell."
            )
        return ITEM.findall(found["list"])

    @cached_property
    def length(self) -> int:
        """Words to read on the way through; a formula in a line counts as one."""
        text = "\n\n".join(words(cell) for cell in self.cells if is_prose(cell))
        for pattern, word in ((ASIDE, ""), (FORMULA, "x"), (ROLE, r"\1")):
            text = pattern.sub(word, text)
        return len(WORD.findall(text))

    @cached_property
    def needs(self) -> list[str]:
        """Slugs of the chapters that the head names as prerequisites."""
        row = NEED.search(words(self.cells[0]))
        named = DOCUMENT.findall(row["cell"]) if row else []
        return [Path(name).name for name in named if "glossary" not in name]


def chapters(root: Path = ROOT) -> list[Chapter]:
    """The written chapters in the order of the book, without further experiments."""
    written = [page for page in pages(root) if page.file and page.asks]
    return [Chapter(p, root) for p in written if not p.file.endswith("_further")]


def exercises(cells: list[dict], where: str) -> list[Exercise]:
    """The exercises that the text of a notebook announces.

    Raises:
        ValueError: two of one number, or a number left out.
    """
    text = "\n".join(words(cell) for cell in cells if is_prose(cell))
    found = [
        Exercise(int(m["number"]), m["kind"], len(m["stars"]), int(m["minutes"]))
        for m in EXERCISE.finditer(text)
    ]
    numbers = [exercise.number for exercise in found]
    if numbers != list(range(1, len(found) + 1)):
        raise ValueError(
            f"{where}: expected exercises with the numbers 1, 2, 3, ..., got "
            f"{', '.join(map(str, numbers))}."
        )
    return found


def tags(cell: dict) -> list[str]:
    """The tags of a cell."""
    return cell["metadata"].get("tags", [])


def words(cell: dict) -> str:
    """The source of a cell."""
    return "".join(cell["source"])


def on_deck(cell: dict) -> bool:
    """Whether a cell has a slide."""
    return bool({"slide", "predict"} & set(tags(cell)))


def is_prose(cell: dict) -> bool:
    """Whether a cell is Markdown."""
    return cell["cell_type"] == "markdown"


def check_tags(cell: dict, where: str) -> None:
    """Refuse a tag that nothing reads.

    Raises:
        ValueError: such a tag; it is most often misspelled.
    """
    for tag in tags(cell):
        if tag not in TAGS and not FOREIGN.fullmatch(tag):
            raise ValueError(
                f"{where}, cell {cell.get('id', '?')}: expected one of the tags "
                f"{', '.join(sorted(TAGS))}, or one of MyST-NB and nbval, got {tag!r}."
            )


def asked(cell: dict) -> Question:
    """Read a question.

    Raises:
        ValueError: options, answer or the right option are missing.
    """
    text, name = words(cell), cell.get("id", "?")
    begin, answer = ASKS.search(text), ANSWER.search(text)
    if not begin or not answer:
        missing = "**Predict.**" if not begin else "a dropdown with the title Answer"
        raise ValueError(f"question {name}: expected {missing}, got none.")
    asks = text[begin.end() : answer.start()]
    options = tuple(_line(option) for option in OPTION.findall(asks))
    body = answer["body"].removeprefix(":class: dropdown\n")
    verdicts = VERDICT.findall(body)
    if len(options) < 2 or len(verdicts) != len(options):
        raise ValueError(
            f"question {name}: expected two or more options and as many lines in its "
            f"answer that begin with Right or No, got {len(options)} and "
            f"{len(verdicts)}."
        )
    right = frozenset(i for i, (said, _) in enumerate(verdicts) if said == "Right")
    if not right:
        raise ValueError(f"question {name}: expected a right option, got none.")
    before = HEADING.sub("", text[: begin.start()] + OPTION.sub("", asks))
    feedback = tuple(_line(why) for _, why in verdicts)
    remark = VERDICT.sub("", body).strip()
    return Question(name, before.strip(), options, right, feedback, remark)


def _line(text: str) -> str:
    return " ".join(text.split())


def check_computed(question: Question, rest: list[dict], *, ran: bool) -> None:
    """Where all options are numbers, the code cell that follows prints the right one.

    Raises:
        ValueError: it does not, or is not tagged `computes`.
    """
    options = [_number(option) for option in question.options]
    if None in options:
        return
    cell = next((cell for cell in rest if not is_prose(cell)), None)
    if cell is None or "computes" not in tags(cell):
        raise ValueError(
            f"question {question.name}: expected a next code cell with the tag "
            "`computes` that prints the right number."
        )
    printed = "".join("".join(output.get("text", "")) for output in cell["outputs"])
    numbers = [number.replace(",", "") for number in NUMBER.findall(printed)]
    missing = [options[i] for i in question.right if options[i] not in numbers]
    if ran and missing:
        raise ValueError(
            f"question {question.name}: expected the next cell to print {missing[0]}, "
            f"got {printed.strip()!r:.60}."
        )


def _number(option: str) -> str | None:
    plain = option.strip("$ %").replace("\\,", "").replace(",", "")
    return plain if NUMBER.fullmatch(plain) else None


def _read(path: Path) -> dict:
    return json.loads(path.read_text("utf-8"))
