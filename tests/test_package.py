"""What a reader installs: the wheel, the first cell on Colab, `make` elsewhere."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from mmdl_lib import demos
from mmdl_lib.__main__ import report

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted(ROOT.glob("notebooks/*/*.ipynb"))
KEPT = {"torch": "1.9.9", "numpy": "1.19.9", "ipywidgets": "7.6.9"}


@pytest.fixture(autouse=True)
def far_from_here(monkeypatch):
    """No process of a test finds the library by the path of this one."""
    monkeypatch.delenv("PYTHONPATH", raising=False)


def run(*command, **options):
    options = {"check": True, "capture_output": True, "text": True} | options
    return subprocess.run([str(c) for c in command], **options)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps"]
    run(*pip, "--no-build-isolation", "-w", folder, ROOT)
    return next(folder.glob("mmdl_lib-*.whl"))


@pytest.fixture
def fresh(tmp_path):
    """An empty environment, and its site-packages."""
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv/bin/python"
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    return python, Path(run(python, "-c", ask).stdout.strip())


def test_the_wheel_carries_weights_results_and_demos_and_no_tests(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder in (
        "weights",
        "data/_clipart",
        "data/_clipart_draws",
        "data/_emoji_draws",
        "data/_fashion_draws",
        "data/_verses",
        "demos",
        *(f"demos/{name}" for name in demos.names()),
    ):
        for file in (ROOT / "mmdl_lib" / folder).glob("[a-z]*.*"):
            assert f"mmdl_lib/{folder}/{file.name}" in names
    for file in (ROOT / "results").glob("*.json"):
        assert f"mmdl_lib/_results/{file.name}" in names
    for file in (ROOT / "mmdl_lib/data").glob("[a-z]*.*"):
        assert f"mmdl_lib/data/{file.name}" in names
    assert not [name for name in names if name.startswith(("tests", "recipes"))]


def test_the_installed_wheel_works_far_from_the_repository(wheel, fresh, tmp_path):
    python, site = fresh
    run(python, "-m", "pip", "install", "-q", "--no-deps", "--no-index", wheel)
    # its dependencies are taken from this environment, without the editable install
    (site / "more.pth").write_text(sysconfig.get_path("purelib"))
    code = (
        "import mmdl_lib, json\n"
        "from mmdl_lib import pretrained\n"
        "from mmdl_lib.record import results\n"
        "pretrained.load('clip', 'shapes')\n"
        "print(json.dumps([mmdl_lib.__file__, sorted(results('clip'))]))"
    )
    out = run(python, "-c", code, cwd=tmp_path).stdout
    place, worlds = json.loads(out.splitlines()[-1])
    assert place.startswith(str(site))
    assert {"emoji", "shapes"} <= set(worlds)
    assert (
        "clip ViT-B/32: 151,277,313"
        in run(python, "-m", "mmdl_lib", cwd=tmp_path).stdout
    )


def pretend(site, name, release):
    """A package of a given version that is nothing but a name."""
    (site / name).mkdir()
    (site / name / "__init__.py").write_text(f"__version__ = {release!r}\n")
    facts = site / f"{name}-{release}.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {release}\n"
    )
    (facts / "INSTALLER").write_text("pip\n")
    (facts / "RECORD").write_text("")


def first_cell(notebook):
    cells = json.loads(notebook.read_text())["cells"]
    code = next("".join(c["source"]) for c in cells if c["cell_type"] == "code")
    return code.split("import mmdl_lib")[0]


NEEDED = re.compile(r' +needed \+?= " ?(.*)"\n')


def test_the_first_cells_differ_in_the_packages_that_they_need_and_in_nothing_else():
    beginnings = {first_cell(path) for path in NOTEBOOKS}
    assert len({NEEDED.sub("", text) for text in beginnings}) == 1
    assert all("einops" in " ".join(NEEDED.findall(text)) for text in beginnings)


@pytest.fixture(scope="module")
def beginning():
    """A first cell that needs all that any notebook needs: one is tried for all."""
    texts = [first_cell(path) for path in NOTEBOOKS]
    names = {name for text in texts for name in " ".join(NEEDED.findall(text)).split()}
    needed = f'    needed = "{" ".join(sorted(names))}"\n'
    return NEEDED.sub("", texts[0]).replace("    spec =", f"{needed}    spec =", 1)


def test_the_first_cell_installs_what_is_missing_and_replaces_nothing(
    beginning, wheel, fresh, tmp_path
):
    python, site = fresh
    for name, release in {**KEPT, "tqdm": "4.0.1"}.items():
        pretend(site, name, release)
    place = os.environ | {"MMDL_SOURCE": str(wheel)}
    run(python, "-c", beginning, env=place, cwd=tmp_path)
    listed = json.loads(run(python, "-m", "pip", "list", "--format", "json").stdout)
    found = {entry["name"].replace("-", "_"): entry["version"] for entry in listed}
    assert {name: found[name] for name in KEPT} == KEPT
    assert found["tqdm"] == "4.0.1"
    assert {"mmdl_lib", "einops", "jaxtyping", "safetensors"} <= set(found)
    # the second run finds everything and installs nothing
    nothing = os.environ | {"MMDL_SOURCE": "/nothing/here.whl"}
    run(python, "-c", beginning, env=nothing, cwd=tmp_path)


def test_the_report_names_device_versions_and_sizes():
    text = "\n".join(report())
    for part in ("mmdl_lib 0", "profile cpu", "torch 2", "clip ViT-L/14: 427,616,513"):
        assert part in text
    assert "clip_shapes.safetensors: " in text


@pytest.fixture
def bare(tmp_path):
    """The Makefile beside empty files, and a path with few programs."""
    for name in ("Makefile", "package.json", "package-lock.json"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("", "-test", "-nodeps"):
        (tmp_path / f"requirements{name}.txt").touch()
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "tools").mkdir()
    shutil.copy(ROOT / "tools/vendor.sh", tmp_path / "tools")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sh", "mkdir", "touch", "find", "cp", "make", "env"):
        (programs / name).symlink_to(shutil.which(name))
    return tmp_path, {"PATH": str(programs), "HOME": str(tmp_path)}


def test_the_same_python_is_asked_for_everywhere():
    facts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert facts["requires-python"] == ">=3.11"
    for name in ("README.md", "book/how_to.md", "Makefile"):
        asked = set(re.findall(r"Python (3\.\d+)", (ROOT / name).read_text("utf-8")))
        assert asked == {"3.11"}, name


def test_every_dependency_has_a_lower_bound_that_the_pins_fulfill():
    facts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    pins = dict(
        line.strip().split("==")
        for line in (ROOT / "requirements.txt").read_text("utf-8").splitlines()
        if "==" in line
    )
    wanted = facts["dependencies"] + facts["optional-dependencies"]["notebooks"]
    for text in wanted:
        requirement = Requirement(text)
        assert [s.operator for s in requirement.specifier] == [">="], text
        assert pins[requirement.name] in requirement.specifier, text


def test_the_wheel_names_its_licenses(wheel):
    archive = zipfile.ZipFile(wheel)
    (place,) = [n for n in archive.namelist() if n.endswith("/METADATA")]
    text = archive.read(place).decode()
    assert "License-Expression: MIT AND CC-BY-SA-4.0" in text
    assert "License-File: LICENSE-TEXT" in text


def test_too_old_a_python_is_named_in_one_sentence(bare):
    folder, place = bare
    old = folder / "bin/python3"
    old.write_text(
        f"#!/bin/sh\nexec {sys.executable} -c \"import sys; sys.version = '3.10.9 x'; "
        'sys.version_info = (3, 10, 9); exec(sys.argv[1])" "$2"\n'
    )
    old.chmod(0o755)
    done = run("make", ".venv/stamp", cwd=folder, env=place, check=False)
    assert done.returncode != 0
    assert "Expected Python 3.11 or newer, got 3.10.9." in done.stderr


@pytest.mark.parametrize("fault", ["no Node", "no network"])
def test_without_node_or_network_one_line_says_what_is_lost(bare, fault):
    folder, place = bare
    if fault == "no network":
        npm = folder / "bin/npm"
        npm.write_text("#!/bin/sh\necho 'npm error ENOTFOUND' >&2\nexit 1\n")
        npm.chmod(0o755)
    done = run("make", "book/_static/vendor/stamp", cwd=folder, env=place)
    assert "demos show their still picture" in done.stdout
    assert not (folder / "book/_static/vendor/stamp").exists()
