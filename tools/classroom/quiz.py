"""The quiz bank: the `predict` questions for a learning platform.

Two formats, for each chapter and for the book. Moodle XML is read by Moodle alone, and
well. IMS QTI 2.1 (`qti.py`) is read by the others. Both say to each option why it is
right or not, and name the page that the question comes from.
"""

import base64
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import yaml
from lxml import etree
from lxml.builder import E

from . import qti
from .chapters import NUMBER, ROOT, Chapter, Question, chapters
from .markup import inner, tex, tree

BOOK = "Multimodal Deep Learning"
LICENSE = "CC BY 4.0"
# what a reader sees on the page only
POINTS = re.compile(r"\b(above|below|figure|next cell|\{(eq|ref|numref)\})", re.I)


class Item(NamedTuple):
    """A question and where it comes from."""

    chapter: Chapter
    question: Question
    name: str  # 2.2.6 Vision Transformer, question 1
    page: str  # address of the page

    @property
    def single(self) -> bool:
        """Whether one option is right."""
        return len(self.question.right) == 1

    @property
    def ordered(self) -> bool:
        """Whether the options have an order of their own, as numbers have."""
        return all(NUMBER.match(o.lstrip("$ ")) for o in self.question.options)

    @property
    def text(self) -> str:
        """Markdown, with a link to the page where that is needed."""
        text = self.question.text
        if POINTS.search("\n".join((text, *self.question.options))):
            text += f"\n\n(This is about [a page of the book]({self.page}).)"
        return text

    @property
    def feedback(self) -> list[str]:
        """What is said to one who chose an option, in Markdown."""
        said = enumerate(self.question.feedback)
        verdict = {True: "Right", False: "No"}
        return [f"{verdict[i in self.question.right]}: {why}" for i, why in said]

    @property
    def remark(self) -> str:
        """Markdown: what is said to every answer, but for what is about the page."""
        page = self.chapter.page
        origin = f"From [{page.number} {page.title}]({self.page}), *{BOOK}*, {LICENSE}."
        said = self.question.remark.split("\n\n")
        return "\n\n".join([p for p in said if p and not POINTS.search(p)] + [origin])

    def pictures(self, div: etree._Element) -> Iterator[tuple[etree._Element, Path]]:
        """The `img` elements of a text and their files.

        Raises:
            ValueError: no such file in the repository, or no alternative text.
        """
        for image in div.iter("{*}img"):
            folder = (self.chapter.root / self.chapter.page.file).parent
            path = (folder / image.get("src")).resolve()
            inside = path.is_relative_to(self.chapter.root.resolve())
            if not inside or not path.is_file() or not image.get("alt"):
                raise ValueError(
                    "expected a picture ![words](file) of the repository, got "
                    f"![{image.get('alt')}]({image.get('src')})."
                )
            yield image, path


def write(out: Path, of: Sequence[Chapter] | None = None) -> list[Path]:
    """Write the bank into a folder: the same bytes for the same questions.

    Args:
        out: a folder, made if needed.
        of: the chapters; all written ones if None. Those without questions are left
            out.

    Raises:
        ValueError: a question that cannot be shown outside of the book, or two of one
            name.
    """
    banks = {}
    for chapter in chapters() if of is None else of:
        if chapter.questions:
            banks[chapter.slug] = items(chapter)
    names = [item.question.name for bank in banks.values() for item in bank]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"expected one question of each name, got two of {twice[0]}.")
    if not names:
        raise ValueError("expected a chapter with a question, got none.")
    banks["book"] = [item for bank in banks.values() for item in bank]
    made = {}
    for name, bank in banks.items():
        made[out / f"{name}-quiz-moodle.xml"] = moodle(bank)
        made[out / f"{name}-quiz-qti.zip"] = qti.package(name, bank)
    out.mkdir(parents=True, exist_ok=True)
    for path, content in made.items():
        path.write_bytes(content)
    return list(made)


def items(chapter: Chapter) -> list[Item]:
    """The questions of a chapter with their names."""
    settings = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))["repository"]
    page = f"{settings['url']}/blob/{settings['branch']}/{chapter.page.file}.ipynb"
    title = f"{chapter.page.number} {chapter.page.title}"
    return [
        Item(chapter, question, f"{title}, question {i}", page)
        for i, question in enumerate(chapter.questions, start=1)
    ]


def moodle(bank: Sequence[Item]) -> bytes:
    """Moodle's XML: a category for each chapter, its questions inside."""
    quiz, before = E.quiz(), None
    for item in bank:
        if item.chapter is not before:
            quiz.append(_category(item))
            before = item.chapter
        try:
            quiz.append(_asked(item))
        except ValueError as error:
            raise ValueError(f"question {item.question.name}: {error}") from error
    return etree.tostring(
        quiz, encoding="UTF-8", xml_declaration=True, pretty_print=True
    )


def _category(item: Item) -> etree._Element:
    page = item.chapter.page
    # a slash within a name is doubled
    name = f"{page.number} {page.title}".replace("/", "//")
    path = f"$course$/top/{BOOK}/{name}"
    info = f"Questions of the open textbook {BOOK}, {LICENSE}."
    return E.question(
        E.category(E.text(path)), E.info(E.text(info), format="html"), type="category"
    )


def _asked(item: Item) -> etree._Element:
    """One question of several choices, with one or more right ones."""
    question = item.question
    asked = E.question(
        E.name(E.text(item.name)),
        _text("questiontext", item, item.text),
        _text("generalfeedback", item, item.remark),
        E.defaultgrade("1"),
        E.penalty("0.3333333"),
        E.hidden("0"),
        E.idnumber(question.name),
        E.single("true" if item.single else "false"),
        E.shuffleanswers("false" if item.ordered else "true"),
        E.answernumbering("abc"),
        type="multichoice",
    )
    for i, option in enumerate(question.options):
        answer = _text("answer", item, option, inline=True)
        answer.set("fraction", fraction(question, i))
        answer.append(_text("feedback", item, item.feedback[i], inline=True))
        asked.append(answer)
    return asked


def fraction(question: Question, i: int) -> str:
    """What option i is worth, in percent, as Moodle spells it.

    All right options together are worth 100, all wrong ones -100, so that to mark
    everything earns nothing; where one option is right, a wrong one is worth 0.
    """
    right, wrong = len(question.right), len(question.options) - len(question.right)
    if i in question.right:
        return f"{100 / right:.7g}"
    return "0" if right == 1 else f"{-100 / wrong:.7g}"


def _text(name: str, item: Item, markdown: str, *, inline: bool = False):
    """An element of Moodle's that holds HTML, and the pictures in it."""
    div = tree(markdown, tex, inline=inline)
    element = E(name, format="html")
    files = {}
    for image, path in item.pictures(div):
        image.set("src", f"@@PLUGINFILE@@/{path.name}")
        files[path.name] = base64.b64encode(path.read_bytes()).decode()
    element.append(E.text(etree.CDATA(inner(div))))
    for file, content in files.items():
        element.append(E.file(content, name=file, path="/", encoding="base64"))
    return element
