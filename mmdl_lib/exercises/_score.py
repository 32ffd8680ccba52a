"""What was tried, on this machine only, and the score file made of it.

`check` adds each try to `mmdl_answers.json` in the working folder (`MMDL_ANSWERS` names
another file). Nothing is written while pages are built or tests run.
"""

import hashlib
import json
import os
import re
import unicodedata
from contextlib import suppress
from pathlib import Path

from filelock import FileLock

import mmdl_lib
from mmdl_lib.exercises._judged import find, judged
from mmdl_lib.exercises._kept import kept

FORMAT = "mmdl score 1"
TRIES = 100  # different answers to one exercise that are counted
LONGEST = 80  # letters of a name
_session: dict[str, dict] = {}  # what could not be written to a file


def score(name: str, *, folder: str | Path = ".") -> Path | None:
    """Write your score file and print a table: exercise, tries, right.

    An exercise counts as right when the answer that was kept is right again, alone, in
    a space without the rest of the notebook: that is what your teacher's command does.
    Tries are different answers until one is right. The same answers give the same file.

    Args:
        name: yours, as your teacher knows it.
        folder: where `score-<name>.json` is written.

    Returns:
        The file, or None where nothing was tried yet.

    Raises:
        ValueError: no name, a too long one, or one of more than one line.
    """
    who = slug(name)
    tried = record()
    if not tried:
        print("no exercise was tried yet in this folder: answer one, run its check.")
        return None
    rows = {e: _row(e, tried[e]) for e in sorted(tried, key=by_number)}
    print(f"{name.strip()}\n{'exercise':16} tries  right")
    for exercise, (row, words) in rows.items():
        print(f"{exercise:16} {row['tries']:5}  {words}")
    if quiet():
        return None
    whole = {"format": FORMAT, "name": name.strip(), "mmdl_lib": mmdl_lib.__version__}
    whole["exercises"] = {exercise: row for exercise, (row, _) in rows.items()}
    path = Path(folder) / f"score-{who}.json"
    _write(path, whole)
    right = sum(row["right"] for row, _ in rows.values())
    print(f"{right} of {len(rows)} right, written to {path}.")
    return path


def _row(exercise: str, entry: dict) -> tuple[dict, str]:
    """A line of the file and what the table says: judged again, alone."""
    hint = judged(exercise, entry["answer"])
    words = "yes" if hint is None else "no"
    if entry["right"] and hint is not None:
        words = f"no, only in this notebook: {hint}"
    row = {"tries": len(entry["tried"]), "right": hint is None}
    return row | {"answer": entry["answer"]}, words


def slug(name: str) -> str:
    """A name as part of a file's name.

    Raises:
        ValueError: no name, a too long one, or one of more than one line.
    """
    plain = name.strip() if isinstance(name, str) else ""
    found = unicodedata.normalize("NFKD", plain).lower()
    found = found.encode("ascii", "ignore").decode() or plain.lower()
    found = re.sub(r"[\W_]+", "-", found).strip("-")
    if not found or len(plain) > LONGEST or not plain.isprintable():
        raise ValueError(
            f"score expected your name, at most {LONGEST} letters in one line, got "
            f"{name!r:.100}."
        )
    return found


def by_number(exercise: str) -> tuple[str, int]:
    """The order of exercises: by chapter, 10 after 9."""
    chapter, _, number = exercise.rpartition("-")
    return chapter, int(number)


def quiet() -> bool:
    """Whether nothing may be written: pages are built, or tests run."""
    flags = (os.environ.get(name, "0") for name in ("MMDL_QUIET", "MMDL_BUILD"))
    return "PYTEST_VERSION" in os.environ or any(
        flag not in ("", "0") for flag in flags
    )


def tried(exercise: str, answer: object, right: bool) -> None:
    """Add a try to the record. The answer that stays is the last right one."""
    entry = kept(answer)
    text = json.dumps(entry, sort_keys=True).encode()
    mark = hashlib.sha256(text).hexdigest()[:12]
    _add(_session, exercise, entry, mark, right)
    if quiet():
        return
    path = _path()
    try:
        with FileLock(path.with_name(f".{path.name}.lock"), timeout=5):
            whole = _read(path)
            _add(whole, exercise, entry, mark, right)
            _write(path, whole)
    except OSError as error:  # a lock that is never free is one, too
        if "unsaved" not in _said:
            _said.add("unsaved")
            print(f"tries are kept in this session only: {error}")


_said: set[str] = set()


def _add(whole: dict, exercise: str, entry: dict, mark: str, right: bool) -> None:
    old = whole.setdefault(exercise, {"tried": [], "right": False, "answer": entry})
    if not old["right"] and mark not in old["tried"] and len(old["tried"]) < TRIES:
        old["tried"].append(mark)
    if right or not old["right"]:
        old |= {"right": right, "answer": entry}


def record() -> dict[str, dict]:
    """What was tried in this folder, also in earlier sessions."""
    saved = {} if quiet() else _read(_path())
    return _session | saved


def _path() -> Path:
    return Path(os.environ.get("MMDL_ANSWERS") or "mmdl_answers.json").absolute()


def _read(path: Path) -> dict:
    """The record; a damaged one is put aside, and what is no exercise is left out."""
    if not path.exists():
        return {}
    try:
        whole = json.loads(path.read_text("utf-8"))
        return {name: row for name, row in whole.items() if _is_row(name, row)}
    except (ValueError, AttributeError, RecursionError):
        os.replace(path, path.with_name(f"{path.name}.damaged"))
        print(f"{path.name} was damaged: put aside as {path.name}.damaged.")
        return {}


def _is_row(name: str, row) -> bool:
    with suppress(ValueError, KeyError, TypeError):
        find(name)
        types = {"tried": list, "right": bool, "answer": dict}
        return all(type(row[key]) is kind for key, kind in types.items())
    return False


def _write(path: Path, whole: dict) -> None:
    """All or nothing, the same bytes for the same content."""
    text = json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.write_bytes(text.encode("utf-8"))
    os.replace(part, path)
