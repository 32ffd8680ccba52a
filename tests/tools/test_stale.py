"""A notebook runs again for each thing that it uses, and for nothing else."""

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import stale  # noqa: E402

FILES = {
    "mmdl_lib/__init__.py": "",
    "mmdl_lib/core.py": "def models(): ...",
    "mmdl_lib/models/__init__.py": "",
    "mmdl_lib/models/one.py": "from mmdl_lib.nn import blocks",
    "mmdl_lib/models/two.py": "from ..nn.deep import inner",
    "mmdl_lib/nn/__init__.py": "",
    "mmdl_lib/nn/blocks.py": "from .deep import inner",
    "mmdl_lib/nn/deep/__init__.py": "from .inner import f",
    "mmdl_lib/nn/deep/inner.py": "def f():\n    from mmdl_lib.nn import late",
    "mmdl_lib/nn/late.py": "",
    "mmdl_lib/metrics/__init__.py": "",
    "mmdl_lib/metrics/cost.py": "",
    "mmdl_lib/metrics/score.py": "f = lambda: load('two')",
    "mmdl_lib/exercises/__init__.py": "",
    "mmdl_lib/exercises/one.py": "from mmdl_lib.metrics import score",
    "mmdl_lib/exercises/two.py": "",
    "mmdl_lib/pretrained/__init__.py": "def load(slug): ...",
    "mmdl_lib/pretrained/one.py": "f = lambda: load('one')",
    "mmdl_lib/weights/one_shapes.safetensors": "1",
    "mmdl_lib/weights/two_shapes.safetensors": "2",
    "mmdl_lib/data/__init__.py": "",
    "mmdl_lib/data/words.py": "FILE = 'folder/words.npz'",
    "mmdl_lib/data/words.npz": "",
    "mmdl_lib/data/unnamed.npz": "",
    "mmdl_lib/demos/__init__.py": "",
    "mmdl_lib/demos/one/facts.json": "{}",
    "mmdl_lib/demos/two/facts.json": "{}",
    "results/one.json": "{}",
    "results/one_claims.json": "{}",
    "results/two.json": "{}",
    "requirements.txt": "numpy==1.0\n",
}
EVERYBODY = {"mmdl_lib/data/unnamed.npz"}


def notebook(*sources, **changes):
    cells = [
        {"cell_type": "code", "metadata": {}, "source": [source], "outputs": []}
        for source in sources
    ]
    return {"cells": cells, "metadata": {}} | changes


@pytest.fixture
def repository(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "notebooks").mkdir()
    return tmp_path


def used(root, *sources):
    """Names of the files that a notebook uses, without those that everybody uses."""
    path = root / "notebooks/x.ipynb"
    path.write_text(json.dumps(notebook(*sources)))
    names = {p.relative_to(root).as_posix() for p in stale.Uses(root).files(path)}
    assert names >= EVERYBODY
    return {n for n in names - EVERYBODY if not n.endswith("__init__.py")}


DEEP = {"mmdl_lib/nn/deep/inner.py", "mmdl_lib/nn/late.py"}
ONE = {"mmdl_lib/models/one.py", "mmdl_lib/nn/blocks.py", *DEEP}


@pytest.mark.parametrize(
    ("code", "files"),
    [
        ("x = 1", set()),
        ("import mmdl_lib.models.one", ONE),
        ("from mmdl_lib.models.one import f as g", ONE),
        ("def f():\n    from mmdl_lib.models import one", ONE),
        ("%matplotlib inline\nimport mmdl_lib.nn.late", {"mmdl_lib/nn/late.py"}),
        ("from mmdl_lib.models import two", {"mmdl_lib/models/two.py", *DEEP}),
        ("import numpy", set()),
        (
            "from mmdl_lib.data import words",
            {f"mmdl_lib/data/words.{e}" for e in ("py", "npz")},
        ),
    ],
)
def test_imports_are_followed_wherever_they_stand(repository, code, files):
    assert used(repository, code) == files


def test_a_notebook_in_two_cells_has_both_imports(repository):
    cells = "import mmdl_lib.nn.late", "from mmdl_lib.metrics import cost"
    assert used(repository, *cells) == {
        "mmdl_lib/nn/late.py",
        "mmdl_lib/metrics/cost.py",
    }


def test_a_word_names_model_exercise_weights_and_results(repository):
    found = used(repository, "from mmdl_lib import pretrained\npretrained.load('one')")
    assert found >= ONE | {"mmdl_lib/weights/one_shapes.safetensors"}
    assert found >= {"mmdl_lib/exercises/one.py", "results/one_claims.json"}
    assert "mmdl_lib/pretrained/one.py" in found
    # by the exercise's metric, which loads other weights
    assert "mmdl_lib/weights/two_shapes.safetensors" in found


def test_the_name_of_an_exercise_names_its_chapter(repository):
    path = repository / "notebooks/x.ipynb"
    path.write_text(json.dumps(notebook("check('two-1', ...)")))
    names = {
        p.relative_to(repository).as_posix() for p in stale.Uses(repository).files(path)
    }
    folder = "mmdl_lib/exercises"
    assert names >= {
        f"{folder}/two.py",
        f"{folder}/__init__.py",
        "mmdl_lib/__init__.py",
    }


def test_what_a_loader_names_belongs_to_its_own_model(repository):
    found = used(repository, "import mmdl_lib.pretrained.one")
    assert found == {"mmdl_lib/pretrained/one.py"}


def test_a_folder_of_results_belongs_to_the_module_of_its_name(repository):
    for name in ("mmdl_lib/lab/__init__.py", "mmdl_lib/lab/board.py"):
        (repository / name).parent.mkdir(exist_ok=True)
        (repository / name).write_text("")
    (repository / "results/board").mkdir()
    (repository / "results/board/one.json").write_text("{}")
    found = used(repository, "from mmdl_lib.lab import board")
    assert found == {"mmdl_lib/lab/board.py", "results/board/one.json"}
    assert "results/board/one.json" not in used(repository, "print('one')")


def test_a_demo_counts_where_demos_are_imported(repository):
    found = used(repository, "from mmdl_lib import demos\ndemos.two()")
    assert "mmdl_lib/demos/two/facts.json" in found
    assert "mmdl_lib/demos/one/facts.json" not in found
    assert not any("demos" in name for name in used(repository, "print('one')"))


def test_who_asks_for_all_models_depends_on_all_models(repository):
    found = used(repository, "from mmdl_lib import core\ncore.models()")
    assert found >= ONE | {"mmdl_lib/models/two.py"}


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("mmdl_lib/nn/late.py", True),
        ("mmdl_lib/nn/__init__.py", True),
        ("mmdl_lib/data/unnamed.npz", True),
        ("requirements.txt", True),
        ("mmdl_lib/metrics/cost.py", False),
        ("results/two.json", False),
        ("mmdl_lib/demos/one/facts.json", False),
    ],
)
def test_only_a_change_of_something_used_changes_the_digest(repository, name, changes):
    path = repository / "notebooks/x.ipynb"
    path.write_text(json.dumps(notebook("from mmdl_lib.models import one as o")))
    before = stale.Uses(repository).digest(path)
    assert stale.Uses(repository).digest(path) == before
    with open(repository / name, "a") as file:
        file.write("# more")
    assert (stale.Uses(repository).digest(path) != before) == changes


def test_prose_and_unchecked_outputs_do_not_count_and_code_tags_and_kept_ones_do(
    repository,
):
    path = repository / "notebooks/x.ipynb"

    def digest(change):
        whole = notebook("x = 1", "x")
        whole["cells"].append({"cell_type": "markdown", "source": ["a"]})
        whole["cells"][1]["metadata"]["tags"] = [stale.KEPT]
        change(whole)
        path.write_text(json.dumps(whole))
        return stale.Uses(repository).digest(path)

    same = digest(lambda whole: None)
    first, second, prose = (lambda w, i=i: w["cells"][i] for i in range(3))
    assert digest(lambda w: prose(w).update(source=["b"])) == same
    assert digest(lambda w: first(w).update(outputs=["1"])) == same
    for change in (
        lambda w: first(w).update(source=["x = 2"]),
        lambda w: second(w).update(outputs=["1"]),
        lambda w: first(w)["metadata"].update(tags=["raises-exception"]),
        lambda w: w["metadata"].update(kernelspec={"name": "julia"}),
        lambda w: w["cells"].pop(0),
    ):
        assert digest(change) != same


def test_another_python_profile_or_version_of_a_package_runs_all(
    repository, monkeypatch
):
    path = repository / "notebooks/x.ipynb"
    path.write_text(json.dumps(notebook("x = 1")))
    seen = {stale.Uses(repository).digest(path)}
    monkeypatch.setattr(stale.platform, "python_version", lambda: "3.99.0")
    seen.add(stale.Uses(repository).digest(path))
    monkeypatch.setattr(stale.metadata, "version", lambda name: f"{name} 99")
    seen.add(stale.Uses(repository).digest(path))
    monkeypatch.setenv("MMDL_PROFILE", "gpu")
    seen.add(stale.Uses(repository).digest(path))
    assert len(seen) == 4


def test_each_notebook_of_the_book_uses_its_exercises_and_results():
    uses = stale.Uses()
    for path in ROOT.glob("notebooks/*/*.ipynb"):
        names = {p.relative_to(ROOT).as_posix() for p in uses.files(path)}
        slug = path.stem.removesuffix("_further")
        if slug == path.stem:  # further pages have no exercises
            assert f"mmdl_lib/exercises/{slug}.py" in names
        named = f'results(\\"{slug}\\"' in path.read_text("utf-8")
        if slug == path.stem or named:
            assert f"results/{slug}.json" in names
        assert "mmdl_lib/core.py" in names
        assert "mmdl_lib/metrics/vcr.py" not in names
