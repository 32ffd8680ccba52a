"""What is said about scenes: captions, foils, narratives with traces, noisy alt-text.

All texts derive from the scene, so they are true by construction, or false in a known
way; `tests/data/test_language.py` checks them against the pixels. Each kind of
text has a function that lists its words, for `mmdl_lib.data.text.WordTokenizer`.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mmdl_lib.borders import check_choice, check_number
from mmdl_lib.data.shapes.scenes import (
    COLORS,
    RADIUS,
    RELATIONS,
    SHAPES,
    SIZES,
    TEXTURES,
    Scenes,
    Thing,
    place,
    relation,
)

NUMBERS = ("zero", "one", "two", "three", "four")
PHENOMENA = ("attribute", "relation", "noun", "existence", "counting")
ALT_KINDS = ("clean", "file", "keywords", "truncated", "wrong", "unrelated")
UNRELATED = (
    "click to enlarge",
    "free shipping on all orders",
    "image not available",
    "logo of our company",
    "new post coming soon",
    "share this page with friends",
    "untitled",
    "photo by admin",
)
FILE_NUMBERS = ("01", "02", "03", "007", "0042", "1024", "2041", "20190714")


def chances(*shape: int, seed: int) -> Tensor:
    """Uniform random numbers in [0, 1), equal for equal seeds."""
    check_number("seed", seed, -(2**63), 2**64 - 1, whole=True)
    g = torch.Generator("cpu").manual_seed(seed)
    return torch.rand(shape, generator=g, dtype=torch.float32, device="cpu")


def article(words: str) -> str:
    """The words behind "a" or "an"."""
    return ("an " if words[0] in "aeiou" else "a ") + words


def plural(noun: str) -> str:
    """The noun in the plural."""
    return noun + ("es" if noun.endswith("s") else "s")


def _words(*texts: str) -> set[str]:
    return {word for text in texts for word in text.split()}


def _name(thing: Thing, *attributes: str) -> str:
    """Such as "a small red circle": the named attributes before color and shape."""
    words = [getattr(thing, attribute) for attribute in attributes]
    return article(" ".join([*words, thing.color, thing.shape]))


def captions(scenes: Scenes) -> list[list[str]]:
    """Five captions for each scene, from a bare list to sizes, textures and places."""
    out = []
    for things, here in zip(scenes.things(), relation(scenes).tolist(), strict=True):
        bare = [_name(thing) for thing in things]
        sized = [_name(thing, "size") for thing in things]
        full = [_name(thing, "size", "texture") for thing in things]
        lists = [" and ".join(names) for names in (bare, sized, full)]
        if len(things) == 2:
            lists[1] = f"{bare[0]} {RELATIONS[here]} {bare[1]}"
            last = f"{sized[1]} {RELATIONS[here ^ 1]} {sized[0]}"
        else:
            last = f"there is {lists[1]}"
        photo = f"a photo of {lists[0]}"
        out.append([lists[0], photo, lists[1], f"a picture with {lists[2]}", last])
    return out


def caption_words() -> list[str]:
    """All words that the grammar of `captions` can produce, sorted."""
    glue = _words("a an and photo of picture with there is left right above below")
    return sorted({*glue, *SHAPES, *COLORS, *SIZES, *TEXTURES})


def foils(scenes: Scenes, phenomenon: str) -> list[tuple[int, str, str]]:
    """Pairs of a true caption and a false one that differs in a single respect.

    Args:
        scenes: for the first three phenomena, those with other than two objects, or
            two that share a color or a shape, are passed over.
        phenomenon: "attribute" swaps the two colors, "relation" the two objects around
            the relation word, "noun" replaces the first shape by one not in the scene,
            "existence" denies what is there or affirms what is not (in turn), and
            "counting" says another number.

    Returns:
        (index of the scene, caption, foil); only where the foil is certainly false.

    Raises:
        ValueError: an unknown phenomenon.
    """
    check_choice("phenomenon", phenomenon, PHENOMENA)
    if phenomenon == "existence":
        pairs = [_existence(i, things) for i, things in enumerate(scenes.things())]
    elif phenomenon == "counting":
        pairs = [_counting(i, things) for i, things in enumerate(scenes.things())]
    else:
        places = relation(scenes).tolist()
        pairs = [
            _two_objects(phenomenon, things, RELATIONS[here])
            for things, here in zip(scenes.things(), places, strict=True)
        ]
    return [(i, *pair) for i, pair in enumerate(pairs) if pair]


def _two_objects(phenomenon: str, things: list[Thing], here: str):
    colors, shapes = ({getattr(t, a) for t in things} for a in ("color", "shape"))
    if len(things) != 2 or len(colors) == 1 or len(shapes) == 1:
        return None
    one, other = things
    if phenomenon == "relation":
        return f"{_name(one)} {here} {_name(other)}", (
            f"{_name(other)} {here} {_name(one)}"
        )
    true = f"{_name(one)} and {_name(other)}"
    if phenomenon == "attribute":
        swapped = one._replace(color=other.color), other._replace(color=one.color)
        return true, " and ".join(map(_name, swapped))
    after = SHAPES.index(one.shape) + 1
    new = next(s for s in SHAPES[after:] + SHAPES[:after] if s not in shapes)
    return true, f"{_name(one._replace(shape=new))} and {_name(other)}"


def _existence(i: int, things: list[Thing]) -> tuple[str, str]:
    thing = things[i // 2 % len(things)]
    if i % 2:
        # a pair not in the scene, near the true one: same color, another shape
        here = {(t.color, t.shape) for t in things}
        after = SHAPES.index(thing.shape) + 1
        others = SHAPES[after:] + SHAPES[:after]
        shape = next(s for s in others if (thing.color, s) not in here)
        thing = thing._replace(shape=shape)
    yes = f"there is {_name(thing)}"
    no = f"there is no {thing.color} {thing.shape}"
    return (no, yes) if i % 2 else (yes, no)


def _counting(i: int, things: list[Thing]) -> tuple[str, str]:
    """Counts what occurs most often: a shape, else a color, else all objects."""
    shapes, colors = [t.shape for t in things], [t.color for t in things]
    shape, color = max(shapes, key=shapes.count), max(colors, key=colors.count)
    noun, n = "object", len(things)
    if shapes.count(shape) > 1:
        noun, n = shape, shapes.count(shape)
    elif colors.count(color) > 1:
        noun, n = f"{color} object", colors.count(color)

    def say(n):
        is_are = f"is one {noun}" if n == 1 else f"are {NUMBERS[n]} {plural(noun)}"
        return f"there {is_are}"

    return say(n), say((n + i % 3) % 4 + 1)


def foil_words() -> list[str]:
    """All words that captions and `foils` of any phenomenon can produce, sorted."""
    more = _words("are no object objects"), NUMBERS[1:], map(plural, SHAPES)
    return sorted({*caption_words()}.union(*more))


class Narrative(NamedTuple):
    """A spoken description and the mouse that points along.

    `trace` has four points for each word, (x, y, t): pixels of a 32 x 32 picture and
    seconds; `things` is the object that each word is about, -1 for none.
    """

    words: list[str]
    trace: Float[Tensor, "t 4 3"]
    things: Int[Tensor, " t"]

    @property
    def text(self) -> str:
        """The words as one string."""
        return " ".join(self.words)


def narratives(scenes: Scenes, *, seed: int) -> list[Narrative]:
    """A description of each scene as one would speak it, with a trace of the mouse.

    The format is that of Localized Narratives (Pont-Tuset et al., ECCV 2020): every
    word has its moment, and while an object is named the mouse circles over it.
    """
    # two draws one after the other from one seed
    luck = chances(12 * len(scenes), seed=seed).split(
        [4 * len(scenes), 8 * len(scenes)]
    )
    order = luck[0].view(-1, 4).argsort(1).tolist()
    chance = luck[1].view(-1, 8).tolist()
    rows = zip(scenes.things(), order, chance, strict=True)
    return [
        _narrative(things, [k for k in slots if k < len(things)], luck)
        for things, slots, luck in rows
    ]


def _narrative(things: list[Thing], order: list[int], luck: list[float]) -> Narrative:
    starts = ("in this image i can see", "okay here we have", "so there is")
    links = ("and then there is", "and", "um and", "i also see")
    words, about = starts[int(luck[0] * 3)].split(), []
    for step, k in enumerate(order):
        if step:
            where = place(things[k], things[order[step - 1]])
            link = int(luck[step] * 5)
            here = f"and {where} it there is" if where else "and"
            words += (here if link == 4 else links[link]).split()
        about += [-1] * (len(words) - len(about))
        detail = ("size", "texture")[: int(luck[4 + step] * 3)]
        words += _name(things[k], *detail).split()
        about += [k] * (len(words) - len(about))
    trace = _trace(words, about, things)
    return Narrative(words, trace, torch.tensor(about, device="cpu"))


def _trace(words: list[str], about: list[int], things: list[Thing]) -> Tensor:
    corners = ((-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5))
    quarters = (0.125, 0.375, 0.625, 0.875)
    x, y, clock, rows = 16.0, 16.0, 0.0, []
    for i, (word, k) in enumerate(zip(words, about, strict=True)):
        if k < 0:
            # on its way to the object that comes next, in equal steps a word
            left = next(j for j in range(i, len(about)) if about[j] >= 0) - i
            goal = things[about[i + left]]
            dx, dy = (goal.x - x) / left, (goal.y - y) / left
            points = [(x + q * dx, y + q * dy) for q in quarters]
            x, y = x + dx, y + dy
        else:
            x, y, radius = things[k].x, things[k].y, RADIUS[SIZES.index(things[k].size)]
            points = [(x + radius * u, y + radius * v) for u, v in corners]
        seconds = 0.15 + 0.05 * len(word)
        rows.append(
            [(*at, clock + seconds * q) for at, q in zip(points, quarters, strict=True)]
        )
        clock += seconds
    return torch.tensor(rows, dtype=torch.float32, device="cpu")


def narrative_words() -> list[str]:
    """All words that `narratives` can produce, sorted."""
    glue = "in this image i can see okay here we have so there is a an"
    links = "and then there is um i also see it left right of above below"
    return sorted(_words(glue, links).union(SHAPES, COLORS, SIZES, TEXTURES))


class AltText(NamedTuple):
    """A text beside a picture on the web; `kind` (of `ALT_KINDS`) says what it is."""

    text: str
    kind: str


def alt_texts(scenes: Scenes, *, seed: int, noise: float | int = 0.5) -> list[AltText]:
    """One text for each scene as the web would have it: sometimes right, often not.

    Args:
        scenes: what the pictures show.
        seed: of the noise; the same arguments give the same texts.
        noise: share of texts that are not a clean caption, in [0, 1]; it is split
            evenly among file names, keywords, captions cut short, captions with a
            wrong color, and words that have nothing to do with the picture.

    Raises:
        ValueError: a noise outside [0, 1].
    """
    check_number("noise", noise, 0, 1)
    noisy, *luck = chances(4, len(scenes), seed=seed).tolist()
    said, out = captions(scenes), []
    for i, things in enumerate(scenes.things()):
        a, b, c = (row[i] for row in luck)
        kind = ALT_KINDS[1 + int(a * 5)] if noisy[i] < noise else "clean"
        text = said[i][int(b * 5)]
        thing = things[int(b * len(things))]
        if kind == "file":
            number = FILE_NUMBERS[int(c * len(FILE_NUMBERS))]
            stem = ("img", f"{thing.color}-{thing.shape}", "dsc", thing.shape)
            text = f"{stem[int(b * 4)]}_{number}.{('jpg', 'png')[int(c * 64) % 2]}"
        elif kind == "keywords":
            more = ("stock photo", "vector clipart", "free download", "hd")
            text = f"{thing.shape} {thing.color} {more[int(c * 4)]}"
        elif kind == "truncated":
            words = text.split()
            text = " ".join(words[: 1 + int(c * (len(words) - 1))]) + " ..."
        elif kind == "wrong":
            here = [t.color for t in things if t.shape == thing.shape]
            wrong = [color for color in COLORS if color not in here]
            text = _name(thing._replace(color=wrong[int(c * len(wrong))]))
        elif kind == "unrelated":
            text = UNRELATED[int(c * len(UNRELATED))]
        out.append(AltText(text, kind))
    return out


def alt_words() -> list[str]:
    """All words of `alt_texts` (as `WordTokenizer` cuts them), sorted."""
    glue = "img dsc jpg png stock photo vector clipart free download hd"
    return sorted(_words(glue, *UNRELATED).union(caption_words(), FILE_NUMBERS))
