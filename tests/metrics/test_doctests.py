"""Every metric has a worked example that is true, and a test file of its own."""

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# the probe trains a classifier: a protocol, with no example by hand
PROTOCOLS = {"probe"}
FOUND = {p.stem for p in (ROOT / "mmdl_lib/metrics").glob("[a-z]*.py")}
NAMES = sorted(FOUND - PROTOCOLS)


@pytest.mark.parametrize("name", NAMES)
def test_the_examples_of_a_metric_are_there_and_true(name):
    found = doctest.testmod(importlib.import_module(f"mmdl_lib.metrics.{name}"))
    assert found.attempted > 0
    assert found.failed == 0


@pytest.mark.parametrize("name", sorted(FOUND))
def test_each_metric_has_its_own_test_file(name):
    assert (Path(__file__).parent / f"test_{name}.py").is_file()
