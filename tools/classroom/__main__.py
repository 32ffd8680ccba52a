"""Write the class pack of all chapters into the built site.

Command: python tools/classroom    (after tools/build_site.py; `make class` runs both)
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from classroom import handouts, quiz, slides, students  # noqa: E402
from classroom.chapters import ROOT, chapters  # noqa: E402


def main(root: Path = ROOT) -> int:
    """0 when everything was written; else one sentence says what is wrong."""
    site, began = root / "_build/html", time.perf_counter()
    if not (site / "index.html").exists():
        print("Expected the built site in _build/html, got none: run make book.")
        return 1
    pack = site / "class"
    try:
        written = chapters(root)
        files = slides.write(pack / "slides", written)
        slides.check(pack / "slides", written)
        files += quiz.write(pack / "quiz", written)
        files += students.write(pack)
        files += handouts.write(site, pack / "handouts", written)
    except (ValueError, RuntimeError, FileNotFoundError) as error:
        print(error)
        return 1
    took = time.perf_counter() - began
    print(f"{len(files)} files in {pack.relative_to(root)}, {took:.0f} s.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
