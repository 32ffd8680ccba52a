"""Which code of a page is folded, and what its bar says."""

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "book/_ext"))

import mmdl_fold  # noqa: E402


@pytest.mark.parametrize(
    ("code", "folded"),
    [
        ("viz.source(f)", True),
        ("a = 1\nviz.curve(\n    x,\n    y,\n)", True),
        ("# say it\n# here\nviz.curve(x, y)", True),
        ("a = 1\nb = 2\nc = 3\nviz.curve(x, y)", False),
        ("a = 1\nb = 2\nc = 3\nviz.diagram(x, y)", True),
        ("viz.curve(x, y)\nassert gap < 1", False),
        ("viz.look(x)", False),
        ("explore(f, x=[1])", False),
        ("%matplotlib inline\nviz.curve(x, y)", False),
        ("", False),
    ],
)
def test_only_code_that_draws_is_folded(code, folded):
    assert mmdl_fold.draws(code) is folded


def test_folding_adds_a_tag_to_cells_that_draw_or_prepare():
    def cell(name, code, *tags):
        metadata = {"tags": list(tags)} if tags else {}
        code = {"cell_type": "code", "source": [code]}
        return code | {"id": name, "metadata": metadata}

    cells = [cell("x-install", "import a"), cell("x-plot", "viz.bars(x)", "own")]
    cells += [cell("x-solution", "viz.bars(x)", "hide-cell"), cell("x-run", "f()")]
    cells += [{"cell_type": "markdown", "id": "x", "metadata": {}, "source": "viz.a()"}]
    source = [json.dumps({"cells": cells})]

    class Env:
        def doc2path(self, name):
            return f"{name}.ipynb"

    app = type("App", (), {"env": Env()})()
    mmdl_fold.folded(app, "x", source)
    found = [c["metadata"].get("tags") for c in json.loads(source[0])["cells"]]
    assert found == [["hide-input"], ["own", "hide-input"], ["hide-cell"], None, None]


def folded(*cells):
    """Cells (id, code, tags) after folding, as (tags, words of the bar)."""
    made = []
    for name, code, *tags in cells:
        metadata = {"tags": tags} if tags else {}
        made.append({"cell_type": "code", "source": [code], "id": name})
        made[-1]["metadata"] = metadata
    source = [json.dumps({"cells": made})]
    env = type("Env", (), {"doc2path": lambda self, name: f"{name}.ipynb"})()
    mmdl_fold.folded(type("App", (), {"env": env})(), "x", source)
    after = [cell["metadata"] for cell in json.loads(source[0])["cells"]]
    bars = [m.get("mystnb", {}).get("code_prompt_show") for m in after]
    return [(m.get("tags", []), bar) for m, bar in zip(after, bars, strict=True)]


def test_with_the_tag_show_all_other_code_is_folded_under_a_bar_that_names_it():
    found = folded(
        ("x-install", "import a"),
        ("x-draw", "viz.bars(x)", "show"),
        ("x-imports-chapter", "import b"),
        ("x-run", "y = f()"),
        ("x-solution", "1", "hide-cell", "solution"),
        ("x-remove", "1", "remove-cell"),
    )
    assert found == [
        (["hide-input"], "Setup"),
        (["show"], None),
        (["hide-input"], "Setup"),
        (["hide-input"], "Code"),
        (["hide-cell", "solution"], None),
        (["remove-cell"], None),
    ]


def test_without_the_tag_show_a_bar_gets_a_name_too():
    found = folded(
        ("x-install", "import a"),
        ("x-a", "# draw it\nviz.bars(x)"),
        ("x-b", "viz.bars(x)"),
        ("x-c", "f()"),
    )
    assert found == [
        (["hide-input"], "Setup"),
        (["hide-input"], "Code: draw it"),
        (["hide-input"], "Code: draw the figure"),
        ([], None),
    ]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("# draw the figure.\nfit(x)", "Code: draw the figure"),
        ("x = 1  # no name\nfit(net, x)", "Code: train"),
        ("viz.source(f)", "Code: show the source"),
        ("a = results('x')\nviz.table(a)", "Code: draw the table"),
        ("a = 1\nviz.heat(a)", "Code: draw the figure"),
        ("viz.claims('x')", "Code: draw the claims"),
        (
            "def f(x):\n    return viz.bars(x)\n\n\nexplore(f)",
            "Code: let the figure move",
        ),
        ("rows = results('x')['a']\nassert rows", "Code: read the results"),
        ("model = pretrained.load('x', 'y')", "Code: load the weights"),
        ("assert a < b", "Code: check"),
        ("!pip list", "Code"),
        ("", "Code"),
    ],
)
def test_a_bar_says_what_is_inside(code, words):
    assert mmdl_fold.label({"source": code, "id": "x-a"}) == words


NOTEBOOKS = sorted((ROOT / "notebooks").glob("*/*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_every_bar_of_a_page_says_what_is_inside(path):
    cells = json.loads(path.read_text("utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    pages = [(c["id"], "".join(c["source"]), *tags_of(c)) for c in code]
    bars = {
        cell["id"]: bar
        for cell, (tags, bar) in zip(code, folded(*pages), strict=True)
        # a solution's bar gets its words from `mmdl_access`
        if any(tag.startswith("hide") for tag in tags) and "solution" not in tags
    }
    assert len(bars) >= 2  # each page prepares
    assert [name for name, bar in bars.items() if bar in (None, "Code")] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_every_cell_that_could_be_folded_has_words_for_a_bar(path):
    cells = json.loads(path.read_text("utf-8"))["cells"]
    code = [c for c in cells if c["cell_type"] == "code" and not seen(c)]
    assert [c["id"] for c in code if mmdl_fold.label(c) == "Code"] == []


def tags_of(cell):
    return cell["metadata"].get("tags", [])


def seen(cell):
    """Whether a cell is open, or folded under a bar of its own."""
    return {"show", "solution"} & set(tags_of(cell))
