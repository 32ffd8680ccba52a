"""What the build makes from files: the plan, cards, coverage, parity, claims."""

import json
import re
import sys
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "book/_ext"))

import mmdl_cards  # noqa: E402
import mmdl_plan  # noqa: E402

from mmdl_lib.record import VERDICTS  # noqa: E402

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
    "id": "toy-batches",
    "claim": "Larger batches <help>.",
    "paper": "no number",
    "note": "",
    "unit": "points",
    "ours": 0.5,
    "low": 0.4,
    "high": 0.6,
    "seeds": 5,
    "values": [0.4, 0.6],
    "margin": 0.1,
    "why": "Less is nothing.",
    "headline": False,
    "verdict": "holds",
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
    assert "2 of 4 rows" in html
    link = BeautifulSoup(html, "html.parser").find("a", string="Another")
    assert link["href"].startswith("other.html")


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


BOOK = {
    "_toc.yml": "root: index\nchapters:\n- file: zeta\n- file: alpha\n",
    "book/plan.csv": "number,title\n",
    "zeta.md": "---\norphan: true\n---\n(sec-zeta)=\n# 2.1 Zeta: the first\n",
    "alpha.md": "---\norphan: true\n---\n(sec-alpha)=\n# 2.2 Alpha: the second\n",
}


def test_coverage_and_claims_stand_in_the_order_of_the_book(build):
    row = "row,anchor,title\n{},sec-{},Topic of {}\n"
    files = {f"book/coverage/{n}.csv": row.format(r, n, n) for r, n in ROWS.items()}
    text = json.dumps({"claims": [CLAIM]})
    files |= {f"results/{name}.json": text for name in ("alpha", "zeta_looks")}
    page = "```{mmdl-coverage}\n:s: 2\n:f: 2\n```\n\n```{mmdl-claims}\n```"
    html, warnings = build(page, BOOK | files)
    assert warnings == ""
    assert html.index("2.1 Zeta: the first: 1 rows") < html.index("2.2 Alpha")
    shown = [x["data-chapter"] for x in BeautifulSoup(html, "html.parser")("details")]
    assert shown == ["zeta", "alpha"]
    link = BeautifulSoup(html, "html.parser").find("a", string="Topic of zeta")
    assert link["href"].startswith("zeta.html")


ROWS = {"S001": "alpha", "S002": "zeta"}


def test_a_chapter_chosen_on_the_page_of_claims_hides_the_others(build):
    text = json.dumps({"claims": [CLAIM]})
    files = {f"results/{name}.json": text for name in ("alpha", "zeta")}
    html, _ = build("```{mmdl-claims}\n```", BOOK | files)
    choices = BeautifulSoup(html, "html.parser").select("[name=mmdl-chapter]")
    assert [choice["value"] for choice in choices] == ["every", "zeta", "alpha"]
    for key in ("zeta", "alpha"):
        rule = f'[value="{key}"]:checked) details[data-chapter]:not([data-chapter='
        assert f'{rule}"{key}"]) {{ display: none; }}' in html


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


def test_parity_has_one_row_a_model_and_counts_what_is_our_own(build):
    own = PARITY | {"what": "loss", "reference": "pseudocode, as functions"}
    near = PARITY | {"what": "near", "largest_difference": 9e-6}
    exact = {"largest_difference": 0.0, "tolerance": 0.0}
    other = PARITY | exact | {"ours": "mmdl_lib.metrics.bleu"}
    files = {"results/parity/clip.json": json.dumps([PARITY, near, own])}
    files["results/parity/bleu.json"] = json.dumps([other])
    html, warnings = build("```{mmdl-parity}\n```", files)
    page = BeautifulSoup(html, "html.parser")
    assert warnings == ""
    assert "4 comparisons of 2 models" in page.text and "1 of them" in page.text
    clip, bleu = (fold.summary.text for fold in page.select("details.mmdl-fold"))
    assert clip.startswith("CLIP: 3 comparisons with transformers 5; our own: pseudo")
    assert "nearest to its limit: 9e-06 of 1e-05" in clip
    assert bleu == "bleu: 1 comparison with transformers 5; no difference"
    assert page.text.index("Models") < page.text.index("Metrics")


def test_the_parity_of_this_book_names_the_loops_of_ours():
    import mmdl_evidence

    files = (ROOT / "results/parity").glob("*.json")
    found = [r for file in files for r in json.loads(file.read_text("utf-8"))]
    own = {r["reference"] for r in found if mmdl_evidence.is_own(r)}
    assert "pseudocode of the paper, as functions" in own
    for known in ("transformers", "scikit-learn", "torchmetrics", "pycocotools"):
        assert not any(reference.startswith(known) for reference in own)


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
    assert "0.5 (0.4 to 0.6) points, 5 seeds" in html
    assert "Larger batches &lt;help&gt;." in html
    assert 'data-verdict="holds"' in html
    assert 'href="#sec-toy"' in html


def test_the_page_of_claims_counts_each_verdict(build):
    rows = [CLAIM] * 79 + [CLAIM | {"verdict": "cannot tell", "headline": True}]
    page = "(sec-toy)=\n## Toy\n\n```{mmdl-claims}\n```"
    html, warnings = build(page, {"results/toy.json": json.dumps({"claims": rows})})
    text = re.sub("<[^>]+>", "", html)
    assert warnings == ""
    assert "80 claims, 1 of them headlines" in text
    assert "about 2 would still read holds by chance" in text
    for words in ("all (80)", "holds (79)", "reversed (0)", "cannot tell (1)"):
        assert words in text
    assert "toy: holds 79, cannot tell 1" in text


def test_a_verdict_chosen_on_the_page_is_known_to_its_style_sheet():
    css = (ROOT / "book/_static/custom.css").read_text("utf-8")
    for said in VERDICTS:
        assert f'.mmdl-claims:has([value="{said}"]:checked)' in css
        assert css.count(f'li[data-verdict="{said}"]') == 1


def test_numbers_of_a_gpu_have_a_fold_of_their_own(build):
    page = "(sec-toy)=\n## Toy\n\n```{mmdl-claims}\n```"
    text = json.dumps({"claims": [CLAIM]})
    html, _ = build(page, {"results/toy.json": text, "results/gpu/toy.json": text})
    assert "<strong>toy</strong>" in html
    assert "<strong>toy, on a GPU</strong>" in html


@pytest.mark.parametrize("change", [{"verdict": "no"}, {"seeds": "missing"}])
def test_a_wrong_claim_stops_the_strict_build(build, change):
    _, warnings = claims(build, **change)
    assert re.search("toy.json: (toy-batches )?expected", warnings)


def test_a_card_shows_the_tagged_or_drawn_figure_or_the_first_with_pictures(tmp_path):
    def cell(html, *tags):
        output = {"data": {"text/html": [html]}}
        return {"metadata": {"tags": list(tags)}, "outputs": [output]}

    figure = '<figure class="mmdl-figure">{}<figcaption>c</figcaption></figure>'
    plain, one, two = (figure.format(x) for x in ("<svg/>", "<image 1>", "<image 2>"))
    copy = tmp_path / "a.ipynb"
    cells = [{"metadata": {}}, cell(plain), cell(one), cell(two)]
    copy.write_text(json.dumps({"cells": cells}))
    assert mmdl_cards.picture(copy) == '<figure class="mmdl-figure"><image 1></figure>'
    drawn = one.replace("mmdl-figure", "mmdl-figure mmdl-schema").replace("1", "3")
    cells.append(cell(drawn))
    copy.write_text(json.dumps({"cells": cells}))
    assert "<image 3>" in mmdl_cards.picture(copy)
    cells[3]["metadata"]["tags"] = ["card"]
    copy.write_text(json.dumps({"cells": cells}))
    assert "<image 2>" in mmdl_cards.picture(copy)
    cells[1:4] = [cell(plain, "card"), cell(one), cell(two)]
    copy.write_text(json.dumps({"cells": cells}))
    assert mmdl_cards.picture(copy) == '<figure class="mmdl-figure"><svg/></figure>'
    assert mmdl_cards.picture(tmp_path / "b.ipynb") == ""


def test_a_card_stands_for_each_chapter_and_not_for_its_further_experiments(build):
    asked = {"mmdl": {"asks": "Why not?"}}
    files = {"zeta.ipynb": notebook("2.1 Zeta", **asked)}
    files["zeta_further.ipynb"] = notebook("2.1.1 More", **asked)
    toc = "root: index\nchapters:\n- file: zeta\n- file: zeta_further\n"
    files |= {"_toc.yml": toc, "book/plan.csv": "number,title\n3,Later\n"}
    html, _ = build("```{mmdl-cards}\n```", files)
    cards = BeautifulSoup(html, "html.parser").select(".mmdl-card")
    shown = [" ".join(card.text.split()) for card in cards]
    assert shown == ["2.1 Zeta Why not? 20 to 25 minutes."]


def test_the_cite_page_has_the_version_and_each_chapter(build):
    from pybtex.database import parse_string

    facts = "title: A Book\nversion: 1.2.3\nauthors:\n- name: The authors and others\n"
    files = {"CITATION.cff": facts, "_config.yml": 'copyright: "2026"\n'}
    cell = notebook("2.1 Zeta", mmdl={"asks": "Why?"})
    toc = {"_toc.yml": "root: index\nchapters:\n- file: zeta\n"}
    toc |= {"book/plan.csv": "number,title\n", "zeta.ipynb": cell}
    html, warnings = build("```{mmdl-cite}\n```", files | toc)
    assert warnings == ""
    blocks = BeautifulSoup(html, "html.parser").select("pre")
    found = parse_string("\n".join(block.text for block in blocks), "bibtex").entries
    assert set(found) == {"mmdl", "mmdl-zeta"}
    assert found["mmdl"].fields["version"] == "1.2.3"
    assert [str(p) for p in found["mmdl"].persons["author"]] == [
        "{The authors and others}"
    ]
    assert found["mmdl-zeta"].fields["chapter"] == "2.1"
    empty = {"CITATION.cff": "title: A\nversion:\n"}
    html, warnings = build("```{mmdl-cite}\n```", files | empty)
    assert "CITATION.cff: expected version, authors" in warnings


def test_seeds_are_counted_from_the_results(build):
    rows = [CLAIM, CLAIM | {"seeds": 8}]
    files = {"results/toy.json": json.dumps({"claims": rows})}
    html, _ = build("```{mmdl-seeds}\n```", files)
    table = BeautifulSoup(html, "html.parser").find("table")
    assert [cell.text for cell in table.select("tbody p")] == ["toy", "2", "5 to 8"]
