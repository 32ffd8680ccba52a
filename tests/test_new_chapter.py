"""`make new`: what it writes passes our own checks, in a copy of the repository."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
spec = importlib.util.spec_from_file_location("new", ROOT / "tools/new_chapter.py")
tool = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tool)
SLUG = "toy_net"


def copy(target):
    """The files that git knows or would take in."""
    command = ["git", "ls-files", "-co", "--exclude-standard"]
    names = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in names.stdout.splitlines():
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)
    return target


@pytest.fixture(scope="module")
def laid_out(tmp_path_factory):
    """A copy with a new chapter, and the files that are new."""
    root = copy(tmp_path_factory.mktemp("book"))
    toc = (root / "_toc.yml").read_text()
    written = tool.new_chapter(root, SLUG, "4.1", title="A toy", name="ToyNet")
    return root, [path.relative_to(root).as_posix() for path in written], toc


def run(root, *command):
    place = os.environ | {"PYTHONPATH": str(root), "MMDL_QUIET": "1"}
    done = subprocess.run(command, cwd=root, env=place, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def python(root, *words):
    return run(root, sys.executable, "-m", *words)


def test_every_file_is_new_but_the_contents_which_get_one_block(laid_out):
    root, files, toc = laid_out
    assert not [name for name in files if (ROOT / name).exists()]
    folder = "notebooks/ch4_1_more_modalities"
    assert {f"{folder}/{SLUG}.ipynb", "book/part_4_1.md"} <= set(files)
    lines = (root / "_toc.yml").read_text().splitlines()
    assert [line for line in toc.splitlines() if line not in lines] == []
    assert len(lines) == len(toc.splitlines()) + 5
    parts = yaml.safe_load((root / "_toc.yml").read_text())["parts"]
    chapters = [chapter["file"] for part in parts for chapter in part["chapters"]]
    new = chapters.index("book/part_4_1")
    assert chapters[new - 1 : new + 2] == [
        "book/part_3_5",
        "book/part_4_1",
        "book/teaching",
    ]


def test_what_is_written_keeps_our_style(laid_out):
    root, files, _ = laid_out
    code = [name for name in files if name.endswith(".py")]
    python(root, "ruff", "check", *code)
    python(
        root, "ruff", "format", "--check", *code, *(f for f in files if "ipynb" in f)
    )
    assert "0 faults" in run(root, sys.executable, "tools/notebooks.py", "check")
    # beside the interpreter: nobody has to activate the environment
    run(root, str(Path(sys.executable).with_name("lint-imports")))


def test_what_is_written_passes_the_contract_and_its_own_tests(laid_out):
    root, _, _ = laid_out
    tests = ["tests/contract", "tests/exercises", f"tests/models/test_{SLUG}.py"]
    tests += ["tests/lab/test_recipes.py"]
    # what the recipe measures and trains is not there yet
    later = "names_all_that_belongs or stored"
    chosen = f"({SLUG} or numbered) and not ({later})"
    out = python(root, "pytest", "-v", *tests, "-k", chosen)
    assert f"test_an_arm_of_each_recipe_runs[{SLUG}] PASSED" in out
    assert out.count(" PASSED") > 30


def test_the_contents_of_the_guide_are_what_is_written(laid_out):
    guide = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    written = [Path(name).name.replace(SLUG, "glide") for name in laid_out[1]]
    named = [name.replace("part_4_1", "part_3_2") for name in written]
    assert [name for name in named if name not in guide] == []


def test_the_notebook_runs_and_asks_what_is_left_to_do(laid_out):
    root, files, _ = laid_out
    (path,) = (name for name in files if name.endswith(".ipynb"))
    python(root, "pytest", "-q", "--nbval-lax", "-p", "no:cacheprovider", path)
    assert (root / path).read_text().count("TODO") > 10


def test_the_second_chapter_of_a_part_stands_behind_the_first(tmp_path):
    for name in ("_toc.yml", "book/plan.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(
        ROOT / "notebooks/ch3_4_text_for_vision", tmp_path / "notebooks/ch3_4_a"
    )
    tool.new_chapter(tmp_path, "align", "3.4")
    tool.new_chapter(tmp_path, "words", "2.1.2")
    tool.new_chapter(tmp_path, "more", "2.1")
    parts = yaml.safe_load((tmp_path / "_toc.yml").read_text())["parts"]
    found = {c["file"]: c for part in parts for c in part["chapters"]}
    assert [s["file"] for s in found["book/part_3_4"]["sections"]] == [
        "notebooks/ch3_4_text_for_vision/clip",
        "notebooks/ch3_4_text_for_vision/clip_further",
        "notebooks/ch3_4_a/align",
    ]
    assert list(found).index("book/part_2_1") + 1 == list(found).index("book/part_2_2")
    made = json.loads((tmp_path / "notebooks/ch2_1_language/more.ipynb").read_text())
    title = "".join(made["cells"][0]["source"]).splitlines()[1]
    assert title == "# 2.1.1 Word embeddings"
    with pytest.raises(ValueError, match="a slug that is not in use, got mmdl_lib/mod"):
        tool.new_chapter(tmp_path, "align", "4.1")


@pytest.mark.parametrize(
    ("slug", "section", "message"),
    [
        ("Glide", "3.2", "a slug such as glide or vq_vae, got 'Glide'"),
        ("clip_further", "3.2", "a slug such as glide"),
        ("", "3.2", "a slug such as glide or vq_vae, got ''"),
        ("clip", "3.2", "a slug that is not in use, got mmdl_lib/models/clip.py"),
        ("glide", "3.4.1", "a section that is not written, got 3.4.1"),
        ("glide", "7.1", "in one of 1.0, 2.1, .*, got '7.1'"),
        ("glide", "3", "a section such as 3.2.6"),
    ],
)
def test_a_wrong_wish_is_answered_in_one_sentence_and_nothing_is_written(
    slug, section, message, laid_out
):
    toc = laid_out[0] / "_toc.yml"
    before = toc.read_text()
    with pytest.raises(ValueError, match=message) as caught:
        tool.new_chapter(laid_out[0], slug, section)
    assert str(caught.value).endswith(".")
    assert toc.read_text() == before
