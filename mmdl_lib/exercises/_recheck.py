"""Score files of a class, judged again: one line of a CSV for each.

Files are only read and parsed here. What a file holds as an answer is rebuilt, run and
judged in a process of its own (`_cage.py`); what comes back is one line of JSON.
"""

import csv
import io
import json
import multiprocessing
import os
import re
import secrets
import shutil
import signal
import stat
import tempfile
import time
import unicodedata
from collections import defaultdict, deque
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from mmdl_lib.exercises._cage import work
from mmdl_lib.exercises._judged import find
from mmdl_lib.exercises._score import FORMAT, by_number, slug

LARGEST = 2_000_000  # bytes of a score file
ROWS = 1_000  # exercises in one file
ANSWER = 10  # seconds of the processor until an answer is given up
FILE = 60.0  # seconds after which a file's further answers are not judged
WAITING = 4  # times as long may an answer wait for the processor
BACK = 100_000  # bytes that are read of what an answer's process leaves
NOTE = 600  # characters of a note
FIRST = ("file", "name", "right", "of", "tries")


@dataclass
class Handed:
    """One file: what it says, and what was found."""

    path: Path
    name: str = ""
    answers: dict[str, str] = field(default_factory=dict)  # as JSON
    right: dict[str, bool] = field(default_factory=dict)
    tries: int = 0
    said: set[str] = field(default_factory=set)  # right by the file's own account
    notes: list[str] = field(default_factory=list)
    spent: float = 0.0  # seconds


def recheck(folder: Path, *, seconds: int = ANSWER) -> list[Handed]:
    """Judge all `*.json` under a folder again, each answer in its own process.

    Raises:
        ValueError: no folder, or none with such a file.
    """
    if not folder.is_dir():
        raise ValueError(f"recheck expected a folder of score files, got {folder}.")
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() == ".json")
    if not paths:
        raise ValueError(
            f"recheck expected score files (*.json) in {folder}, got none."
        )
    handed = [_read(path) for path in paths]
    _judge_all(handed, seconds)
    for one in handed:
        now = sum(one.right.values())
        if one.answers and now != len(one.said):
            one.notes.insert(0, f"the file says {len(one.said)} right, found {now}.")
    _compare(handed)
    return handed


def _read(path: Path) -> Handed:
    """A file's content, or a note that says what is wrong with it."""
    one = Handed(path)
    try:
        _parse(one)
    except (ValueError, RecursionError, OSError) as error:
        words = str(error) if type(error) is ValueError else type(error).__name__
        one.answers = {}
        one.notes.append(f"not a score file: {words:.150}")
    return one


def _parse(one: Handed) -> None:
    if not one.path.is_file():
        raise ValueError("expected a plain file.")
    with one.path.open("rb") as file:
        raw = file.read(LARGEST + 1)
    if len(raw) > LARGEST:
        raise ValueError(f"expected at most {LARGEST:,} bytes.")
    try:
        whole = json.loads(raw.decode("utf-8"), parse_constant=_no_number)
    except UnicodeDecodeError as error:
        raise ValueError("expected text in UTF-8.") from error
    except json.JSONDecodeError as error:
        raise ValueError("expected JSON.") from error
    if not isinstance(whole, dict) or whole.get("format") != FORMAT:
        raise ValueError("expected the file that score() writes.")
    name, rows = whole.get("name"), whole.get("exercises")
    try:
        expected, one.name = slug(name), name.strip()
    except ValueError:
        raise ValueError("expected a name.") from None
    here = unicodedata.normalize("NFKC", one.path.name).lower()
    if not re.search(rf"score-{expected}(?![a-z])", here):
        one.notes.append("the file's name names somebody else.")
    if not isinstance(rows, dict) or len(rows) > ROWS:
        raise ValueError(f"expected a table of at most {ROWS:,} exercises.")
    for exercise, row in rows.items():
        _parse_row(one, exercise, row)


def _no_number(text: str):
    raise ValueError(f"expected numbers, got {text}.")


def _parse_row(one: Handed, exercise: str, row) -> None:
    try:
        find(exercise)
    except ValueError:
        one.notes.append(f"no exercise is called {exercise!r:.40}.")
        return
    answer = row.get("answer") if isinstance(row, dict) else None
    if not _is_answer(answer) or type(row.get("tries")) is not int:
        one.notes.append(f"{exercise}: expected tries and an answer.")
        return
    one.answers[exercise] = json.dumps(answer, sort_keys=True)
    one.said |= {exercise} if row.get("right") is True else set()
    one.tries += min(max(row["tries"], 0), 1000)


def _is_answer(answer) -> bool:
    if not isinstance(answer, dict):
        return False
    if set(answer) == {"code", "call"}:
        return all(isinstance(part, str) for part in answer.values())
    return set(answer) in ({"value"}, {"lost"})


# processes


@dataclass
class _Job:
    """Answers of one file that a process judges, in order, until one is not right."""

    one: Handed
    exercises: list[str]
    folder: Path
    result: str
    process: BaseProcess
    began: float
    ends: float

    def finish(self) -> list[str]:
        """Take what the process has left and end all that it started.

        Returns:
            The exercises that wait for a process of their own.
        """
        late = self.process.is_alive()
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()
        self.process.join()
        self.one.spent += time.monotonic() - self.began
        found = _left(self.folder / self.result)[: len(self.exercises)]
        shutil.rmtree(self.folder, ignore_errors=True)
        if not found:  # it did not get over its first answer
            killed = self.process.exitcode in (-signal.SIGXCPU, -signal.SIGKILL)
            died = f"its process died ({self.process.exitcode})."
            found = [(False, "it takes too long." if late or killed else died)]
        for exercise, (right, hint) in zip(self.exercises, found, strict=False):
            self.one.right[exercise] = right
            if not right and exercise in self.one.said:
                self.one.notes.append(f"{exercise}: {hint}")
        return self.exercises[len(found) :]


def _judge_all(handed: list[Handed], seconds: int) -> None:
    """Judge as many files at a time as the machine has cores."""
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["mmdl_lib.exercises._warm"])
    waiting = deque((one, sorted(one.answers, key=by_number)) for one in handed)
    running: list[_Job] = []
    with tempfile.TemporaryDirectory(prefix="mmdl-recheck-") as place:
        while waiting or running:
            while waiting and len(running) < (os.cpu_count() or 2):
                one, exercises = waiting.popleft()
                if exercises and one.spent < FILE:
                    folder = Path(tempfile.mkdtemp(dir=place))
                    running.append(_start(server, one, exercises, folder, seconds))
                elif exercises:
                    one.right |= dict.fromkeys(exercises, False)
                    one.notes.append(f"not judged: {', '.join(exercises)}.")
            if running:
                soonest = min(job.ends for job in running) - time.monotonic()
                wait([job.process.sentinel for job in running], max(0.0, soonest))
            now = time.monotonic()
            over = [j for j in running if j.ends <= now or not j.process.is_alive()]
            for job in over:
                running.remove(job)
                waiting.appendleft((job.one, job.finish()))


def _start(server, one: Handed, exercises, folder: Path, seconds: int) -> _Job:
    result = secrets.token_hex(8)
    answers = [(exercise, one.answers[exercise]) for exercise in exercises]
    given = answers, str(folder), result, seconds
    process = server.Process(target=work, args=given, daemon=True)
    process.start()
    now = time.monotonic()
    return _Job(one, exercises, folder, result, process, now, now + WAITING * seconds)


def _left(path: Path) -> list[tuple[bool, str]]:
    """What a process says of its answers; anything may lie in the file's place.

    What follows the first answer that is not right is not read.
    """
    found = []
    with suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(handle, "rb") as file:
            plain = stat.S_ISREG(os.fstat(handle).st_mode)
            lines = file.read(BACK).splitlines() if plain else []
        for line in lines:
            said = json.loads(line)
            found.append((said["right"] is True, str(said["hint"])))
            if not found[-1][0]:
                break
    return found


# the class


def _compare(handed: list[Handed]) -> None:
    """Note files of one name, and files with the same code."""
    names, answers = defaultdict(list), defaultdict(list)
    for one in handed:
        if one.name:
            names[one.name.casefold()].append(one)
        if any(answer.startswith('{"call"') for answer in one.answers.values()):
            answers[tuple(sorted(one.answers.items()))].append(one)
    for group in names.values():
        for one in group if len(group) > 1 else ():
            one.notes.append(f"{len(group)} files have this name.")
    for group in answers.values():
        for one in group if len(group) > 1 else ():
            others = [o.path.name for o in group if o is not one]
            one.notes.append(f"the same answers as {others[0]}.")


def table(handed: list[Handed], folder: Path) -> str:
    """The class as CSV: 1 right, 0 wrong, nothing for what was not tried."""
    exercises = sorted({name for one in handed for name in one.answers}, key=by_number)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*FIRST, *exercises, "note"])
    for one in handed:
        cells = [one.right[e] * 1 if e in one.right else "" for e in exercises]
        numbers = sum(one.right.values()), len(one.answers), one.tries
        path = one.path.relative_to(folder)
        words = _cell(path), _cell(one.name), _cell(" ".join(one.notes))
        writer.writerow([*words[:2], *numbers, *cells, words[2]])
    return out.getvalue()


def _cell(words) -> str:
    """Text in one line that no spreadsheet takes for a formula."""
    plain = "".join(c if c.isprintable() else " " for c in str(words))[:NOTE]
    plain = plain.encode("utf-8", "replace").decode()
    return f"'{plain}" if plain[:1] in ("=", "+", "-", "@") else plain
