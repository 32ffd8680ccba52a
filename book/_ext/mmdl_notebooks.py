"""Read a notebook again when its outputs have changed: Sphinx sees only its source.

`tools/run_notebooks.py` leaves the digest of everything that a run depends on.
"""

import json
from pathlib import Path


def digests(folder: Path) -> dict[str, str]:
    """The digest of each executed notebook, by the name of its page."""
    found = {}
    for path in folder.rglob("*.ipynb"):
        facts = json.loads(path.read_text("utf-8"))["metadata"]
        found[path.relative_to(folder).with_suffix("").as_posix()] = facts["mmdl"][
            "digest"
        ]
    return found


def outdated(app, env, added, changed, removed) -> list[str]:
    """Pages whose notebook has run since they were read."""
    now = digests(Path(app.srcdir) / "_build/executed")
    before, env.mmdl_digests = getattr(env, "mmdl_digests", {}), now
    return [name for name in env.found_docs if before.get(name) != now.get(name)]


def setup(app):
    app.connect("env-get-outdated", outdated)
