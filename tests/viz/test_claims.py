"""The forest plot of claims: what it shows, and what it says to those who see none."""

import re

import pytest
from bs4 import BeautifulSoup

from mmdl_lib import viz
from mmdl_lib.record import VERDICTS, keep
from mmdl_lib.viz.claims import SIGNS, count, forest


def row(**changes):
    facts = {"id": "toy-a", "claim": "A < B.", "paper": "Table 1", "note": "Points."}
    facts |= {"unit": "points", "ours": 0.2, "low": 0.1, "high": 0.3, "seeds": 5}
    facts |= {"values": [0.1, 0.15, 0.2, 0.25, 0.3], "margin": 0.05, "why": "Small."}
    return facts | {"headline": False, "verdict": "holds"} | changes


def soup_of(rows):
    return BeautifulSoup(forest(rows), "html.parser")


@pytest.fixture
def shown(tmp_path, monkeypatch):
    monkeypatch.setenv("MMDL_RESULTS", str(tmp_path))

    def show(rows):
        keep("toy", "claims", value=rows)
        return viz.claims("toy")

    return show


def test_a_chapter_draws_its_claims_from_its_results(shown):
    made = shown([row(), row(verdict="cannot tell")])
    assert repr(made) == "2 claims tried in small: holds 1, cannot tell 1"
    assert "A &lt; B." in made._repr_html_()
    assert "Table 1" in made._repr_html_()


@pytest.mark.parametrize("said", VERDICTS)
def test_a_verdict_is_told_by_word_and_shape(said):
    soup = soup_of([row(verdict=said)])
    assert soup.select_one(".mmdl-verdict").text == f"{SIGNS[said]} {said}"
    others = [soup_of([row(verdict=v)]) for v in VERDICTS if v != said]
    shapes = [re.sub("#[0-9a-f]{6}", "", str(s.svg)) for s in [soup, *others]]
    without_words = [re.sub('aria-label="[^"]*"', "", s) for s in shapes]
    assert len(set(without_words)) == 4


def test_the_strip_stands_where_the_numbers_are():
    svg = soup_of([row()]).svg
    # the scale ends at 1.08 * 0.3 on both sides, 160 units from the middle
    unit = 160 / (1.08 * 0.3)
    dots = [float(c["cx"]) for c in svg.select("circle")]
    assert dots == pytest.approx([160 + unit * x for x in row()["values"]], abs=0.06)
    line = svg.select_one('path[stroke-width="2.2"]')["d"]
    found = [float(x) for x in re.fullmatch(r"M([\d.]+) 17H([\d.]+)", line).groups()]
    assert found == pytest.approx([160 + unit * 0.1, 160 + unit * 0.3], abs=0.06)
    band = svg.rect
    assert float(band["x"]) == pytest.approx(160 - unit * 0.05, abs=0.06)
    assert float(band["width"]) == pytest.approx(unit * 0.1, abs=0.11)


def test_claims_of_one_unit_share_a_scale_and_others_do_not():
    nats = row(unit="nats", ours=20.0, low=10.0, high=30.0, values=[20.0], margin=9.0)
    one, two, other = soup_of([row(), row(high=0.6), nats]).select("svg")
    ticks = [[t.text for t in s.select("text")] for s in (one, two, other)]
    assert ticks[0] == ticks[1] == ["−0.2", "0", "+0.2"]
    assert ticks[2] == ["−20", "0", "+20"]


def test_headlines_come_first_and_the_rest_keeps_its_order():
    rows = [row(claim=c, headline=c == "C") for c in "ABC"]
    items = soup_of(rows).select("li > div:first-child")
    assert [i.contents[0].text for i in items] == ["C", "A", "B"]
    assert items[0].strong.text == "C"


def test_each_strip_says_its_numbers_and_its_verdict():
    label = soup_of([row(verdict="reversed")]).svg["aria-label"]
    assert label == "reversed: 0.2 (0.1 to 0.3) points, margin 0.05"


def test_a_single_seed_has_no_interval():
    alone = row(low=None, high=None, values=[0.2], seeds=1, verdict="cannot tell")
    soup = soup_of([alone])
    assert not soup.select('path[stroke-width="2.2"]')
    assert "0.2 (one seed) points, 1 seed" in soup.text


def test_a_mechanism_that_is_absent_is_said():
    check = {"text": "Order matters.", "shown": False}
    assert "Mechanism not shown: Order matters." in soup_of([row(check=check)]).text


def test_a_value_of_zero_everywhere_has_a_scale():
    flat = row(ours=0.0, low=0.0, high=0.0, values=[0.0], margin=0.01)
    assert "nan" not in forest([flat])


@pytest.mark.parametrize("said", ["yes", "", None])
def test_an_unknown_verdict_is_refused(said):
    with pytest.raises(ValueError, match="toy-a expected one of holds, reversed"):
        forest([row(verdict=said)])


def test_a_record_that_lacks_something_is_refused():
    broken = row()
    del broken["margin"]
    with pytest.raises(ValueError, match="expected margin in toy-a"):
        forest([broken])


def test_results_without_claims_name_the_command(shown):
    with pytest.raises(ValueError, match="python recipes/toy.py summary"):
        shown([])


def test_verdicts_are_counted_in_words():
    said = ["holds"] * 2 + ["reversed", "no effect here"] + ["cannot tell"] * 3
    assert count([{"verdict": s} for s in reversed(said)]) == (
        "holds 2, reversed 1, no effect here 1, cannot tell 3"
    )
