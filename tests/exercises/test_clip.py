"""Exercise 5 of CLIP can be done with what we ship."""

import json
from pathlib import Path

import pytest

from mmdl_lib import pretrained
from mmdl_lib.data import shapes
from mmdl_lib.data.shapes.language import PHENOMENA

ROOT = Path(__file__).resolve().parents[2]
CELLS = json.loads(next(ROOT.glob("notebooks/*/clip.ipynb")).read_text("utf-8"))[
    "cells"
]
TASK = next("".join(c["source"]) for c in CELLS if c["id"] == "clip-exercise-5-text")
NAMED = [name for name in PHENOMENA if f"*{name}*" in TASK]


def test_the_task_names_three_phenomena():
    assert len(NAMED) == 3


@pytest.mark.parametrize("phenomenon", NAMED)
def test_the_shipped_tokenizer_knows_the_words_of_the_foils(phenomenon):
    _, tokenizer = pretrained.load("clip", "shapes")
    pairs = shapes.foils(shapes.sample(300, seed=0), phenomenon)
    assert len(pairs) > 30
    for _, caption, foil in pairs:
        tokenizer([caption, foil])
