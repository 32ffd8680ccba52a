"""Runs arms for seeds until the claims are decided, and keeps each at once.

`Lab` is what a recipe makes; `workers` runs its tasks, `stamps` says where they came
from, `claims` judges what they measured.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

from mmdl_lib import record
from mmdl_lib.lab import stamps, workers
from mmdl_lib.lab.claims import PILOT, Claim, differences, judge, seeds_of
from mmdl_lib.lab.workers import Outcome, Task
from mmdl_lib.record import LEAST_SEEDS, interval

MOST_SEEDS = 16
BUDGET = 120.0  # minutes of computing: one hour on two cores


def smoke() -> bool:
    """Whether this is a smoke run, which only shows that every arm works."""
    return os.environ.get("MMDL_SMOKE") == "1"


def short(count: int, *, least: int = 2) -> int:
    """The count, or a hundredth of it in a smoke run."""
    return max(min(least, count), count // 100) if smoke() else count


class Lab:
    """A recipe: groups of arms, claims about them, and one command line.

    Args:
        slug: the recipe's name; the numbers stand in `results/<slug>.json`.
        groups: arms by group. An arm is a plain function of the seed, such as a
            `functools.partial`, and returns what JSON can hold. A name with slashes,
            such as "plain/56", nests in the file; a group that is one function and no
            dict of them writes its value without a name.
        claims: what the numbers decide.
        once: functions without arguments, measured once: the weights that are shipped.
        least: seeds that each group gets.
        exact: groups that get exactly so many, as no claim stands on them.
        budget: minutes of computing for all seeds, summed over workers and calls.

    Raises:
        ValueError: a name that the command line or the file could not tell apart.
    """

    def __init__(
        self,
        slug: str,
        *,
        groups: Mapping[str, Callable | Mapping[str, Callable]],
        claims: Iterable[Claim] = (),
        once: Mapping[str, Callable] | None = None,
        least: int = LEAST_SEEDS,
        exact: Mapping[str, int] | None = None,
        budget: float | int = BUDGET,
    ):
        self.slug, self.claims, self.least = slug, list(claims), least
        self.groups = {
            name: dict(arms) if isinstance(arms, Mapping) else {"": arms}
            for name, arms in groups.items()
        }
        self.once, self.exact = dict(once or {}), dict(exact or {})
        self.budget = 60 * budget
        names = [*self.groups, *self.once]
        bad = [n for n in names if n in ("claims", "stamps", "summary") or ":" in n]
        if bad or len(set(names)) < len(names):
            raise ValueError(
                f"{slug} expected names of their own without a colon, got "
                f"{', '.join(names)}."
            )
        arms = [arm for group in self.groups.values() for arm in group.values()]
        self.digest = stamps.digest([*arms, *self.once.values()])
        self.failed: set[Task] = set()

    def main(self, words: list[str] | None = None) -> None:
        """The command line of a recipe; the exit status says whether all went well."""
        parser = self._parser()
        options = parser.parse_args(words)
        unknown = [w for w in options.what if self._word(w) is None]
        if unknown:
            known = ", ".join([*self.groups, *self.once, "summary"])
            parser.error(f"expected {known}, or group:seed, got {unknown[0]!r}.")
        for name in ("jobs", "seeds", "budget"):
            value = getattr(options, name)
            if value is not None and not value > 0:
                parser.error(f"expected --{name} above zero, got {value}.")
        os.environ["OMP_NUM_THREADS"] = "1"  # for workers; equal numbers with any jobs
        if options.profile:
            os.environ["MMDL_PROFILE"] = options.profile
        if options.smoke:
            os.environ["MMDL_SMOKE"] = "1"
            os.environ["MMDL_RESULTS"] = tempfile.mkdtemp(prefix="mmdl-smoke-")
        try:
            failures = self.run(**vars(options))
        except KeyboardInterrupt:
            print("stopped: all that was finished is kept", file=sys.stderr)
            sys.exit(130)
        sys.exit(1 if failures else 0)

    def _parser(self) -> argparse.ArgumentParser:
        parser = argparse.ArgumentParser(
            description=f"Measure all that is missing in results/{self.slug}.json."
        )
        option = parser.add_argument
        option("what", nargs="*", help="a group, group:seed, or summary; else all")
        option("--jobs", type=int, default=1, help="worker processes")
        option("--seeds", type=int, help="exactly so many, whatever the precision")
        option("--budget", type=float, help="minutes of computing in all")
        option("--profile", choices=("cpu", "gpu"), help="numbers are kept apart")
        option("--fresh", action="store_true", help="forget what was measured before")
        option("--smoke", action="store_true", help="a hundredth of all steps, aside")
        option("--debug", action="store_true", help="stop at the first failure")
        return parser

    def _word(self, word: str) -> tuple[str, int | None] | None:
        """Name and seed of a word on the command line; None for one that is none."""
        name, colon, seed = word.partition(":")
        if not colon and name in (*self.groups, *self.once, "summary"):
            return name, None
        known = colon and name in self.groups and seed.isdecimal()
        return (name, int(seed)) if known else None

    def run(
        self,
        what: Iterable[str] = (),
        *,
        jobs: int = 1,
        seeds: int | None = None,
        budget: float | int | None = None,
        fresh: bool = False,
        debug: bool = False,
        **_,
    ) -> int:
        """Measure what is missing of `what` and judge the claims; how many failed.

        Args:
            what: words of the command line; nothing stands for all.
            jobs: worker processes; one runs in this process.
            seeds: exactly so many, instead of as many as the precision asks for.
            budget: minutes of computing, instead of the recipe's.
            fresh: forget what stands there for `what`.
            debug: raise the first failure with its traceback, in this process.
        """
        what = list(what) or [*self.once, *self.groups, "summary"]
        asked = [self._word(word) for word in what]
        self.failed, self.pool = set(), workers.Pool(jobs, debug=debug)
        self.seconds = self.budget if budget is None else 60 * budget
        if fresh:
            self._forget(asked)
        self._warn(name for name, _ in asked)
        self._once([name for name, _ in asked if name in self.once])
        self._do([t for name, seed in asked if seed is not None
                  for t in self._missing(name, [seed])])  # fmt: skip
        groups = [n for n, seed in asked if n in self.groups and seed is None]
        self._rounds(groups, 1 if smoke() else seeds)
        if ("summary", None) in asked:
            self.summary()
        return len(self.failed)

    def _place(self, seed: int = 0) -> str:
        """The file of a seed: pilots and a GPU's numbers have files of their own."""
        gpu = "gpu/" if os.environ.get("MMDL_PROFILE") == "gpu" else ""
        return gpu + ("pilots/" if seed >= PILOT else "") + self.slug

    def _whole(self, seed: int = 0) -> dict:
        if not (record.folder() / f"{self._place(seed)}.json").exists():
            return {}  # the numbers of an installed wheel are not ours to continue
        return record.results(self._place(seed))

    def _missing(self, group: str, seeds: Iterable[int]) -> list[Task]:
        tasks = []
        for seed in seeds:
            found = self._whole(seed).get(group, {})
            for arm, function in self.groups[group].items():
                task = Task(group, arm, seed, function)
                if task not in self.failed and not _has(found, task.names[1:]):
                    tasks.append(task)
        return tasks

    def _rounds(self, groups: list[str], seeds: int | None) -> None:
        """The least seeds first, then one more for each group whose claims are wide."""
        target = {g: seeds or self._first_target(g) for g in groups}
        while True:
            tasks = [t for g in groups for t in self._missing(g, range(target[g]))]
            tasks.sort(key=lambda task: task.seed)  # a cut leaves arms with equal seeds
            if tasks and not self._do(tasks):
                return
            wide = set() if seeds else self._wide(groups)
            wide -= set(self.exact)
            grow = [g for g in groups if g in wide and target[g] < MOST_SEEDS]
            if not grow:
                return
            target |= {g: target[g] + 1 for g in grow}

    def _first_target(self, group: str) -> int:
        known = seeds_of(self._whole().get(group))
        return self.exact.get(group) or max([self.least - 1, *known]) + 1

    def _wide(self, groups: list[str]) -> set[str]:
        """Groups of a claim whose half-width is above its margin, whatever its sign."""
        whole, wide = self._whole(), set()
        broken = {task.group for task in self.failed}
        for claim in self.claims:
            with suppress(TypeError):
                found, read = differences(claim, whole)
                if not read <= set(groups) - broken or len(found) < 2:
                    continue
                _, low, high = interval(list(found.values()))
                if (high - low) / 2 > claim.margin:
                    wide |= read
        return wide

    def _once(self, names: list[str]) -> None:
        whole = self._whole()
        missing = [name for name in names if name not in whole]
        self._do([Task(name, "", None, self.once[name]) for name in missing])

    def _do(self, tasks: list[Task]) -> bool:
        """Run tasks and keep each at once; False where the budget ended them."""
        began = stamps.seconds(self._whole())
        spent = {"before": began, "now": 0.0}

        def go_on() -> bool:
            return sum(spent.values()) < self.seconds

        done = 0
        for task, outcome in self.pool.run(tasks, go_on):
            spent["now"] += outcome.seconds
            done += 1
            self._keep(task, outcome)
        if done < len(tasks):
            minutes = self.seconds / 60
            print(f"{len(tasks) - done} runs left out: {minutes:g} minutes are spent")
        return done == len(tasks)

    def _keep(self, task: Task, outcome: Outcome) -> None:
        if outcome.error:
            self.failed.add(task)
            print(f"{task} failed: {outcome.error}", file=sys.stderr, flush=True)
            return

        def change(whole: dict) -> None:
            record.put(whole, task.names, outcome.value)
            stamps.add(whole, task.group, task.seed, outcome.seconds, self.digest)

        record.update(self._place(task.seed or 0), change)
        print(f"{task}: {outcome.seconds:.1f} s{_brief(outcome.value)}", flush=True)

    def _forget(self, asked: list[tuple]) -> None:
        for name, seed in asked:
            if name != "summary":
                place = self._place(seed or 0)
                record.update(place, lambda w, n=name, s=seed: stamps.forget(w, n, s))

    def _warn(self, names: Iterable[str]) -> None:
        for name in names:
            if stamps.foreign(self._whole(), name, self.digest):
                print(f"{name}: measured by another recipe; --fresh measures it anew")

    def summary(self) -> list[dict]:
        """Judge the claims, keep them beside the runs, and print them."""
        whole, found = self._whole(), []
        if not self.claims:
            return found
        for claim in self.claims:
            try:
                found.append(judge(claim, whole))
            except (ValueError, TypeError) as error:
                print(f"{claim.id} is left out: {error}")
        record.keep(self._place(), "claims", value=found)
        for row in found:
            print(_line(row))
        return found


def _has(found, names: tuple[str, ...]) -> bool:
    for name in names:
        if not isinstance(found, dict) or name not in found:
            return False
        found = found[name]
    return True


def _brief(value) -> str:
    """The first plain numbers of a value, for those who watch."""
    pairs = value.items() if isinstance(value, dict) else [("", value)]
    numbers = [(k, v) for k, v in pairs if isinstance(v, int | float)]
    return "".join(f", {k} {v:.4g}".replace(",  ", ", ") for k, v in numbers[:4])


def _line(row: dict) -> str:
    if row["low"] is None:
        return f"{row['id']}: {row['verdict']} ({row['ours']:.3g}, one seed)"
    half, n = (row["high"] - row["low"]) / 2, row["seeds"]
    span = f"{row['ours']:.3g} ({row['low']:.3g} to {row['high']:.3g})"
    text = f"{row['id']}: {row['verdict']}, {span} {row['unit']}, {n} seeds"
    if half > row["margin"]:
        text += f"; about {round(n * (half / row['margin']) ** 2)} seeds would decide"
    return text
