"""Write down by how much our numbers differ from the reference implementations'.

Command: python recipes/parity.py            (all; or some files of tests/parity)
Expected: under a minute; results/parity/<slug>.json has a row for each comparison of
tests/parity, each within the tolerance of its test, or the command fails.
"""

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

if __name__ == "__main__":
    os.environ["MMDL_PARITY"] = str(ROOT / "results/parity")
    sys.exit(pytest.main(["-q", *(sys.argv[1:] or [str(ROOT / "tests/parity")])]))
