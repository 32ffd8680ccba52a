"""What is said about shapes is what the pixels show: all texts are read again here.

`look` makes a list of things from a picture and its masks alone; `true_of` and `answer`
read sentences with their own small grammar. Neither knows the scene or the programs.
"""

import re
from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdl_lib.data import shapes
from mmdl_lib.data.shapes import (
    COLORS,
    RELATIONS,
    RGB,
    SHAPES,
    SIZES,
    TEXTURES,
    Thing,
    language,
)
from mmdl_lib.data.text import WORD

few = settings(max_examples=10, deadline=None)
seeds = st.integers(0, 2**31)


# ---- from pixels to things


@cache
def templates():
    """Every shape in every size, alone in the middle of a 64 x 64 picture."""
    scenes = shapes.sample(24, seed=0, objects=1)
    scenes.shape[:, 0], scenes.size[:, 0] = torch.arange(24) % 8, torch.arange(24) // 8
    scenes.center[:] = 16.0
    return [middle(mask) for mask in scenes.instance_masks(64)[:, 0]]


def middle(mask):
    """A mask moved to the middle of its box, and the middle."""
    y, x = mask.nonzero().T
    at = (x.min() + x.max() + 1) // 2, (y.min() + y.max() + 1) // 2
    return mask.roll((32 - at[1].item(), 32 - at[0].item()), (0, 1)), at


def look(image, mask):
    """The thing under a mask."""
    moved, at = middle(mask)
    overlap = [(moved & t).sum() / (moved | t).sum() for t, _ in templates()]
    best = int(torch.tensor(overlap).argmax())
    offset = templates()[best][1]
    x, y = ((at[i] - offset[i]).item() / 2 + 16 for i in (0, 1))
    inner = torch.nn.functional.max_pool2d(-mask[None].float(), 3, 1, 1)[0] == -1
    pixels = image[:, inner].float().T
    color = torch.cdist(pixels, RGB.float()).min(0).values.argmin()
    texture = TEXTURES[nearest_texture(image, inner, best, color, x, y)]
    return Thing(SHAPES[best % 8], COLORS[color], SIZES[best // 8], texture, x, y)


def nearest_texture(image, inner, best, color, x, y):
    """Which of three drawings of the same thing, by texture, the pixels are."""
    drawn = shapes.sample(3, seed=0, objects=1)
    drawn.shape[:, 0], drawn.size[:, 0] = best % 8, best // 8
    drawn.color[:, 0], drawn.texture[:, 0] = color, torch.arange(3)
    drawn.center[:, 0] = torch.tensor([x, y])
    gap = (drawn.render(64).float() - image.float()).abs()
    return int(gap[:, :, inner].mean((1, 2)).argmin())


def seen(scenes):
    """The things that the pictures show, scene by scene."""
    images, masks = scenes.render(64), scenes.instance_masks(64)
    return [
        [look(image, mask) for mask in slots if mask.any()]
        for image, slots in zip(images, masks, strict=True)
    ]


@few
@given(seeds)
def test_the_pixels_show_the_things_of_the_scene(seed):
    scenes = shapes.sample(20, seed=seed, held_out="include")
    for shown, known in zip(seen(scenes), scenes.things(), strict=True):
        assert [t[:4] for t in shown] == [t[:4] for t in known]
        for a, b in zip(shown, known, strict=True):
            assert abs(a.x - b.x) < 1 and abs(a.y - b.y) < 1


# ---- from sentences to truth


NOUN = (
    rf"an? (?:(?P<size>{'|'.join(SIZES)}) )?(?:(?P<texture>{'|'.join(TEXTURES)}) )?"
    rf"(?P<color>{'|'.join(COLORS)}) (?P<shape>{'|'.join(SHAPES)})"
)
NUMBER = dict(zip("zero one two three four".split(), range(5), strict=True))
PLURAL = {"circles": "circle", "squares": "square", "triangles": "triangle"}
PLURAL |= {"stars": "star", "crosses": "cross", "hearts": "heart", "rings": "ring"}
PLURAL |= {"moons": "moon"}


def fits(text, thing):
    """Whether "a small red circle" is a name of the thing."""
    match = re.fullmatch(NOUN, text)
    said = {k: v for k, v in match.groupdict().items() if v}
    assert text.startswith("an ") == (text.split(" ", 1)[1][0] in "aeiou")
    return all(getattr(thing, k) == v for k, v in said.items())


def direction(one, other):
    """The relation word, by the larger difference."""
    dx, dy = one.x - other.x, one.y - other.y
    if abs(dx) > abs(dy):
        return "left of" if dx < 0 else "right of"
    return "above" if dy < 0 else "below"


def some(text, things):
    """The things that "circles", "red objects", "circle" or "object" speaks of."""
    *color, noun = text.split()
    noun = PLURAL.get(noun, noun)
    return [
        t
        for t in things
        if (not color or t.color == color[0])
        and (noun in ("object", "objects") or t.shape == noun)
    ]


def true_of(text, things):
    """Whether a caption is true of a list of things."""
    if match := re.fullmatch(r"there is no (\w+) (\w+)", text):
        return (match[1], match[2]) not in {(t.color, t.shape) for t in things}
    if match := re.fullmatch(r"there (?:is|are) (one|two|three|four) ([\w ]+)", text):
        return len(some(match[2], things)) == NUMBER[match[1]]
    for how in RELATIONS:
        if f" {how} " in text:
            names = text.split(f" {how} ")
            return any(
                fits(names[0], a) and fits(names[1], b) and direction(a, b) == how
                for a in things
                for b in things
                if a is not b
            )
    names = re.sub("^(a photo of|a picture with|there is) ", "", text).split(" and ")
    left = list(things)
    for name in names:
        hit = next((t for t in left if fits(name, t)), None)
        if hit is None:
            return False
        left.remove(hit)
    return True


@few
@given(seeds)
def test_captions_are_true_of_the_pixels_and_name_every_object_in_order(seed):
    scenes = shapes.sample(20, seed=seed, held_out="include")
    for texts, things in zip(shapes.captions(scenes), seen(scenes), strict=True):
        assert len(texts) == 5
        assert all(true_of(text, things) for text in texts)
        for text in texts[:4]:
            names = re.split(rf" and | {' | '.join(RELATIONS)} ", text)
            names[0] = re.sub("^a (photo of|picture with) ", "", names[0])
            assert [fits(n, t) for n, t in zip(names, things, strict=True)]


def test_two_objects_get_the_relation_and_its_inverse():
    scenes = shapes.sample(50, seed=9, objects=2)
    inverse = dict(
        zip(RELATIONS, ("right of", "left of", "below", "above"), strict=True)
    )
    for texts in shapes.captions(scenes):
        here, back = (next(r for r in RELATIONS if r in texts[k]) for k in (2, 4))
        assert back == inverse[here]


@pytest.mark.parametrize("phenomenon", shapes.PHENOMENA)
@few
@given(seed=seeds)
def test_of_caption_and_foil_the_pixels_show_only_the_first(phenomenon, seed):
    pair = phenomenon in ("attribute", "relation", "noun")
    objects = 2 if pair else (1, 4)
    scenes = shapes.sample(24, seed=seed, objects=objects, held_out="include")
    rows, things = shapes.foils(scenes, phenomenon), seen(scenes)
    assert len(rows) > 10
    for i, true, false in rows:
        assert true_of(true, things[i]), true
        assert not true_of(false, things[i]), false


def test_foils_differ_in_one_respect_only():
    scenes = shapes.sample(300, seed=6, objects=2, held_out="include")
    everything = shapes.captions(scenes)
    for phenomenon, changed in (("attribute", 2), ("noun", 1)):
        for i, true, false in shapes.foils(scenes, phenomenon):
            a, b = (re.sub(r"\ban\b", "a", t).split() for t in (true, false))
            different = [x for x, y in zip(a, b, strict=True) if x != y]
            assert true in everything[i]
            assert len(different) == changed
            if phenomenon == "noun":
                assert b[2] not in {t.shape for t in scenes[i].things()[0]}
    for i, true, false in shapes.foils(scenes, "relation"):
        assert true in everything[i]
        assert sorted(false.split()) == sorted(true.split())


def test_neither_no_nor_a_number_gives_a_foil_away():
    scenes = shapes.sample(400, seed=0)
    rows = shapes.foils(scenes, "existence")
    assert sum("no" in true.split() for _, true, _ in rows) == 200
    assert all(("no" in t.split()) != ("no" in f.split()) for _, t, f in rows)
    counted = [t.split()[2] for _, t, _ in shapes.foils(scenes, "counting")]
    assert set(counted) == {"one", "two", "three", "four"}


def test_an_unknown_phenomenon_is_an_error():
    with pytest.raises(ValueError, match="'existence', 'counting', got 'verb'"):
        shapes.foils(shapes.sample(1, seed=0), "verb")


# ---- questions


def refer(text, things):
    """The one thing that "circle", "red object" or "red circle" speaks of."""
    (thing,) = some(text, things)
    return thing


def answer(text, things):
    """The answer to a question, as a person would find it."""
    how = "|".join(RELATIONS)
    yes = {True: "yes", False: "no"}
    if match := re.fullmatch(r"is there an? (\w+ \w+)\?", text):
        return yes[bool(some(match[1], things))]
    if match := re.fullmatch(r"how many ([\w ]+) are there\?", text):
        return list(NUMBER)[len(some(match[1], things))]
    if match := re.fullmatch(rf"what (\w+) is the object ({how}) the ([\w ]+)\?", text):
        other = refer(match[3], things)
        there = [
            t for t in things if t is not other and direction(t, other) == match[2]
        ]
        assert len(there) == 1
        return getattr(there[0], match[1])
    if match := re.fullmatch(r"what (\w+) is the ([\w ]+)\?", text):
        return getattr(refer(match[2], things), match[1])
    if match := re.fullmatch(r"are there more ([\w ]+) than ([\w ]+)\?", text):
        return yes[len(some(match[1], things)) > len(some(match[2], things))]
    same = r"do the ([\w ]+) and the ([\w ]+) have the same (\w+)\?"
    if match := re.fullmatch(same, text):
        return yes[
            len({getattr(refer(match[i], things), match[3]) for i in (1, 2)}) == 1
        ]
    match = re.fullmatch(rf"is the ([\w ]+?) ({how}) the ([\w ]+)\?", text)
    return yes[direction(*(refer(match[i], things) for i in (1, 3))) == match[2]]


@few
@given(seeds)
def test_answers_are_those_that_the_pixels_give(seed):
    scenes = shapes.sample(20, seed=seed, held_out="include")
    asked = shapes.questions(scenes, seed=seed % 1000)
    for i, (rows, things) in enumerate(zip(asked, seen(scenes), strict=True)):
        for question in rows:
            assert question.answer == answer(question.text, things), question
            assert question.answer in shapes.ANSWERS
            assert question.answer == shapes.run_program(question.program, scenes[i])


# ---- narratives and alt-text


@few
@given(seeds)
def test_narratives_name_every_object_truly_and_point_at_it(seed):
    scenes = shapes.sample(15, seed=seed, held_out="include")
    told, masks = shapes.narratives(scenes, seed=seed), scenes.instance_masks(64)
    for i, (words, trace, slots) in enumerate(told):
        things, text = seen(scenes[i : i + 1])[0], " ".join(words)
        named = list(re.finditer(NOUN, text))
        order = list(dict.fromkeys(k for k in slots.tolist() if k >= 0))
        assert sorted(order) == list(range(len(things)))
        assert len(named) == len(things)
        for match, k in zip(named, order, strict=True):
            assert fits(match[0], things[k])
            at = len(text[: match.start()].split())
            assert (slots[at : at + len(match[0].split())] == k).all()
        for match in re.finditer(rf"({'|'.join(RELATIONS)}) it", text):
            n = sum(m.start() < match.start() for m in named)
            a, b = things[order[n]], things[order[n - 1]]
            assert direction(a, b) == match[1]
        for k in order:
            y, x = (masks[i, k].nonzero() / 2 + 0.25).T
            points = trace[slots == k][..., :2].reshape(-1, 2)
            assert abs(points[:, 0].mean() - things[k].x) < 1
            assert abs(points[:, 1].mean() - things[k].y) < 1
            assert (
                x.min() - 1 <= points[:, 0].min() <= points[:, 0].max() <= x.max() + 1
            )
        assert trace.shape == (len(words), 4, 3) and len(slots) == len(words)
        assert trace[..., :2].min() >= 0 and trace[..., :2].max() <= 32
        assert (trace[..., 2].flatten().diff() > 0).all()


@few
@given(seeds)
def test_each_kind_of_alt_text_is_what_it_says(seed):
    scenes = shapes.sample(20, seed=seed, held_out="include")
    rows = shapes.alt_texts(scenes, seed=seed, noise=0.9)
    said, shown = shapes.captions(scenes), seen(scenes)
    for (text, kind), captions, things in zip(rows, said, shown, strict=True):
        pairs = {(t.color, t.shape) for t in things}
        if kind == "clean":
            assert text in captions
        elif kind == "truncated":
            cut = text.removesuffix(" ...")
            assert cut != text and any(c.startswith(cut + " ") for c in captions)
        elif kind == "wrong":
            assert not true_of(text, things)
            assert text.split()[-1] in {t.shape for t in things}
        elif kind == "file":
            assert re.fullmatch(r"[\w-]+_\d+\.(jpg|png)", text)
        elif kind == "keywords":
            assert tuple(text.split()[1::-1]) in pairs
        else:
            assert text in language.UNRELATED
            assert not set(text.split()) & {*COLORS, *SHAPES}


def test_the_share_of_noise_is_the_one_asked_for_in_even_kinds():
    scenes = shapes.sample(4000, seed=0)
    for noise in (0.0, 0.5, 1.0):
        kinds = [kind for _, kind in shapes.alt_texts(scenes, seed=1, noise=noise)]
        assert kinds.count("clean") / 4000 == pytest.approx(1 - noise, abs=0.03)
        for kind in shapes.ALT_KINDS[1:]:
            assert kinds.count(kind) / 4000 == pytest.approx(noise / 5, abs=0.02)
    assert shapes.alt_texts(scenes, seed=1) == shapes.alt_texts(scenes, seed=1)
    assert shapes.alt_texts(scenes, seed=1) != shapes.alt_texts(scenes, seed=2)


@pytest.mark.parametrize("noise", [-0.1, 1.5])
def test_a_share_of_noise_outside_zero_and_one_is_an_error(noise):
    with pytest.raises(ValueError, match="noise expected a number from 0 to 1, got"):
        shapes.alt_texts(shapes.sample(1, seed=0), seed=0, noise=noise)


# ---- words


def test_word_lists_hold_exactly_the_words_of_many_texts():
    scenes = shapes.sample(4000, seed=4, held_out="include")
    asked = [q for rows in shapes.questions(scenes, seed=0) for q in rows]
    captions = [text for texts in shapes.captions(scenes) for text in texts]
    foils = [
        t for p in shapes.PHENOMENA for row in shapes.foils(scenes, p) for t in row[1:]
    ]
    texts = {
        shapes.caption_words: captions,
        shapes.foil_words: captions + foils,
        shapes.narrative_words: [n.text for n in shapes.narratives(scenes, seed=0)],
        shapes.alt_words: [
            t
            for noise in (0.0, 1.0)
            for t, _ in shapes.alt_texts(scenes, seed=0, noise=noise)
        ],
        shapes.question_words: [q.text for q in asked] + [q.answer for q in asked],
    }
    for function, several in texts.items():
        words = function()
        assert words == sorted(set(words))
        assert {w for text in several for w in WORD.findall(text)} == set(words)
