"""Numbers that recipes measured: notebooks read them here, nobody retypes one."""

import json
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def results(slug: str) -> dict:
    """What `recipes/<slug>.py` measured, from the repository or the installed wheel.

    Raises:
        FileNotFoundError: no such file in either place.
    """
    for folder in (PACKAGE.parent / "results", PACKAGE / "_results"):
        path = folder / f"{slug}.json"
        if path.exists():
            return json.loads(path.read_text())
    raise FileNotFoundError(
        f"expected measured results for {slug!r}: run `python recipes/{slug}.py`."
    )
