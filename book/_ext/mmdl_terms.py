"""A term of the glossary is a link where a chapter uses it first.

The chapters carry no markup for this. A word counts where it stands in running text:
not in titles, tables, captions, code, formulas, or text that is a link already.
"""

import re
from pathlib import Path

from docutils import nodes
from sphinx.addnodes import pending_xref

PAGE = "book/glossary"
CHAPTERS = "notebooks/"
RUNNING = (nodes.paragraph, nodes.definition, nodes.list_item)
OTHER = (nodes.table, nodes.caption, nodes.literal, nodes.literal_block)
OTHER += (nodes.math, nodes.math_block, nodes.reference, nodes.raw, nodes.term)
OTHER += (pending_xref, nodes.citation_reference, nodes.figure)


def terms(text: str) -> list[str]:
    """The terms of a glossary in Markdown: its lines that are not indented."""
    block = re.search(r"```\{glossary\}\n(.*?)\n```", text, re.S)
    lines = block[1].splitlines() if block else []
    return [line.strip() for line in lines if re.match(r"[^\s:]", line)]


def pattern(term: str) -> str:
    """A term in running text: a capital may begin it, an s or es may end it."""
    first = f"[{term[0]}{term[0].upper()}]"
    rest = re.escape(term[1:]).replace(r"\ ", r"\s+")
    return rf"(?<![\w-]){first}{rest}(?:s|es)?(?![\w-])"


def link_terms(doctree: nodes.document, known: list[str], docname: str) -> list[str]:
    """Make the first use of each term a link; returns the terms that were found."""
    left = sorted(known, key=len, reverse=True)  # *logit scale* before *logit*
    told = {str(x.get("reftarget")).lower() for x in doctree.findall(pending_xref)}
    left = [term for term in left if term.lower() not in told]
    for parent in list(doctree.findall(nodes.TextElement)):
        _join(parent)
    found = []
    for text in list(doctree.findall(nodes.Text)):
        if not _running(text):
            continue
        made, here = _split(str(text), left, docname)
        if here:
            text.parent.replace(text, made)
            found += here
            left = [term for term in left if term not in here]
    return found


def _join(parent: nodes.TextElement) -> None:
    """Lines of a paragraph are texts of their own: make them one."""
    for i in range(len(parent) - 1, 0, -1):
        one, other = parent[i - 1], parent[i]
        if isinstance(one, nodes.Text) and isinstance(other, nodes.Text):
            parent[i - 1 : i + 1] = [nodes.Text(str(one) + str(other))]


def _running(text: nodes.Text) -> bool:
    above, node = [], text.parent
    while node is not None:
        above.append(node)
        node = node.parent
    running = any(isinstance(node, RUNNING) for node in above)
    return running and not any(isinstance(node, OTHER) for node in above)


def _split(text: str, left: list[str], docname: str) -> tuple[list, list[str]]:
    """The text as nodes with links, and the terms that these are for."""
    made, here, begin = [], [], 0
    groups = "|".join(f"(?P<t{i}>{pattern(term)})" for i, term in enumerate(left))
    for match in re.finditer(groups, text) if left else ():
        term = left[int(match.lastgroup[1:])]
        if term in here:
            continue
        here.append(term)
        made.append(nodes.Text(text[begin : match.start()]))
        link = pending_xref(
            refdomain="std",
            reftype="term",
            reftarget=term,
            refexplicit=True,
            refwarn=True,
            refdoc=docname,
        )
        link += nodes.inline(match[0], match[0], classes=["xref", "std", "std-term"])
        made.append(link)
        begin = match.end()
    return [*made, nodes.Text(text[begin:])], here


def read(app, doctree: nodes.document) -> None:
    """Runs when a page has been read."""
    docname = app.env.docname
    glossary = Path(app.srcdir) / f"{PAGE}.md"
    if docname.startswith(CHAPTERS) and glossary.exists():
        app.env.note_dependency(str(glossary))
        link_terms(doctree, terms(glossary.read_text("utf-8")), docname)


def setup(app):
    app.connect("doctree-read", read)
