"""`agree` compares two results and notes the largest difference for the parity page."""

import importlib.metadata
import json
import os
from pathlib import Path

import pytest
import torch

NOTES = []


@pytest.fixture
def agree(request):
    """Assert that ours equals theirs within a tolerance, and remember by how much.

    What is remembered is written by `recipes/parity.py` to `results/parity.json`.
    """

    def compare(what, mine, theirs, *, ours, package, reference, tolerance):
        # a value that is no tensor, such as a list of ids, must be equal
        if isinstance(mine, torch.Tensor):
            assert mine.shape == theirs.shape, what
            found = (mine - theirs).abs().max().item()
        else:
            found = float(mine != theirs)
        path = Path(request.node.path).relative_to(request.config.rootpath)
        NOTES.append(
            {
                "what": what,
                "ours": ours,
                "reference": reference,
                "version": importlib.metadata.version(package),
                "largest_difference": found,
                "tolerance": tolerance,
                "test": str(path),
            }
        )
        assert found <= tolerance, f"{what}: {found} > {tolerance}"

    return compare


def pytest_sessionfinish(session, exitstatus):
    target = os.environ.get("MMDL_PARITY")
    if not target or exitstatus != 0:
        return
    worst = {}
    for note in NOTES:
        key = note["what"], note["reference"]
        if (
            key not in worst
            or note["largest_difference"] > worst[key]["largest_difference"]
        ):
            worst[key] = note
    part = Path(target + ".part")
    part.write_text(json.dumps(list(worst.values()), indent=1) + "\n")
    os.replace(part, target)
