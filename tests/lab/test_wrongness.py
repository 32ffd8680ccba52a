"""Captions of graded wrongness: each holds exactly as many false facts as it says."""

from collections import Counter

import pytest
import torch

from mmdl_lib.data import shapes
from mmdl_lib.lab import facts as fc
from mmdl_lib.lab import telling
from mmdl_lib.lab import wrongness as wr

ONE = wr.Group("two", "small", "red", "circle")
OTHER = wr.Group("one", "large", "blue", "star")
TRUTH = wr.Facts(ONE, "left of", OTHER)


def luck(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("options", [{}, {"counts": 1, "synonyms": 0, "damaged": 0}])
def test_each_caption_holds_exactly_the_number_of_false_facts_that_it_says(options):
    some = wr.graded(500, 0, **options)
    assert some.grades == [i % 5 for i in range(500)]
    found = [
        wr.wrong(wr.read(s), f) for s, f in zip(some.said, some.facts, strict=True)
    ]
    assert found == some.grades


def test_the_false_facts_are_counted_by_hand():
    said = wr.Facts(ONE._replace(color="green", size="large"), "left of", OTHER)
    assert wr.wrong(said, TRUTH) == 2 and wr.wrong(TRUTH, TRUTH) == 0
    assert wr.wrong(TRUTH._replace(relation="right of"), TRUTH) == 1
    assert wr.wrong(wr.Facts(OTHER, "right of", ONE), TRUTH) == 0
    assert wr.wrong(wr.Facts(OTHER, "left of", ONE), TRUTH) == 1


@pytest.mark.parametrize(
    "text, wrong",
    [
        ("there are two tiny red discs left of a big blue asterisk", 0),
        ("a photo of a large blue star right of two small red circles", 0),
        ("two small red circles right of a large blue star", 1),
        ("a small red circle left of a large blue star", 1),
        ("two small blue circles left of a large red star", 2),
        ("two small circles red red left large blue star", 0),
        ("three medium green squares below a small pink heart", 8),
    ],
)
def test_captions_are_read_whatever_their_wording(text, wrong):
    assert wr.wrong(wr.read(text), TRUTH) == wrong


@pytest.mark.parametrize(
    "text", ["a red circle", "two small red circles and a large blue star", ""]
)
def test_a_text_that_does_not_say_nine_facts_is_refused(text):
    with pytest.raises(ValueError, match="nine facts"):
        wr.read(text)


def test_references_say_nothing_false_though_not_all_say_everything():
    some = wr.graded(150, 1, count=4)
    whole = 0
    for truth, texts in zip(some.facts, some.references, strict=True):
        for text in texts:
            words = {telling._meant(word) for word in text.split()}
            groups = (truth.one, truth.other)
            for kind, values in fc.VALUES.items():
                true = {getattr(group, kind) for group in groups}
                assert words & {*values} <= true | {"one"}, text
            try:
                assert wr.wrong(wr.read(text), truth) == 0
                whole += 1
            except ValueError:
                pass
    assert 0.1 < whole / 600 < 0.4  # 1/4 has both sizes, 3/4 of these the relation


@pytest.mark.parametrize("kind", wr.FAULTS)
def test_a_fault_of_a_kind_is_of_that_kind(kind):
    for truth in wr.draw(100, generator=luck(2)):
        said = wr.fault(truth, kind, generator=luck(3))
        assert wr.wrong(said, truth) == (2 if kind == "colors swapped" else 1)
        words = [
            Counter(wr.tell(f, form=0, synonyms=0, generator=luck()).split())
            for f in (said, truth)
        ]
        if kind in fc.VALUES:
            differ = {
                name
                for a, b in ((said.one, truth.one), (said.other, truth.other))
                for name in fc.VALUES
                if getattr(a, name) != getattr(b, name)
            }
            assert differ == {kind} and words[0] != words[1]
        elif kind == "exchanged":
            assert words[0] == words[1]


@pytest.mark.parametrize("kind", wr.DAMAGES)
def test_damage_changes_the_words_and_no_fact(kind):
    for i, truth in enumerate(wr.draw(100, generator=luck(4))):
        text = wr.tell(truth, generator=luck(i))
        hurt = wr.damage(text, kind, generator=luck(i))
        assert hurt != text and wr.read(hurt) == wr.read(text)
        more = len(hurt.split()) - len(text.split())
        assert more in {"doubled": (1,), "dropped": (-1, 0), "turned": (0,)}[kind]


def test_captions_of_one_seed_differ_where_their_facts_do():
    for i, truth in enumerate(wr.draw(50, generator=luck(5))):
        said = wr.fault(truth, "color", generator=luck(i))
        pair = [wr.tell(f, generator=luck(i)).split() for f in (truth, said)]
        articles = {("a", "an"), ("an", "a")}
        gaps = [ab for ab in zip(*pair, strict=True) if ab[0] != ab[1]]
        assert len([ab for ab in gaps if ab not in articles]) == 1


def test_a_reworded_caption_is_true_and_one_word_away():
    slots = [slot for slot in wr.SLOTS if slot[1] == "size"]
    for i, truth in enumerate(wr.draw(50, generator=luck(6))):
        plain = wr.tell(truth, form=0, synonyms=0, generator=luck())
        text = wr.reworded(truth, slots[i % 2], generator=luck(i))
        assert wr.read(text) == truth
        assert (
            sum(a != b for a, b in zip(text.split(), plain.split(), strict=True)) == 1
        )
    with pytest.raises(ValueError, match="synonyms"):
        wr.reworded(TRUTH, ("one", "color"), generator=luck())


def test_all_synonyms_are_said_and_none_without_being_asked_for():
    truths = wr.draw(200, generator=luck(10))
    every = {word for words in wr.SAME.values() for word in words[1:]}
    assert "boxs" not in str([wr.tell(f, generator=luck(1)) for f in truths])
    for rate in (0, 1):
        told = [
            wr.tell(f, synonyms=rate, generator=luck(i)) for i, f in enumerate(truths)
        ]
        words = {word for text in told for word in text.split()}
        words |= {word.removesuffix("s") for word in words}
        assert every & words == (every if rate else set())


def test_synonyms_meet_in_the_singular_and_in_the_plural():
    assert wr.synonyms("discs") == wr.synonyms("circle") == {"circle"}
    assert wr.synonyms("boxes") & wr.synonyms("squares")
    assert not wr.synonyms("crosses") and not wr.synonyms("is")
    assert not wr.synonyms("above") & wr.synonyms("below")


def test_all_names_have_their_own_words():
    words = [word for words in wr.SAME.values() for word in words]
    assert len(set(words)) == len(words)
    names = {*shapes.COLORS, *shapes.SHAPES, *shapes.SIZES, *fc.INVERSE}
    assert set(wr.SAME) <= names and not {*words} & (names - set(wr.SAME))


def test_groups_differ_in_color_and_in_shape_unless_they_are_twins():
    for twins in (False, True):
        truths = wr.draw(50, twins=twins, generator=luck(9))
        assert all(t.one.color != t.other.color for t in truths)
        assert {t.one.shape == t.other.shape for t in truths} == {twins}


def test_the_inverse_of_the_inverse_is_the_relation():
    assert fc.INVERSE["left of"] == "right of" and fc.INVERSE["below"] == "above"
    assert all(fc.INVERSE[fc.INVERSE[r]] == r for r in shapes.RELATIONS)


def test_pictures_show_the_facts():
    truths = wr.draw(200, generator=luck(7))
    scenes = wr.picture(truths)
    for truth, things in zip(truths, scenes.things(), strict=True):
        asked = Counter()
        for group in (truth.one, truth.other):
            asked[group[1:]] += fc.COUNTS.index(group.count) + 1
        assert Counter((t.size, t.color, t.shape) for t in things) == asked
        a = [t for t in things if t.color == truth.one.color]
        b = [t for t in things if t.color == truth.other.color]
        true = {
            "left of": lambda s, t: s.x < t.x,
            "right of": lambda s, t: s.x > t.x,
            "above": lambda s, t: s.y < t.y,
            "below": lambda s, t: s.y > t.y,
        }[truth.relation]
        assert all(true(s, t) for s in a for t in b)
    # large alike objects touch, and are seen as one; single ones do not
    scenes = wr.picture(wr.draw(200, counts=1, generator=luck(8)))
    seen = scenes.seen_in(scenes.render())
    right = [
        Counter((s.color, s.shape) for s in row)
        == Counter((t.color, t.shape) for t in of)
        for row, of in zip(seen, scenes.things(), strict=True)
    ]
    assert sum(right) / len(right) > 0.95


def test_arms_of_a_seed_share_scenes_wordings_and_references():
    hurt, clean = (wr.graded(40, 3, damaged=d) for d in (1.0, 0.0))
    assert hurt.facts == clean.facts and hurt.references == clean.references
    pairs = zip(hurt.said, clean.said, strict=True)
    assert all(a != b and wr.read(a) == wr.read(b) for a, b in pairs)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: wr.draw(0, generator=luck()), "n expected"),
        (lambda: wr.draw(1, counts=3, generator=luck()), "counts expected"),
        (lambda: wr.spoil(TRUTH, 5, generator=luck()), "k expected"),
        (lambda: wr.fault(TRUTH, "taste", generator=luck()), "kind expected"),
        (lambda: wr.damage("a b", "burnt", generator=luck()), "kind expected"),
        (lambda: wr.tell(TRUTH, form=6, generator=luck()), "form expected"),
        (lambda: wr.picture([]), "facts"),
        (
            lambda: wr.picture([TRUTH._replace(one=ONE._replace(count="three"))]),
            "one or two objects",
        ),
    ],
)
def test_bad_input_is_refused_in_one_sentence(call, words):
    with pytest.raises(ValueError, match=words) as error:
        call()
    assert "\n" not in str(error.value)
