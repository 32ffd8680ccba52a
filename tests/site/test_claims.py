"""The page of claims, without a browser."""

import json
import re
from pathlib import Path

import pytest

from mmdl_lib.record import VERDICTS

ROOT = Path(__file__).resolve().parents[2]
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
    rows = [CLAIM] * 79 + [CLAIM | {"verdict": "cannot tell"}]
    page = "(sec-toy)=\n## Toy\n\n```{mmdl-claims}\n```"
    html, warnings = build(page, {"results/toy.json": json.dumps({"claims": rows})})
    text = re.sub("<[^>]+>", "", html)
    assert warnings == ""
    assert "80 claims with intervals of 95 %" in text
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
