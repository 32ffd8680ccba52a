"""What the parity page shows is of files and tests that are there."""

import json
from pathlib import Path

import pytest

from tests.parity.conftest import slug_of, worst

ROOT = Path(__file__).resolve().parents[2]
FRAGMENTS = sorted((ROOT / "results/parity").glob("*.json"))


@pytest.mark.parametrize("file", FRAGMENTS, ids=lambda file: file.stem)
def test_a_fragment_holds_the_comparisons_of_one_file_once(file):
    rows = json.loads(file.read_text(encoding="utf-8"))
    assert worst(rows) == {file.stem: rows}
    for row in rows:
        assert row["largest_difference"] <= row["tolerance"]


def test_every_model_with_a_parity_test_has_a_fragment():
    models = [f.stem for f in (ROOT / "mmdl_lib/models").glob("[!_]*.py")]
    tested = [m for m in models if (ROOT / f"tests/parity/test_{m}.py").exists()]
    assert len(tested) > 5
    assert set(tested) <= {file.stem for file in FRAGMENTS}


def note(what, found, ours="mmdl_lib.models.vit.ViT"):
    return {
        "what": what,
        "ours": ours,
        "reference": "other",
        "largest_difference": found,
    }


def test_of_each_comparison_the_largest_difference_is_kept_with_its_file():
    other = note("c", 1.0, "mmdl_lib.metrics._words.ptb")
    rows = [note("a", 1.0), note("a", 3.0), note("b", 2.0), note("a", 2.0), other]
    assert worst(rows) == {"vit": [rows[1], rows[2]], "ptb": [other]}
    assert slug_of("mmdl_lib.metrics.mean_ap") == "mean_ap"
