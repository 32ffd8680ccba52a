"""The extension of the site, without a browser."""

import json
import sys
import zipfile
from io import StringIO
from pathlib import Path

import pytest
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "book/_ext"), str(ROOT / "tools")]

import mmdl_access  # noqa: E402
import mmdl_api  # noqa: E402
import mmdl_fold  # noqa: E402
import mmdl_icons  # noqa: E402
import zip_site  # noqa: E402

PARITY = {
    "what": "logits",
    "ours": "mmdl_lib.models.clip.CLIP",
    "reference": "transformers",
    "version": "5",
    "largest_difference": 1e-7,
    "tolerance": 1e-5,
    "test": "tests/parity/test_clip.py",
}
CLAIM = {
    "id": "larger-batches",
    "claim": "Larger batches help.",
    "paper": "no number",
    "ours": 0.5,
    "low": 0.4,
    "high": 0.6,
    "seeds": 3,
    "holds": "partly",
    "note": "",
}
COVERAGE = "row,page,anchor,title\nS001,index,here,A topic\n"


@pytest.fixture
def build(tmp_path):
    """Build a small site of one page; returns its HTML and Sphinx's warnings."""

    def run(text, files=None):
        source, out = tmp_path / "source", tmp_path / "out"
        files = {"index.md": f"(here)=\n# Page\n\n{text}\n", **(files or {})}
        for name, content in files.items():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_text(content)
        options = {"extensions": ["myst_parser", "mmdl_tables"]}
        folders, warnings = (source, None, out, tmp_path / "trees"), StringIO()
        with docutils_namespace():  # forget what an earlier test registered
            app = Sphinx(*folders, "html", options, status=None, warning=warnings)
            app.build()
        return (out / "index.html").read_text(), warnings.getvalue()

    return run


def coverage(build, text):
    page = "```{mmdl-coverage}\n:s: 2\n:f: 2\n```"
    return build(page, {"book/coverage.csv": text})


def test_coverage_counts_its_rows_and_links_to_the_place(build):
    html, warnings = coverage(build, COVERAGE)
    assert warnings == ""
    assert "1 of 4 rows" in html
    assert 'href="#here"' in html


@pytest.mark.parametrize(
    "row, complaint",
    [
        ("S003,index,here,A topic", "expected a row of the inventory, got 'S003'"),
        ("X001,index,here,A topic", "expected a row of the inventory, got 'X001'"),
        ("S001,index,here,A topic", "expected S001 once"),
        ("S002,nowhere,here,A topic", "expected a page of the book in S002"),
        ("S002,index,nowhere,A topic", "undefined label: 'nowhere'"),
    ],
)
def test_a_wrong_row_of_coverage_stops_the_strict_build(build, row, complaint):
    _, warnings = coverage(build, f"{COVERAGE}{row}\n")
    assert complaint in warnings


def parity(build, **changes):
    text = json.dumps([PARITY | changes])
    return build("```{mmdl-parity}\n```", {"results/parity/clip.json": text})


def test_parity_shows_the_measured_difference(build):
    html, warnings = parity(build)
    assert warnings == ""
    assert "1e-07" in html


@pytest.mark.parametrize("difference", [2e-5, float("nan")])
def test_a_difference_above_its_limit_stops_the_strict_build(build, difference):
    _, warnings = parity(build, largest_difference=difference)
    assert "expected at most 1e-05" in warnings


def test_pages_without_results_say_so(build):
    html, warnings = build("```{mmdl-parity}\n```\n```{mmdl-claims}\n```")
    assert warnings == ""
    assert "No comparison has been recorded yet." in html
    assert "No claim has been measured yet." in html


def claims(build, **changes):
    claim = {k: v for k, v in (CLAIM | changes).items() if v != "missing"}
    text = json.dumps({"claims": [claim], "other": 1})
    page = "(sec-toy)=\n## Toy\n\n```{mmdl-claims}\n```"
    return build(page, {"results/toy.json": text})


def test_a_claim_is_shown_with_interval_seeds_and_verdict(build):
    html, warnings = claims(build)
    assert warnings == ""
    assert "0.5 (0.4 to 0.6)" in html
    assert "mmdl-partly" in html


@pytest.mark.parametrize("change", [{"holds": "maybe"}, {"seeds": "missing"}])
def test_a_wrong_claim_stops_the_strict_build(build, change):
    _, warnings = claims(build, **change)
    assert "toy.json: expected" in warnings


@pytest.mark.parametrize(
    "markdown, rst",
    [
        (["a `b` and ``c``"], ["a ``b`` and ``c``"]),
        (["see `sec-clip`"], ["see :ref:`sec-clip`"]),
        (
            ["list", "- one", "  more", "- two"],
            ["list", "", "- one", "  more", "- two"],
        ),
        (["a|b and x_ and `y_|`"], ["a\\|b and x\\_ and ``y_|``"]),
        (["3 * 4, **bold**"], ["3 \\* 4, **bold**"]),
        ([">>> a | b_"], [">>> a | b_"]),
    ],
)
def test_docstrings_become_restructured_text(markdown, rst):
    assert mmdl_api.to_rst(markdown) == rst


def test_a_wildcard_names_each_module_once():
    names = mmdl_api.modules(["mmdl_lib.train", "mmdl_lib.*", "mmdl_lib.core"])
    assert names[0] == "mmdl_lib.train"
    assert names[-1] == "mmdl_lib.core"
    assert len(names) == len(set(names))
    assert not any("__main__" in name for name in names)


def test_icons_are_found_by_name_and_by_alias():
    script = '"pen":[8,9,[12,"old-pen"],"f1","M0 0z"],bars:[1,2,[],"f2","M1 1z"]'
    found = mmdl_icons.outlines(script, {"fa-old-pen", "fa-bars"})
    assert found == {"fa-bars": [1, 2, "M1 1z"], "fa-old-pen": [8, 9, "M0 0z"]}
    with pytest.raises(ValueError, match="fa-nothing"):
        mmdl_icons.outlines(script, {"fa-nothing"})


def test_folds_of_the_contents_get_a_name():
    tree = "<ul><li><a>API</a><details><summary></summary></details></li></ul>"
    assert 'aria-label="Sections of API"' in str(mmdl_access.name_the_folds(tree))


def test_a_folded_solution_is_called_so_and_named_by_what_it_shows():
    words = "<p>Show code cell content</p>"
    fold = f"<details>\n<summary{mmdl_access.FOLD}>{words}</summary>"
    body = f'<div class="cell tag_solution docutils">{fold}</details></div>'
    body += f'<div class="cell docutils">{fold}</details></div>'
    made = mmdl_access.name_the_solutions(body)
    assert "aria-label" not in made
    assert made.count("Show the solution") == made.count("Show code cell content") == 1


def test_the_archive_holds_the_site_and_repeats_its_bytes(tmp_path):
    site = tmp_path / "html"
    (site / "_static").mkdir(parents=True)
    (site / "index.html").write_text("<p>hello</p>")
    (site / "_static/a.js.map").write_text("{}")
    first, second = tmp_path / "a.zip", tmp_path / "b.zip"
    assert zip_site.pack(site, first) == zip_site.pack(site, second) == 1
    assert first.read_bytes() == second.read_bytes()
    assert zipfile.ZipFile(first).namelist() == ["multimodal-deep-learning/index.html"]


def test_an_archive_of_no_site_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="run `make book`"):
        zip_site.pack(tmp_path, tmp_path / "a.zip")


@pytest.mark.parametrize(
    ("code", "folded"),
    [
        ("viz.source(f)", True),
        ("a = 1\nviz.curve(\n    x,\n    y,\n)", True),
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
