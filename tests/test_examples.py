"""Every example in a docstring is true; those of metrics have a test of their own."""

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted(
    path.relative_to(ROOT)
    for path in (ROOT / "mmdl_lib").rglob("*.py")
    if "metrics" not in path.parts and ">>> " in path.read_text("utf-8")
)


def module_of(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize("name", [module_of(path) for path in FILES])
def test_the_examples_of_a_file_are_true(name):
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted > 0
    assert found.failed == 0


def test_examples_of_many_files_are_looked_at():
    assert len(FILES) > 60
