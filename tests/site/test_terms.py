"""Words and letters of the chapters: the glossary and the page of notation."""

import json
import re
import sys
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "book/_ext"))

import mmdl_terms  # noqa: E402

CHAPTERS = sorted(ROOT.glob("notebooks/*/*.ipynb"))
GREEK = "alpha beta gamma delta epsilon eta theta lambda mu nu xi pi rho sigma tau phi"
GREEK = rf"\\({'|'.join((GREEK + ' psi omega').split())})(?![A-Za-z])"
# what a formula names in words, and commands that are no letters
WORDS = r"\\(?:text|mathrm|operatorname|mathbb|mathcal|label|begin|end)\{[^}]*\}"
FENCE, LONE = r"```.*?```", r"(?<!\$)\$([^$\n]+)\$(?!\$)"


def prose(path):
    cells = json.loads(path.read_text("utf-8"))["cells"]
    texts = ["".join(c["source"]) for c in cells if c["cell_type"] == "markdown"]
    return "\n\n".join(texts)


def letters(text):
    """The letters that stand alone in the formulas of a text."""
    text, found = re.sub(FENCE, "", text, flags=re.S), set()
    for formula in re.findall(r"\$\$(.*?)\$\$", text, re.S) + re.findall(LONE, text):
        formula = re.sub(WORDS, " ", formula)
        found |= set(re.findall(GREEK, formula))
        found |= set(re.findall("[A-Za-z]", re.sub(r"\\?[A-Za-z]{2,}", " ", formula)))
    return found


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_every_letter_of_a_formula_stands_on_the_page_of_notation(path):
    known = letters((ROOT / "book/notation.md").read_text("utf-8"))
    unknown = letters(prose(path)) - known
    assert unknown == set(), f"book/notation.md: add a row for {sorted(unknown)}"


def test_the_letters_of_a_formula_are_found():
    text = r"$\tau_s = \operatorname{rank}(x)$ costs $5 and $$W^\top \log z$$"
    assert letters(text) == {"tau", "s", "x", "W", "z"}


GLOSSARY = """---
orphan: true
---
# Glossary

```{glossary}
batch
  Some examples.

logit
  A score.

logit scale
  A factor.

LARS
  An optimizer.
```
"""
TERMS = """---
orphan: true
---
# A batch in a title

| a batch | in a table |
|---|---|
| a logit | too |

`batch` of minibatches of Batches, with
a logit
scale, then batches, a logit, and lars, then LARS. Minibatch-wise is nothing.

One batch more, one more logit scale.
"""


def test_a_term_is_a_link_at_its_first_use_only(build, tmp_path):
    files = {"book/glossary.md": GLOSSARY, "notebooks/a.md": TERMS}
    html, warnings = build("Text", files)
    assert warnings == ""
    page = (tmp_path / "out/notebooks/a.html").read_text()
    links = BeautifulSoup(page, "html.parser").select("a:has(.std-term)")
    found = [" ".join(link.text.split()) for link in links]
    assert found == ["Batches", "logit scale", "logit", "LARS"]
    assert links[1]["href"].endswith("book/glossary.html#term-logit-scale")


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_every_chapter_of_the_book_links_to_the_glossary(path):
    known = mmdl_terms.terms((ROOT / "book/glossary.md").read_text("utf-8"))
    assert len(known) > 90 and "batch" in known
    found = [t for t in known if re.search(mmdl_terms.pattern(t), prose(path))]
    assert len(found) > 2


def test_no_reference_stands_twice():
    text = (ROOT / "book/references.bib").read_text("utf-8")
    keys = re.findall(r"^@\w+\{([^,]+),", text, re.M)
    assert len(keys) > 90
    assert [key for key in keys if keys.count(key) > 1] == []
