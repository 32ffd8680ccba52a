"""The extension of the site, without a browser."""

import json
import re
import sys
import zipfile
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "book/_ext"), str(ROOT / "tools")]

import mmdl_access  # noqa: E402
import mmdl_api  # noqa: E402
import mmdl_fold  # noqa: E402
import mmdl_icons  # noqa: E402
import mmdl_notebooks  # noqa: E402
import mmdl_plan  # noqa: E402
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
COVERAGE = "row,anchor,title\nS001,here,A topic\n"


def coverage(build, text, **more):
    page = "```{mmdl-coverage}\n:s: 2\n:f: 2\n```"
    files = {"index": text, **more}
    return build(page, {f"book/coverage/{k}.csv": v for k, v in files.items()})


def test_coverage_counts_its_rows_and_links_to_the_place(build):
    html, warnings = coverage(build, COVERAGE)
    assert warnings == ""
    assert "1 of 4 rows" in html
    assert 'href="#here"' in html


def test_coverage_adds_the_files_of_all_chapters(build):
    other = "row,anchor,title\nF002,sec-other,Another\n"
    page = "---\norphan: true\n---\n(sec-other)=\n# Other\n"
    text = "```{mmdl-coverage}\n:s: 2\n:f: 2\n```"
    files = {"other.md": page, "book/coverage/other.csv": other}
    html, warnings = build(text, files | {"book/coverage/index.csv": COVERAGE})
    assert warnings == ""
    assert "2 of 4 rows" in html and html.index("F002") < html.index("S001")


@pytest.mark.parametrize(
    "row, complaint",
    [
        ("S003,here,A topic", "expected a row of the inventory, got 'S003'"),
        ("X001,here,A topic", "expected a row of the inventory, got 'X001'"),
        ("S001,here,A topic", "expected S001 once, index.csv has it, too"),
        ("S002,nowhere,A topic", "undefined label: 'nowhere'"),
    ],
)
def test_a_wrong_row_of_coverage_stops_the_strict_build(build, row, complaint):
    _, warnings = coverage(build, f"{COVERAGE}{row}\n")
    assert complaint in warnings


def test_a_coverage_file_of_no_page_stops_the_strict_build(build):
    row = COVERAGE.replace("S001", "S002")
    _, warnings = coverage(build, COVERAGE, nothing=row)
    assert "nothing.csv: expected the name of a page" in warnings


PLAN = "number,title\n1,Begin\n1.1,Words\n1.1.1,Letters\n1.1.2,Old name\n1.1.10,Later\n"
CHAPTER = """---
orphan: true
---
(sec-names)=
# 1.1.2 Names
"""
TOC = "format: jb-book\nroot: index\nchapters:\n- file: names\n- file: plain\n"


def notebook(title, **metadata):
    source = [f"(sec-x)=\n# {title}\n\nTakes 20 to 25 minutes.\n"]
    cell = {"cell_type": "markdown", "metadata": {}, "id": "x", "source": source}
    whole = {"cells": [cell], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole)


def test_the_plan_shows_written_pages_as_links_in_the_order_of_their_numbers(build):
    files = {"book/plan.csv": PLAN, "_toc.yml": TOC, "names.md": CHAPTER}
    html, warnings = build("```{mmdl-plan}\n```", files)
    assert warnings == ""
    shown = re.sub(r"<[^>]+>", "", html[html.index("<strong>1 Begin") :])
    order = ["1 Begin", "1.1 Words", "1.1.1 Letters", "1.1.2 Names", "1.1.10 Later"]
    places = [shown.index(words) for words in order]
    assert places == sorted(places) and "Old name" not in html
    assert len(re.findall(r'href="names.html"', html)) == 1
    assert html.count("<ul") - html.count('<ul class="search') >= 2


def test_the_table_of_a_part_says_what_is_written_and_what_is_planned(build):
    files = {"book/plan.csv": PLAN, "_toc.yml": TOC, "names.md": CHAPTER}
    html, warnings = build("```{mmdl-part} 1.1\n```", files)
    assert warnings == ""
    rows = re.findall(r"<tr.*?</tr>", html, re.S)
    cells = [re.sub(r"<[^>]+>|\s+", " ", row).split() for row in rows[1:]]
    assert [(row[0], row[-1]) for row in cells] == [
        ("1.1.1", "planned"),
        ("1.1.2", "written"),
        ("1.1.10", "planned"),
    ]
    _, warnings = build("```{mmdl-part} 7.1\n```", files)
    assert "expected a part that has chapters, got '7.1'" in warnings


def test_the_head_of_a_notebook_says_number_question_and_minutes(tmp_path):
    asks = {"asks": "What is a name?"}
    (tmp_path / "a.ipynb").write_text(notebook("3.1.2 Names", mmdl=asks))
    (tmp_path / "b.ipynb").write_text(notebook("Names"))
    found = mmdl_plan.head(tmp_path, "a")
    assert found == ("3.1.2", "Names", "a", "What is a name?", "20 to 25")
    assert mmdl_plan.head(tmp_path, "b") is None


def test_two_pages_of_one_number_stop_the_strict_build(build):
    files = {"book/plan.csv": PLAN, "_toc.yml": TOC, "names.md": CHAPTER}
    files["plain.md"] = CHAPTER.replace("sec-names", "sec-plain")
    _, warnings = build("```{mmdl-plan}\n```", files)
    assert "expected one page of number 1.1.2, got names and plain" in warnings


def test_every_chapter_of_the_book_is_in_the_plan_and_has_its_question():
    written = {p.file: p for p in mmdl_plan.pages(ROOT) if p.file}
    for path in ROOT.glob("notebooks/*/*.ipynb"):
        if not path.stem.endswith("_further"):
            name = path.relative_to(ROOT).with_suffix("").as_posix()
            assert written[name].asks.endswith("?"), name
            folder = path.parent.name.removeprefix("ch").split("_")
            assert written[name].number.split(".")[:2] == folder[:2], name


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


def test_a_wildcard_names_each_module_once_and_leaves_out_what_it_should():
    without = ["mmdl_lib.data", "mmdl_lib.metrics.bleu"]
    lines = ["mmdl_lib.train", "mmdl_lib.*", "mmdl_lib.core"]
    names = mmdl_api.modules(lines, without)
    assert names[0] == "mmdl_lib.train"
    assert names[-1] == "mmdl_lib.core"
    assert len(names) == len(set(names))
    assert {"mmdl_lib.viz", "mmdl_lib.viz.plots", "mmdl_lib.metrics"} <= set(names)
    assert not [n for n in names if "__main__" in n or "._" in n or ".data" in n]
    assert "mmdl_lib.metrics.bleu" not in names


def test_every_public_module_has_its_place_on_one_page_of_the_reference():
    shown, left_out = [], ["mmdl_lib.exercises", "mmdl_lib.demos"]
    for page in sorted(ROOT.glob("book/api*.md")):
        (block,) = re.findall(r"```{mmdl-api}\n(.*?)```", page.read_text(), re.S)
        options = re.findall(r"^:without: (.*)$", block, re.M)
        lines = [line for line in block.splitlines() if not line.startswith(":")]
        shown += mmdl_api.modules(lines, " ".join(options).split())
    public = mmdl_api.modules(["mmdl_lib.*"], left_out)
    packages = {"mmdl_lib.data", "mmdl_lib.models"}  # their pages say what they hold
    assert sorted(shown) == sorted(set(public) - packages)


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


PAGE = """<div role="main"><section id="a"><h1>A<a class="headerlink">#</a></h1>
<p>one <b>two</b> &amp; <img alt="x"></p><section id="b"><p>three</p></section>
</section>
<script>no</script></div>"""


def test_the_archive_holds_the_site_and_repeats_its_bytes(tmp_path):
    site = tmp_path / "html"
    for name, text in {
        "index.html": "<p>hello</p>",
        "search.html": f'<head>{zip_site.SEARCH}?v=1"></script></head>',
        "_static/a.js.map": "{}",
        "book/page.html": PAGE,
    }.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(text)
    first, second = tmp_path / "a.zip", tmp_path / "b.zip"
    assert zip_site.pack(site, first) == zip_site.pack(site, second) == 4
    assert first.read_bytes() == second.read_bytes()
    archive = zipfile.ZipFile(first)
    names = {n.removeprefix("multimodal-deep-learning/") for n in archive.namelist()}
    assert names == {"index.html", "search.html", "book/page.html", zip_site.TEXTS}
    search = archive.read("multimodal-deep-learning/search.html").decode()
    assert search.index(zip_site.TEXTS) < search.index("searchtools")
    script = archive.read(f"multimodal-deep-learning/{zip_site.TEXTS}").decode()
    pages = json.loads(script.split("\n")[0].removeprefix("const TEXTS = ")[:-1])
    text = BeautifulSoup(pages["book/page.html"], "html.parser")
    assert text.find(id="a").get_text().split() == "A one two & three".split()
    assert text.find(id="b").get_text(strip=True) == "three"


def executed(tmp_path, *sources):
    cells = [
        {"cell_type": "code", "source": s, "outputs": [f"of {s}"], "execution_count": 1}
        for s in sources
    ]
    path = tmp_path / "_build/executed/x.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    facts = {"mmdl_run": {"digest": "-".join(sources)}}
    path.write_text(json.dumps({"cells": cells, "metadata": facts}))


class Environment:
    found_docs = {"x", "y"}

    def doc2path(self, name):
        return f"{name}.ipynb"


def test_a_notebook_shows_what_its_executed_copy_holds_or_warns(tmp_path, caplog):
    app = type("App", (), {"env": Environment(), "srcdir": tmp_path})()
    cells = [{"cell_type": "markdown", "source": ["words"]}]
    cells += [{"cell_type": "code", "source": ["a", "b"], "outputs": ["old"]}]
    before = [json.dumps({"cells": cells})]
    executed(tmp_path, "ab")
    source = before.copy()
    mmdl_notebooks.with_outputs(app, "x", source)
    words, code = json.loads(source[0])["cells"]
    assert words == cells[0] and code["outputs"] == ["of ab"]
    for others in (["ab", "c"], [], ["b"]):
        executed(tmp_path, *others)
        source = before.copy()
        mmdl_notebooks.with_outputs(app, "x", source)
        assert source == before
    assert caplog.text.count("expected a green run of this notebook") == 3
    mmdl_notebooks.with_outputs(app, "y", before.copy())  # never run
    assert caplog.text.count("expected a green run of this notebook") == 4


def test_a_page_is_read_again_when_its_notebook_has_run_again(tmp_path):
    env = Environment()
    app = type("App", (), {"srcdir": tmp_path})()
    executed(tmp_path, "ab")
    assert mmdl_notebooks.outdated(app, env, (), (), ()) == ["x"]
    assert mmdl_notebooks.outdated(app, env, (), (), ()) == []
    executed(tmp_path, "c")
    assert mmdl_notebooks.outdated(app, env, (), (), ()) == ["x"]


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


def test_without_the_tag_show_no_bar_gets_a_name():
    assert folded(("x-a", "viz.bars(x)"), ("x-b", "f()")) == [
        (["hide-input"], None),
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
