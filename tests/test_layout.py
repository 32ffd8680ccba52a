"""Sizes of files, and what each chapter must have by its slug."""

import csv
import json
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LINES, RECIPE = 400, 250
# cut by those who work on them now
WAITING = {"mmdl_lib/demos/augment.js", "tests/parity/test_metrics_boxes.py"}
CHAPTERS = sorted(
    path
    for path in ROOT.glob("notebooks/*/*.ipynb")
    if not path.stem.endswith("_further")
)
each = pytest.mark.parametrize("path", CHAPTERS, ids=[p.stem for p in CHAPTERS])


def ours():
    """Python and JavaScript that git knows."""
    command = ["git", "ls-files", "*.py", "*.js"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in done.stdout.splitlines() if (ROOT / name).exists()]


def limit(name, text):
    """Recipes that do not yet stand on the laboratory wait for their turn."""
    if name in WAITING or (name.startswith("recipes/") and "import lab" not in text):
        return len(text)
    return RECIPE if name.startswith("recipes/") else LINES


def test_no_file_of_ours_is_longer_than_a_reader_can_hold():
    texts = {name: (ROOT / name).read_text("utf-8") for name in ours()}
    assert len(texts) > 100
    counts = {name: text.count("\n") for name, text in texts.items()}
    assert {n: c for n, c in counts.items() if c > limit(n, texts[n])} == {}


@each
def test_the_slug_names_all_that_belongs_to_a_chapter(path):
    slug = path.stem
    files = [f"mmdl_lib/exercises/{slug}.py", f"recipes/{slug}.py"]
    files += [f"results/{slug}.json", f"book/coverage/{slug}.csv"]
    assert [name for name in files if not (ROOT / name).exists()] == []
    toc = (ROOT / "_toc.yml").read_text("utf-8")
    assert (
        toc.count(f"- file: {path.relative_to(ROOT).with_suffix('').as_posix()}\n") == 1
    )


def test_no_exercise_and_no_coverage_is_left_without_its_chapter():
    slugs = {path.stem for path in CHAPTERS}
    for pattern in ("mmdl_lib/exercises/[a-z]*.py", "book/coverage/*.csv"):
        assert {path.stem for path in ROOT.glob(pattern)} == slugs


@each
def test_a_chapter_is_covered_where_it_says(path):
    """Each anchor of the fragment stands in the notebook of the same slug."""
    cells = json.loads(path.read_text("utf-8"))["cells"]
    text = "\n".join("".join(cell["source"]) for cell in cells)
    there = set(re.findall(r"^\(([\w-]+)\)=$", text, re.M))
    further = path.with_name(f"{path.stem}_further.ipynb")
    if further.exists():
        there |= set(re.findall(r"\(([\w-]+)\)=", further.read_text("utf-8")))
    with (ROOT / f"book/coverage/{path.stem}.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["anchor"] for row in rows} <= there
