"""Tasks in this process or in workers; whatever happens to one, the others go on."""

import multiprocessing
import os
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait as wait_for
from pathlib import Path
from typing import NamedTuple

import torch

from mmdl_lib.record import plain


class Task(NamedTuple):
    """One arm for one seed; no seed for what is measured once."""

    group: str
    arm: str
    seed: int | None
    function: Callable

    @property
    def names(self) -> tuple[str, ...]:
        """Where its value stands in the file."""
        seed = () if self.seed is None else (str(self.seed),)
        return (self.group, *seed, *(self.arm.split("/") if self.arm else ()))

    def __str__(self) -> str:
        seed = "" if self.seed is None else f":{self.seed}"
        return f"{self.group}{seed} {self.arm}".rstrip()


class Outcome(NamedTuple):
    """What came of a task: a value for JSON, or a sentence about its failure."""

    value: object
    error: str
    seconds: float


class Pool:
    """Runs tasks in `jobs` worker processes, or in this one.

    Workers are spawned, have one thread each, and end with the process that made them.
    """

    def __init__(self, jobs: int = 1, *, debug: bool = False):
        self.jobs, self.debug = (1 if debug else jobs), debug

    def run(self, tasks: list[Task], go_on: Callable[[], bool]) -> Iterator[tuple]:
        """Pairs of task and outcome as they finish; starts none once `go_on` is false.

        A worker that dies takes only its own task with it: those that ran beside it are
        run again, one at a time, since it may have been memory that was short.
        """
        if self.jobs == 1:
            yield from self._here(tasks, go_on)
            return
        waiting, jobs = deque(tasks), min(self.jobs, max(1, len(tasks)))
        while waiting and go_on():
            running = {}
            try:
                yield from _in_workers(waiting, running, jobs, go_on)
            except BrokenProcessPool:
                if len(running) == 1:
                    (task,) = running.values()
                    yield task, Outcome(None, "its worker process died.", 0.0)
                else:
                    waiting.extendleft(reversed(running.values()))
                    jobs = 1

    def _here(self, tasks: list[Task], go_on: Callable[[], bool]) -> Iterator[tuple]:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            for task in tasks:
                if not go_on():
                    return
                yield task, attempt(task.function, task.seed, debug=self.debug)
        finally:
            torch.set_num_threads(threads)


def _in_workers(waiting: deque, running: dict, jobs: int, go_on) -> Iterator[tuple]:
    before = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, _ready) as pool:
        try:
            while running or (waiting and go_on()):
                while waiting and len(running) < jobs and go_on():
                    task = waiting[0]
                    running[pool.submit(attempt, task.function, task.seed)] = task
                    waiting.popleft()
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    outcome = _outcome(future)
                    yield running.pop(future), outcome
        except (KeyboardInterrupt, GeneratorExit):
            for worker in set(multiprocessing.active_children()) - before:
                worker.terminate()
            raise


def _outcome(future) -> Outcome:
    try:
        return future.result()
    except BrokenProcessPool:
        raise
    except Exception as error:  # an arm that cannot travel to a worker, as a lambda
        return Outcome(None, _sentence(error), 0.0)


def _ready() -> None:
    torch.set_num_threads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    wait_for([multiprocessing.parent_process().sentinel])
    os._exit(1)


def attempt(function: Callable, seed: int | None, *, debug: bool = False) -> Outcome:
    """Call an arm with torch's global generator at its seed, so that order is nothing.

    An exception becomes a sentence, except with `debug`.
    """
    began = time.perf_counter()
    torch.manual_seed(seed or 0)
    try:
        value = plain(function() if seed is None else function(seed))
    except Exception as error:
        if debug:
            raise
        return Outcome(None, _sentence(error), time.perf_counter() - began)
    return Outcome(value, "", time.perf_counter() - began)


def _sentence(error: Exception) -> str:
    words = " ".join(f"{type(error).__name__}: {error}".split())
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return words + place
