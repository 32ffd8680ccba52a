"""Questions about scenes, the programs that answer them, and a machine that runs them.

A program is a list of steps (operation, arguments) for a stack: "scene" pushes the list
of all objects, "filter" keeps those of a list that have a value, "unique" takes the one
object of a list, "relate" pushes the objects that stand in a clear relation to it, and
"exist", "count", "query", "more" and "same" make an answer. The model is CLEVR (Johnson
et al., CVPR 2017); unlike there a question is only asked where its answer is certain.
"""

from collections.abc import Sequence
from typing import NamedTuple

from mmdl_lib.borders import check_choice, check_texts
from mmdl_lib.data.shapes.language import NUMBERS, article, chances, plural
from mmdl_lib.data.shapes.scenes import (
    COLORS,
    RELATIONS,
    SHAPES,
    SIZES,
    TEXTURES,
    Scenes,
    Thing,
    place,
)

VALUES = {"shape": SHAPES, "color": COLORS, "size": SIZES, "texture": TEXTURES}
ANSWERS = ("yes", "no", *NUMBERS, *SHAPES, *COLORS, *SIZES, *TEXTURES)
Program = list[tuple[str, tuple[str, ...]]]


class Question(NamedTuple):
    """A question, its program and its answer, a word of `ANSWERS`."""

    kind: str
    text: str
    program: Program
    answer: str


def _unique(_, found: list[Thing]) -> Thing:
    if len(found) != 1:
        raise ValueError(f"expected one object before 'unique', got {len(found)}.")
    return found[0]


# operation: how many values it takes from the stack, how many arguments, what it does
OPERATIONS = {
    "scene": (0, 0, lambda things: things),
    "filter": (1, 2, lambda _, some, k, v: [t for t in some if getattr(t, k) == v]),
    "unique": (1, 0, _unique),
    "relate": (1, 1, lambda things, one, how: [t for t in things if _is(t, how, one)]),
    "exist": (1, 0, lambda _, some: len(some) > 0),
    "count": (1, 0, lambda _, some: len(some)),
    "query": (1, 1, lambda _, one, k: getattr(one, k)),
    "more": (2, 0, lambda _, first, second: first > second),
    "same": (2, 1, lambda _, one, other, k: getattr(one, k) == getattr(other, k)),
}
ARGUMENTS = {*VALUES, *RELATIONS, *ANSWERS}


def _is(one: Thing, how: str, other: Thing) -> bool:
    return one is not other and place(one, other) == how


def run_program(program: Program, scene: Scenes) -> str:
    """The answer that a program gives for one scene, a word of `ANSWERS`.

    Raises:
        ValueError: more than one scene, an unknown operation or argument, too few
            values on the stack, "unique" of none or many, or no answer at the end.
    """
    if len(scene) != 1:
        raise ValueError(f"expected one scene, got {len(scene)}.")
    things, stack = scene.things()[0], []
    for operation, arguments in program:
        if operation not in OPERATIONS:
            known = ", ".join(OPERATIONS)
            raise ValueError(f"expected one of {known}, got {operation!r}.")
        takes, needs, function = OPERATIONS[operation]
        if len(stack) < takes:
            raise ValueError(
                f"expected {takes} values before {operation!r}, got {len(stack)}."
            )
        if len(arguments) != needs or not ARGUMENTS.issuperset(arguments):
            raise ValueError(
                f"expected {needs} known arguments of {operation!r}, got {arguments}."
            )
        cut = len(stack) - takes
        stack[cut:] = [function(things, *stack[cut:], *arguments)]
    if len(stack) != 1 or not isinstance(stack[0], (bool, int, str)):
        raise ValueError(f"expected a program that ends in one answer, got {program}.")
    if isinstance(stack[0], bool):
        return "yes" if stack[0] else "no"
    return stack[0] if isinstance(stack[0], str) else NUMBERS[stack[0]]


def questions(
    scenes: Scenes, *, seed: int, kinds: Sequence[str] | None = None
) -> list[list[Question]]:
    """For each scene at most one question of each kind, where one can be asked.

    Args:
        scenes: what the questions are about.
        seed: of the choice of questions.
        kinds: some of `KINDS`: "exist" (is there), "count" (how many), "query" (what
            color, shape, size, texture), "compare" (more than, same as), "relation"
            (is this left of that, what is left of that); all by default.

    Raises:
        ValueError: an unknown kind.
    """
    kinds = KINDS if kinds is None else kinds
    check_texts("kinds", kinds)
    for kind in kinds:
        check_choice("kind", kind, KINDS)
    luck = chances(len(scenes), len(KINDS), 4, seed=seed).tolist()
    out = []
    for i, things in enumerate(scenes.things()):
        asked = []
        for kind in kinds:
            found = _ASK[kind](things, *luck[i][KINDS.index(kind)])
            if found:
                text, program = found
                answer = run_program(program, scenes[i : i + 1])
                asked.append(Question(kind, text, program, answer))
        out.append(asked)
    return out


def _pick(values, luck: float):
    return values[int(luck * len(values))]


def _filters(**wanted: str) -> Program:
    return [("scene", ()), *(("filter", pair) for pair in wanted.items())]


def _refer(thing: Thing, things: list[Thing], *, but: str = ""):
    """The shortest name that fits one thing only and leaves out one attribute."""
    for keys in (("shape",), ("color",), ("color", "shape")):
        wanted = {key: getattr(thing, key) for key in keys}
        same = [t for t in things if all(getattr(t, k) == v for k, v in wanted.items())]
        if len(same) == 1 and but not in keys:
            noun = "" if "shape" in keys else " object"
            name = f"the {' '.join(wanted.values())}{noun}"
            return name, [*_filters(**wanted), ("unique", ())]
    return None


def _exist(things: list[Thing], a: float, b: float, c: float, _):
    color, shape = _pick(COLORS, b), _pick(SHAPES, c)
    if a < 0.5:
        color, shape = _pick(things, b).color, _pick(things, b).shape
    text = f"is there {article(f'{color} {shape}')}?"
    return text, [*_filters(color=color, shape=shape), ("exist", ())]


def _set(thing: Thing, luck: float):
    """The name and the filters of all objects that share a thing's shape or color."""
    if luck < 0.5:
        return plural(thing.shape), _filters(shape=thing.shape)
    return f"{thing.color} objects", _filters(color=thing.color)


def _count(things: list[Thing], a: float, b: float, c: float, d: float):
    name, program = "objects", _filters()
    if a < 0.75:
        thing = _pick(things, b)
        if a < 0.2:
            thing = thing._replace(shape=_pick(SHAPES, d), color=_pick(COLORS, d))
        name, program = _set(thing, c)
    return f"how many {name} are there?", [*program, ("count", ())]


def _query(things: list[Thing], a: float, b: float, *_):
    key = _pick(tuple(VALUES), a)
    found = _refer(_pick(things, b), things, but=key)
    if found:
        return f"what {key} is {found[0]}?", [*found[1], ("query", (key,))]


def _compare(things: list[Thing], a: float, b: float, c: float, d: float):
    return _more(things, b, c, d) if a < 0.5 else _same(things, b, c, d)


def _more(things: list[Thing], b: float, c: float, d: float):
    first = second = _pick(things, c)
    if d < 0.5 and len(things) > 1:
        first, second = _two(things, c)
    elif d >= 0.5:
        # against what is not there, so that "yes" is as likely as "no"
        shape = _pick([s for s in SHAPES if s not in {t.shape for t in things}], c)
        color = _pick([s for s in COLORS if s not in {t.color for t in things}], c)
        second = first._replace(shape=shape, color=color)
    if first.shape == second.shape or first.color == second.color:
        return None
    if 0.5 <= d < 0.6:
        first, second = second, first
    (some, left), (others, right) = _set(first, b), _set(second, b)
    program = [*left, ("count", ()), *right, ("count", ()), ("more", ())]
    return f"are there more {some} than {others}?", program


def _same(things: list[Thing], b: float, c: float, d: float):
    if len(things) < 2:
        return None
    first, second = _two(things, c)
    equal = [k for k in VALUES if getattr(first, k) == getattr(second, k)]
    key = _pick(equal or tuple(VALUES), d)
    if b < 0.5:
        key = _pick([k for k in VALUES if k not in equal] or equal, d)
    one, other = (_refer(thing, things, but=key) for thing in (first, second))
    if one and other:
        text = f"do {one[0]} and {other[0]} have the same {key}?"
        return text, [*one[1], *other[1], ("same", (key,))]


def _relation(things: list[Thing], a: float, b: float, c: float, d: float):
    if len(things) < 2:
        return None
    first, second = _two(things, c)
    how, other = place(first, second), _refer(second, things)
    one = _refer(first, things)
    if not (how and one and other):
        return None
    clear = all(place(t, second) for t in things if t is not second)
    if a < 0.5 and clear and sum(_is(t, how, second) for t in things) == 1:
        key = _pick(("color", "shape"), b)
        program = [*other[1], ("relate", (how,)), ("unique", ()), ("query", (key,))]
        return f"what {key} is the object {how} {other[0]}?", program
    asked = how if b < 0.5 else _pick([r for r in RELATIONS if r != how], d)
    filters = one[1][1:-1]
    program = [*other[1], ("relate", (asked,)), *filters, ("exist", ())]
    return f"is {one[0]} {asked} {other[0]}?", program


def _two(things: list[Thing], luck: float) -> tuple[Thing, Thing]:
    n = len(things)
    at = int(luck * n * (n - 1))
    return things[at // (n - 1)], things[(at // (n - 1) + 1 + at % (n - 1)) % n]


_ASK = {
    "exist": _exist,
    "count": _count,
    "query": _query,
    "compare": _compare,
    "relation": _relation,
}
KINDS = tuple(_ASK)


def question_words() -> list[str]:
    """All words of the questions and of the answers, sorted."""
    glue = (
        "is there a an how many object objects are what the more than do and have same "
        "left right of above below"
    )
    return sorted({*glue.split(), *map(plural, SHAPES), *ANSWERS, *VALUES})
