"""Claims as rows of data, and the one function that judges them.

A claim compares two arms of the same seed, so the unit is the difference within a seed;
`record.verdict` knows what the interval of its mean allows to say.
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import MISSING, dataclass, fields
from pathlib import Path

from mmdl_lib.record import LEAST_SEEDS, interval, verdict

PILOT = 100  # seeds from here on choose settings and are never reported
# where numbers stand, such as "group/arm/metric", "g/a/loss/-1 - g/b/loss/-1" or
# "g/a/share - 0.5"; or a function of all groups of one seed
Quantity = str | Callable[[Mapping], float | int]


@dataclass(frozen=True, kw_only=True)
class Check:
    """A mechanism that must exist in our world before a claim about it says anything.

    Attributes:
        text: what is shown, in one sentence.
        left, right: as in `Claim`; the mechanism is there where the whole interval of
            their difference lies above zero.
    """

    text: str
    left: Quantity
    right: Quantity | None = None


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One sentence that can be true or false, and the numbers that decide it.

    Attributes:
        id: slug and a word, such as "resnet-plain".
        text: the sentence.
        paper: what the paper prints, with its table or figure.
        note: what was measured, in one sentence.
        unit: of the difference, in a word or two.
        left, right: the two quantities whose difference is positive where the claim is
            right; without `right` the left one is compared with zero.
        margin: the smallest difference that would matter to a reader.
        why: the reason of the margin, in one line.
        kind: "difference", or "equality" for a claim that there is none.
        mechanism: by which the effect arises, in one sentence.
        check: that this mechanism exists in our world.
        headline: whether the chapter stands on it.

    Raises:
        ValueError: a margin that is not above zero or has no reason; a headline without
            mechanism and check.
    """

    id: str
    text: str
    paper: str
    note: str
    unit: str
    left: Quantity
    right: Quantity | None = None
    margin: float | int
    why: str
    kind: str = "difference"
    mechanism: str = ""
    check: Check | None = None
    headline: bool = False

    def __post_init__(self):
        if not self.margin > 0 or not self.why.strip():
            raise ValueError(
                f"{self.id} expected a margin above zero and its reason, got "
                f"{self.margin} and {self.why!r}."
            )
        if self.kind not in ("difference", "equality"):
            raise ValueError(
                f"{self.id} expected kind difference or equality, got {self.kind!r}."
            )
        if self.headline and not (self.mechanism and self.check):
            raise ValueError(
                f"{self.id} is a headline and expected a mechanism and its check."
            )


class Run(Mapping):
    """What the groups measured for one seed; it notes which of them were asked for.

    What was measured once, without a seed, can be read as well, and is not noted.
    """

    def __init__(self, whole: dict, seed: int):
        dicts = {k: v for k, v in whole.items() if isinstance(v, dict)}
        self.groups = {k: v[str(seed)] for k, v in dicts.items() if str(seed) in v}
        self.once = {k: v for k, v in dicts.items() if not seeds_of(v)}
        self.read: set[str] = set()

    def __getitem__(self, name):
        if name in self.once:
            return self.once[name]
        self.read.add(name)
        return self.groups[name]

    def __iter__(self):
        return iter(self.groups)

    def __len__(self) -> int:
        return len(self.groups)


def read_claims(recipe: str | Path, **quantities: Callable) -> list[Claim]:
    """The claims of a recipe, from the TOML file beside it.

    Each table is a claim, named as in its id after the slug; `measure` names the table
    under `measures` from which it takes note, unit, margin and why.

    Args:
        recipe: the recipe's file, `__file__`.
        quantities: functions of a run that `left` and `right` may name.

    Raises:
        ValueError: a file that is no TOML, or a claim with a key too many or too few.
    """
    file = Path(recipe).with_suffix(".toml")
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"expected TOML in {file.name}: {error}.") from error
    measures, slug = tables.pop("measures", {}), file.stem.removesuffix("_claims")
    made = []
    for name, table in tables.items():
        row = measures.get(table.pop("measure", ""), {}) | table
        if "check" in row:
            row["check"] = Check(**_named(Check, row["check"], quantities, file, name))
        facts = _named(Claim, {"id": f"{slug}-{name}"} | row, quantities, file, name)
        made.append(Claim(**facts))
    return made


def _named(kind: type, row: dict, quantities: dict, file: Path, name: str) -> dict:
    """The row with functions for their names; all keys must be those of its kind."""
    known = {field.name: field.default is MISSING for field in fields(kind)}
    unknown = [key for key in row if key not in known]
    missing = [key for key, needed in known.items() if needed and key not in row]
    if unknown or missing:
        raise ValueError(
            f"{file.name}, {name}: expected {', '.join(missing) or 'no more keys'}, "
            f"got {', '.join(unknown) or 'nothing else'}."
        )
    sides = {k: quantities.get(row[k], row[k]) for k in ("left", "right") if k in row}
    return row | sides


def seeds_of(group) -> list[int]:
    """The measured seeds of a group, in order; pilots are none."""
    if not isinstance(group, dict):
        return []
    return sorted(int(s) for s in group if str(s).isdecimal() and int(s) < PILOT)


def take(run: Mapping, quantity: Quantity) -> float | int:
    """A number of one seed.

    Raises:
        KeyError: it has not been measured.
        TypeError: what stands there is no number.
    """
    if callable(quantity):
        return _number(quantity(run), quantity)
    first, *more = re.split(r" ([+-]) ", quantity)
    total = _at(run, first)
    for sign, path in zip(more[::2], more[1::2], strict=True):
        total += _at(run, path) if sign == "+" else -_at(run, path)
    return total


def _at(run: Mapping, path: str) -> float | int:
    with suppress(ValueError):
        return float(path)
    value = run
    for name in path.split("/"):
        value = value[int(name)] if isinstance(value, list) else value[name]
    return _number(value, path)


def _number(value, place) -> float | int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"expected a number in {place!r}, got {value!r:.40}.")
    return value


def differences(
    claim: Claim | Check, whole: dict
) -> tuple[dict[int, float | int], set[str]]:
    """Left minus right by seed, and the groups that were read.

    A seed that lacks one of both is left out.

    Raises:
        TypeError: what stands there is no number.
    """
    seeds = {seed for group in whole.values() for seed in seeds_of(group)}
    found, read = {}, set()
    for seed in sorted(seeds):
        run = Run(whole, seed)
        try:
            value = take(run, claim.left)
            value -= 0 if claim.right is None else take(run, claim.right)
            found[seed] = value
        except (KeyError, IndexError):
            pass
        read |= run.read
    return found, read


def judge(claim: Claim, whole: dict) -> dict:
    """The record of a claim, as the pages and the notebooks read it.

    The verdict is made from unrounded numbers; where the mechanism is not shown in our
    world, nothing can be told.

    Raises:
        ValueError: no seed has both numbers.
        TypeError: what stands there is no number.
    """
    found, _ = differences(claim, whole)
    if not found:
        raise ValueError(f"{claim.id} expected a seed with both of its numbers.")
    facts = _estimate(found)
    low, high = facts["low"], facts["high"]
    options = {"seeds": len(found), "equality": claim.kind == "equality"}
    said = verdict(low, high, claim.margin, **options)
    words = {"id": claim.id, "claim": claim.text, "paper": claim.paper}
    words |= {"note": claim.note, "unit": claim.unit}
    facts = {name: _digits(value) for name, value in facts.items()}
    facts |= {"seeds": len(found), "values": [_digits(x) for x in found.values()]}
    facts |= {"margin": claim.margin, "why": claim.why, "kind": claim.kind}
    if claim.mechanism:
        facts["mechanism"] = claim.mechanism
    if claim.check:
        facts["check"] = shown = _checked(claim.check, whole)
        said = said if shown["shown"] else "cannot tell"
    return words | facts | {"headline": claim.headline, "verdict": said}


def _estimate(found: dict[int, float | int]) -> dict:
    values = list(found.values())
    if len(values) < 2:
        return {"ours": values[0], "low": None, "high": None}
    return dict(zip(("ours", "low", "high"), interval(values), strict=True))


def _checked(check: Check, whole: dict) -> dict:
    found, _ = differences(check, whole)
    if not found:
        return {"text": check.text, "seeds": 0, "shown": False}
    facts = _estimate(found)
    shown = len(found) >= LEAST_SEEDS and facts["low"] > 0
    facts = {name: _digits(value) for name, value in facts.items()}
    return {"text": check.text, **facts, "seeds": len(found), "shown": shown}


def _digits(value: float | int | None) -> float | None:
    """Six digits: what is stored need not be longer than what it means."""
    return value if value is None else float(f"{value:.6g}")
