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
import mmdl_icons  # noqa: E402
import mmdl_notebooks  # noqa: E402
import zip_site  # noqa: E402


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
        (
            ["As so:", "", "    f(**x):", "", "        a_", "", "Then `b`."],
            [
                "As so:",
                "",
                "::",
                "",
                "    f(**x):",
                "",
                "        a_",
                "",
                "Then ``b``.",
            ],
        ),
        (["So.", "", "    `a`"], ["So.", "", "    ``a``"]),
        (["  As so:", "", "    `a`"], ["  As so:", "", "    ``a``"]),
        (["Args:", "    x_: `a`"], ["Args:", "    x\\_: ``a``"]),
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
    assert not [n for n in names if "__main__" in n or "._" in n or ".data." in n + "."]
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
