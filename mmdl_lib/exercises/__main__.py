"""For teachers: judge the score files of a class again.

    python -m mmdl_lib.exercises recheck FOLDER --out scores.csv

Each `*.json` under FOLDER gives one line. Needs Linux or macOS.
"""

import argparse
import sys
import time
from pathlib import Path


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        "python -m mmdl_lib.exercises", description=__doc__
    )
    command = parser.add_subparsers(dest="command", required=True).add_parser("recheck")
    command.add_argument("folder", type=Path, help="with the score files of a class")
    command.add_argument("--out", type=Path, default=Path("scores.csv"))
    command.add_argument(
        "--seconds", type=int, default=10, help="of the processor for one answer"
    )
    given = parser.parse_args(arguments)
    if sys.platform == "win32":
        print("recheck expected Linux or macOS, got Windows: use WSL or Colab.")
        return 1
    from mmdl_lib.exercises._cage import landlock
    from mmdl_lib.exercises._recheck import recheck, table

    if not landlock():
        print("no Landlock here: let it run where there is nothing to lose.")

    began = time.perf_counter()
    try:
        handed = recheck(given.folder, seconds=given.seconds)
        given.out.write_text(table(handed, given.folder), "utf-8")
    except (ValueError, OSError) as error:
        print(error)
        return 1
    noted = sum(bool(one.notes) for one in handed)
    took = time.perf_counter() - began
    print(f"{len(handed)} files, {noted} with a note, {took:.0f} s: {given.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
