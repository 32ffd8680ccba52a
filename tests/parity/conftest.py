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

    What is remembered is written by `recipes/parity.py` to `results/parity/`, a file
    for each of our files.
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


def rows_differ(x):
    """Whether pictures count: equal rows would agree whatever the model sees."""
    return x.std(0).mean() > 0.05 * x.abs().mean()


def pytest_sessionfinish(session, exitstatus):
    target = os.environ.get("MMDL_PARITY")
    if not target or exitstatus != 0:
        return
    for slug, notes in worst(NOTES).items():
        path = Path(target) / f"{slug}.json"
        path.parent.mkdir(exist_ok=True)
        part = path.with_suffix(".part")
        part.write_text(json.dumps(notes, indent=1) + "\n", encoding="utf-8")
        os.replace(part, path)


def worst(notes):
    """Of each comparison the largest difference, by the slug of our file."""
    kept = {}
    for note in notes:
        found = kept.setdefault(slug_of(note["ours"]), {})
        key = note["what"], note["reference"]
        if (
            key not in found
            or note["largest_difference"] > found[key]["largest_difference"]
        ):
            found[key] = note
    return {slug: list(found.values()) for slug, found in kept.items()}


def slug_of(ours):
    """Both "mmdl_lib.models.vit.ViT" and "mmdl_lib.models.vit" are of the file vit."""
    _, _, *inner = ours.split(".")
    return next(name for name in inner if not name.startswith("_"))
