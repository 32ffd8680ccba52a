"""What belongs to a model by its slug, and what model files must not do."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SLUGS = sorted(
    p.stem for p in (ROOT / "mmdl_lib/models").glob("*.py") if p.stem != "__init__"
)
PARTS = ["**Paper**", "**Book**", "**Symbols**", "**Start**"]
PARTS += ["**Differs from the paper**", "**Builds on**"]


def chapter_of(slug):
    """The chapter that a model file names: its own slug, or that of a shared one."""
    said = (ROOT / f"mmdl_lib/models/{slug}.py").read_text()
    return re.search(r"^\*\*Book\*\* `sec-([\w]+)`", said, re.M).group(1)


def slug_of(weights):
    """The model file of `<slug>_<source>`; both may have a low line."""
    fitting = [slug for slug in SLUGS if weights.stem.startswith(f"{slug}_")]
    return max(fitting, key=len, default=weights.stem)


@pytest.mark.parametrize("slug", SLUGS)
def test_the_slug_names_all_that_belongs_to_a_model(slug):
    chapter = chapter_of(slug)
    files = [f"tests/models/test_{slug}.py", f"recipes/{chapter}.py"]
    files += [f"results/{chapter}.json"]
    assert [f for f in files if not (ROOT / f).exists()] == []
    # one model of a chapter with weights is enough: `alexnet_*` serves `history`
    fellows = [other for other in SLUGS if chapter_of(other) == chapter]
    weights = {slug_of(path) for path in (ROOT / "mmdl_lib/weights").glob("*")}
    assert weights & {chapter, *fellows}
    notebook = list((ROOT / "notebooks").glob(f"*/{chapter}.ipynb"))
    assert len(notebook) == 1
    assert f"(sec-{chapter})=" in notebook[0].read_text()
    assert f"(sec-{slug})=" in notebook[0].read_text()


def test_nothing_measured_lacks_its_recipe():
    recipes = {p.stem for p in (ROOT / "recipes").glob("*.py")}
    for file in (ROOT / "results").glob("*.json"):
        assert file.stem in recipes, file.name
    for file in (ROOT / "mmdl_lib/weights").glob("*"):
        slug = slug_of(file)
        assert slug in recipes or chapter_of(slug) in recipes, file.name


def test_weights_keep_to_their_budget():
    sizes = [p.stat().st_size for p in (ROOT / "mmdl_lib/weights").glob("*")]
    assert max(sizes) <= 2_000_000
    assert sum(sizes) <= 40_000_000


@pytest.mark.parametrize("slug", SLUGS)
def test_a_model_file_has_the_parts_of_its_docstring_and_at_most_400_lines(slug):
    text = (ROOT / f"mmdl_lib/models/{slug}.py").read_text()
    said = ast.get_docstring(ast.parse(text))
    places = [said.find(part) for part in PARTS]
    assert -1 not in places
    assert places == sorted(places)
    assert re.search(r"arXiv \d{4}\.\d{4,5}|doi", said)
    assert len(text.splitlines()) <= 400


@pytest.mark.parametrize("folder", ["models", "nn", "metrics"])
def test_models_and_blocks_neither_print_nor_log_nor_read_files(folder):
    for file in (ROOT / "mmdl_lib" / folder).glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in ("print", "open", "tqdm"), file.name
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [a.name for a in node.names] + [getattr(node, "module", "")]
                assert not {"logging", "tqdm", "pathlib"} & set(names), file.name
