"""Answers judged in a process of their own, with as few rights as there are.

Limits of the system: seconds, memory, file size, no further process. On Linux the
kernel's Landlock also takes writing outside of an empty folder, reading outside of
Python, TCP and signals. A hook of Python refuses the same with a sentence and where
there is no Landlock. None of this is a virtual machine: a hole in Python, torch or the
kernel is a way out, and an answer shares its process with the checker.
"""

import ctypes
import importlib
import json
import os
import resource
import sys
import sysconfig
from pathlib import Path

import torch

from mmdl_lib.exercises._judged import hint_for, judged

MEMORY, FILE = 2**30, 2**20  # bytes beyond what torch has taken; of a written file
LONGEST = 200  # characters of what is said about an answer
FOLDER = Path(__file__).parent
# what Python tells about before it happens, by the first letters
REFUSED = (
    "socket.",
    "subprocess.",
    "ctypes.",
    "os.fork",
    "os.posix_spawn",
    "os.exec",
    "os.system",
    "os.kill",
    "os.putenv",
    "os.chmod",
    "os.chown",
    "signal.",
    "pty.",
)


def warm_up() -> None:
    """Import and use what answers need, before processes are made of this one."""
    torch.set_num_threads(1)
    for path in sorted(FOLDER.glob("[a-z]*.py")):
        chapter = importlib.import_module(f"mmdl_lib.exercises.{path.stem}")
        for number, solution in chapter.SOLUTIONS.items():
            getattr(chapter, f"exercise_{number}")(solution)


def work(answers: list[tuple[str, str]], folder: str, result: str, seconds: int):
    """Judge answers (exercise, JSON) of one reader, until one is not right.

    A line for each goes to a file whose name the answers do not know. After one that is
    not right the process ends: nobody knows what it has left behind.
    """
    os.setsid()
    _shut(folder, seconds)
    for exercise, text in answers:
        try:
            hint = _said(exercise, text)
        except MemoryError:
            hint = "it takes too much memory."
        except BaseException as error:  # an answer may also call sys.exit
            words = str(error).split("\n")[0]
            hint = f"it raised {type(error).__name__}: {words}"
        said = {"right": hint is None, "hint": (hint or "")[:LONGEST]}
        with Path(folder, result).open("a") as file:
            file.write(json.dumps(said) + "\n")
        if hint is not None:
            break
    os._exit(0)


def _said(exercise: str, text: str) -> str | None:
    if "mmdl_lib.exercises" in text or "SOLUTIONS" in text:
        return "its code names our solutions: read it."
    slug, _, number = exercise.rpartition("-")
    chapter = importlib.import_module(f"mmdl_lib.exercises.{slug}")
    wrong = chapter.MISTAKES[int(number)][0][0]
    hint = judged(exercise, json.loads(text))
    if hint is None and hint_for(exercise, wrong) is None:
        return "after it a wrong answer is right, too: read its code."
    return hint


def _shut(folder: str, seconds: int) -> None:
    """Give up rights, in the order in which they are not needed any more."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(HOME=folder, TMPDIR=folder, CUDA_VISIBLE_DEVICES="")
    sys.dont_write_bytecode = True
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    size = _pages() * resource.getpagesize() + MEMORY
    _take_rights(folder)
    for kind, most in (
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, size),
        (resource.RLIMIT_FSIZE, FILE),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        try:
            resource.setrlimit(kind, (most, most))
        except (ValueError, OSError):  # a system without it, such as macOS for memory
            continue
    sys.addaudithook(_hook(os.path.realpath(folder)))


def _pages() -> int:
    """Pages of memory that this process has reserved; 64 GB's where nobody says."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:
        return 2**36 // resource.getpagesize()


def _hook(folder: str):
    """Refuse processes, the network, and changes outside of the folder."""
    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

    def inside(path) -> bool:
        real = os.path.realpath(os.fsdecode(path))
        return real.startswith(folder + os.sep)

    def refuse(event: str, arguments: tuple) -> None:
        if event.startswith(REFUSED):
            raise PermissionError(f"an answer must not use {event}.")
        if event == "open":
            path, _, flags = arguments
            changes = not isinstance(path, int) and (flags or 0) & writing
        else:
            path = arguments[0] if arguments else ""
            changes = event in CHANGES
        if changes and not inside(path):
            raise PermissionError("an answer must not write outside of its folder.")

    return refuse


CHANGES = {
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.mkdir",
    "os.link",
    "os.symlink",
    "os.truncate",
    "os.utime",
    "shutil.rmtree",
    "shutil.move",
}

# Landlock, from the kernel's include/uapi/linux/landlock.h: numbers of system calls
# (the same on all machines) and of rights by the version that brought them
CREATE, ADD, RESTRICT = 444, 445, 446
READ, ALL_FILES = (1 << 2) | (1 << 3), {1: 13, 2: 14, 3: 15, 5: 16}
NO_NEW_PRIVILEGES = 38


class _Ruleset(ctypes.Structure):
    _fields_ = [(n, ctypes.c_uint64) for n in ("files", "network", "scopes")]


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32)]


def landlock() -> int:
    """The version of Landlock that the kernel offers, 0 where it has none."""
    return max(0, _system(CREATE, None, 0, 1)) if sys.platform == "linux" else 0


def _system(number: int, *arguments) -> int:
    call = ctypes.CDLL(None, use_errno=True).syscall
    call.restype = ctypes.c_long
    whole = (ctypes.c_long(a) if isinstance(a, int) else a for a in arguments)
    return call(ctypes.c_long(number), *whole)


def _take_rights(folder: str) -> None:
    """Have the kernel take rights from this process, as far as it can."""
    version = landlock()
    if not version:
        return
    files = (1 << max(n for v, n in ALL_FILES.items() if v <= version)) - 1
    rules = _Ruleset(files, 3 if version >= 4 else 0, 3 if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    handle = _system(CREATE, ctypes.byref(rules), size, 0)
    for place, allowed in [*((p, READ) for p in _readable()), (folder, files & ~1)]:
        opened = os.open(place, os.O_PATH | os.O_CLOEXEC)
        rule = _Beneath(allowed, opened)
        _system(ADD, handle, 1, ctypes.byref(rule), 0)
        os.close(opened)
    ctypes.CDLL(None).prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    if _system(RESTRICT, handle, 0) != 0:
        raise OSError("expected the kernel to take rights, it did not.")
    os.close(handle)


def _readable() -> list[str]:
    """Where Python, its packages and the book's own files lie."""
    paths = {sys.prefix, sys.base_prefix, *sysconfig.get_paths().values()}
    paths |= {str(FOLDER.parent), "/usr", "/lib", "/dev"}
    return sorted(p for p in paths if Path(p).is_dir())
