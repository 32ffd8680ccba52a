"""Analogies and associations on vectors small enough to think about."""

import pytest
import torch

from mmdl_lib.core import generator
from mmdl_lib.data.words import Words
from mmdl_lib.inside.words import answers, association

SQUARE = Words(
    ["man", "woman", "king", "queen", "apple"],
    torch.tensor([[1.0, 0, 1], [1, 1, 1], [3, 0, 1], [3, 1, 1], [-1, 0, 5]]),
)


def test_the_fourth_corner_of_a_parallelogram_answers():
    assert answers(SQUARE, [("man", "woman", "king")]) == ["queen"]
    assert answers(SQUARE, [("king", "man", "queen"), ("man", "king", "woman")]) == [
        "woman",
        "queen",
    ]


def test_without_exclusion_a_short_step_leaves_the_word_where_it_was():
    near = Words(
        ["man", "woman", "king", "queen"],
        torch.tensor([[1.0, 0, 0], [1, 0.2, 0], [0, 0, 1], [0, 0.5, 1]]),
    )
    question = [("man", "woman", "king", "queen")]
    assert answers(near, question, exclude=True) == ["queen"]
    assert answers(near, question, exclude=False) == ["king"]


def test_vectors_have_length_one_before_they_are_added():
    long = Words(SQUARE.words, SQUARE.value * torch.tensor([[1], [50], [1], [1], [1]]))
    question = [("man", "woman", "king")]
    assert answers(long, question) == answers(SQUARE, question)


def test_nearest_leaves_out_what_it_is_told():
    found = SQUARE.nearest(SQUARE["king"], 2)
    assert found[0][0] == "king" and found[0][1] == pytest.approx(1, abs=1e-6)
    assert SQUARE.nearest(SQUARE["king"], 1, without=["king"])[0][0] == "queen"
    with pytest.raises(ValueError, match="n expected"):
        SQUARE.nearest(SQUARE["king"], 5, without=["king"])
    with pytest.raises(ValueError, match="query expected 3 numbers, got 2"):
        SQUARE.nearest(torch.ones(2))


def planar(**angles):
    """Words in a plane, by their angle in degrees."""
    turn = torch.deg2rad(torch.tensor(list(angles.values()), dtype=torch.float32))
    return Words(list(angles), torch.stack([turn.cos(), turn.sin()], 1))


def test_association_by_hand():
    table = planar(up=90, right=0, a=60, b=90, c=0, d=30)
    found = association(table, ["a", "b"], ["c", "d"], towards=["up"], away=["right"])
    # sin - cos of each: .366, 1, -1, -.366
    assert list(found.score) == ["a", "b", "c", "d"]
    expected = [0.366025, 1.0, -1.0, -0.366025]
    assert list(found.score.values()) == pytest.approx(expected, abs=1e-5)
    mean, spread = 2 * 0.6830127, torch.tensor(expected).std().item()
    assert found.effect == pytest.approx(mean / spread, abs=1e-5)
    assert found.p == pytest.approx(1 / 6)  # of six splits only this one


def test_the_other_order_turns_the_sign():
    table = planar(up=90, right=0, a=60, b=80, c=0, d=30)
    one = association(table, ["a", "b"], ["c", "d"], towards=["up"], away=["right"])
    two = association(table, ["c", "d"], ["a", "b"], towards=["up"], away=["right"])
    assert two.effect == pytest.approx(-one.effect) and two.p == 1.0


def test_random_words_are_called_associated_as_often_as_the_level_says():
    words = [str(i) for i in range(24)]
    small = 0
    for seed in range(300):
        value = torch.randn(24, 10, generator=generator(seed))
        found = association(
            Words(words, value), words[:8], words[8:16],
            towards=words[16:20], away=words[20:], generator=generator(seed),
        )  # fmt: skip
        small += found.p <= 0.1
    assert 15 <= small <= 46  # 30 expected, three standard deviations


def test_bad_lists_are_refused():
    table = planar(a=0, b=1, c=2, d=3)
    for first, second in (
        (["a"], ["b"]),
        (["a", "b"], ["c"]),
        (["a", "b"], ["b", "c"]),
    ):
        with pytest.raises(ValueError, match="expected"):
            association(table, first, second, towards=["d"], away=["d"])
    for towards, away in ((["d"], []), ([], ["d"])):
        with pytest.raises(ValueError, match="expected at least 1, got 0"):
            association(table, ["a", "b"], ["c", "d"], towards=towards, away=away)
    with pytest.raises(ValueError, match="question expected at least 3, got 2"):
        answers(table, [("a", "b")])
    with pytest.raises(ValueError, match="questions expected one or more"):
        answers(table, [])
    with pytest.raises(KeyError, match="got 'x'"):
        answers(table, [("a", "b", "x")])
