"""Markdown of a notebook as a small tree of XHTML, for readers other than Sphinx.

Formulas become `\\( \\)`, which MathJax reads, or MathML. MyST's roles become plain
words: nothing outside of the book knows its labels.
"""

import re
from collections.abc import Callable
from functools import cache, partial
from html import escape
from pathlib import Path

from latex2mathml.converter import convert
from lxml import etree
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin
from mdit_py_plugins.myst_role import myst_role_plugin
from pybtex.database import parse_file

ROOT = Path(__file__).resolve().parents[2]
DIRECTIVE = re.compile(r"^(?::{3,}|`{3,})\{([\w-]+)\}", re.M)
TITLED = re.compile(r"(.*\S)\s*<[^>]+>", re.S)
WORDS = {"eq": "the equation in the book", "doc": "the book", "ref": "the book"}
WORDS["numref"] = "the figure in the book"

Formula = Callable[[str, dict], str]


def tex(latex: str, options: dict) -> str:
    """A formula as MathJax finds it in a page."""
    begin, end = (r"\[", r"\]") if options["display_mode"] else (r"\(", r"\)")
    return escape(f"{begin}{latex.strip()}{end}")


def mathml(latex: str, options: dict) -> str:
    """A formula as MathML, with its LaTeX as alternative text.

    Raises:
        ValueError: a command that the converter does not know.
    """
    shown = "block" if options["display_mode"] else "inline"
    made = convert(latex, display=shown)
    if "\\" in made:
        raise ValueError(f"expected LaTeX that MathML has a sign for, got {latex!r}.")
    return made.replace("<math ", f'<math alttext="{escape(latex.strip())}" ', 1)


def tree(text: str, formula: Formula = tex, *, inline: bool = False) -> etree._Element:
    """A `div` with the text as XHTML; with `inline`, without a paragraph around it.

    Raises:
        ValueError: a directive or a role that has no plain words.
    """
    if directive := DIRECTIVE.search(text):
        raise ValueError(
            "expected words, formulas, tables and pictures, got a directive "
            f"{{{directive[1]}}}."
        )
    reader = _reader(formula)
    made = reader.renderInline(text) if inline else reader.render(text)
    return etree.fromstring(f"<div>{made}</div>")


def inner(div: etree._Element) -> str:
    """The HTML inside of an element."""
    parts = [escape(div.text or "", quote=False)]
    parts += [etree.tostring(c, encoding="unicode", method="html") for c in div]
    return "".join(parts).strip()


@cache
def _reader(formula: Formula) -> MarkdownIt:
    """CommonMark with tables, formulas and roles; markup in the text stays text."""
    reader = MarkdownIt("commonmark", {"html": False, "xhtmlOut": True}).enable("table")
    reader.use(partial(dollarmath_plugin, renderer=formula)).use(myst_role_plugin)
    reader.add_render_rule("myst_role", _role)
    return reader


def _role(_, tokens, place: int, *__) -> str:
    """The words that a role stands for."""
    name, content = tokens[place].meta["name"], tokens[place].content.strip("`")
    titled = TITLED.fullmatch(content)
    if name.startswith("cite"):
        words = _cited(content, within=name == "cite:t")
    elif titled:
        words = titled[1]
    elif name in ("term", "sub", "sup"):
        words = content
    elif name in WORDS:
        words = WORDS[name]
    else:
        raise ValueError(f"expected a role with plain words, got {{{name}}}.")
    return escape(words)


def _cited(keys: str, *, within: bool) -> str:
    """Authors and year: A and B (2021) within a sentence, else (A and B, 2021)."""
    named = []
    for key in keys.split(","):
        entry = _references().entries.get(key.strip())
        if entry is None:
            raise ValueError(f"expected a key of book/references.bib, got {key!r}.")
        people = [" ".join(p.last_names) for p in entry.persons["author"]]
        who = " and ".join(people) if len(people) < 3 else f"{people[0]} et al."
        year = entry.fields["year"]
        named.append(f"{who} ({year})" if within else f"{who}, {year}")
    return ", ".join(named) if within else f"({'; '.join(named)})"


@cache
def _references():
    return parse_file(ROOT / "book/references.bib")
