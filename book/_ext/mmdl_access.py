"""Small repairs of the theme's HTML, so that screen readers and axe-core are content.

Each repair names what it mends; a repair that finds nothing to mend does nothing.
"""

import re

from bs4 import BeautifulSoup

FOLD = ' aria-label="Toggle hidden content"'
SOLUTION = re.compile(
    r'(<div class="cell[^"]*\btag_solution\b[^"]*"[^>]*>\s*<details[^>]*>\s*<summary>'
    r".*?</summary>)",
    re.DOTALL,
)


def name_the_folds(tree):
    """The arrow that folds a part of the contents is a `summary` without a name."""
    soup = tree if hasattr(tree, "select") else BeautifulSoup(tree, "html.parser")
    for summary in soup.select("summary"):
        link = summary.find_parent("li").find("a")
        summary["aria-label"] = f"Sections of {link.get_text(strip=True)}"
    return soup


def repair_signatures(body: str) -> str:
    """A signature over several lines is a `dl` without any `dt`: make it spans."""
    if 'class="sig-param"' not in body:
        return body
    soup = BeautifulSoup(body, "html.parser")
    for box in soup.select("dt.sig > dl"):
        box.name, box["class"] = "span", "sig-lines"
        for line in box.find_all("dd", recursive=False):
            line.name, line["class"] = "span", "sig-line"
    return str(soup)


def name_the_solutions(body: str) -> str:
    """A folded cell is named by the text that it shows, and a solution is called so."""
    return SOLUTION.sub(
        lambda found: found[1].replace("code cell content", "the solution"),
        body.replace(FOLD, ""),
    )


def repair(app, pagename, templatename, context, doctree):
    """Mend the body of a page and its table of contents."""
    if context.get("body"):
        # docutils gives the list's entries a role that a list may not hold
        body = context["body"].replace('role="doc-biblioentry"', 'role="listitem"')
        context["body"] = name_the_solutions(repair_signatures(body))
    draw = context.get("generate_toctree_html")
    if draw:
        context["generate_toctree_html"] = lambda *args, **kwargs: name_the_folds(
            draw(*args, **kwargs)
        )


def setup(app):
    app.connect("html-page-context", repair, priority=950)
