"""Write down by how much our numbers differ from the reference implementations'.

Command: python recipes/parity.py
Expected: under a minute; results/parity.json has a row for each comparison of
tests/parity, each within the tolerance of its test, or the command fails.
"""

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

if __name__ == "__main__":
    os.environ["MMDL_PARITY"] = str(ROOT / "results/parity.json")
    sys.exit(pytest.main(["-q", str(ROOT / "tests/parity")]))
