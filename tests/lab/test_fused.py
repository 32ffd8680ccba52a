"""Judges of fused words: what each says, by hand and by laws."""

import pytest
import torch

from mmdl_lib.data import word_pictures
from mmdl_lib.lab import fused, grounded

DATA = word_pictures.load()
SOME = ["apple", "banana", "guitar", "penguin"]


def test_cells_above_the_diagonal_row_by_row():
    table = torch.arange(9.0).reshape(3, 3)
    assert fused.above(table).tolist() == [1.0, 2.0, 5.0]


def test_cosines_of_all_pairs_and_zero_for_a_word_without_a_vector():
    vectors = torch.tensor([[2.0, 0.0], [0.0, 3.0], [1.0, 1.0], [0.0, 0.0]])
    half = 0.5**0.5
    expected = torch.tensor([0, half, 0, half, 0, 0], dtype=torch.float64)
    torch.testing.assert_close(fused.cosines(vectors), expected, atol=1e-7, rtol=0)


def test_kinds_are_the_same_or_not():
    # apple and banana, apple and guitar, apple and penguin, ...
    assert fused.judged("kind", SOME).tolist() == [1, 0, 0, 0, 0, 0]


def test_a_banana_is_felt_more_like_an_apple_than_like_a_guitar():
    apple, guitar = fused.judged("senses", ["banana", "apple", "guitar"])[:2]
    assert apple > guitar


def named(judge):
    return [w for w in ("lemon", "banana", "tomato") if w in fused.known_to(judge)]


def test_colors_are_near_where_things_have_one_color():
    assert named("color") == ["lemon", "banana", "tomato"]
    yellow, other, _ = fused.judged("color", named("color"))
    assert yellow > other + 20 and yellow <= 0


def test_outlines_overlap_from_none_to_wholly():
    known = fused.known_to("outline")[:60]
    said = fused.judged("outline", known)
    assert said.min() >= 0 and said.max() <= 1 and said.std() > 0.05
    twice = fused.judged("outline", [known[0], known[0]])
    assert twice.tolist() == [1.0]


def test_no_judge_reads_the_vectors():
    """Another order of words permutes what is said: rows belong to their words."""
    for judge in fused.JUDGES:
        known = fused.known_to(judge)[:3]
        a, b, c = fused.judged(judge, known).tolist()  # 01, 02, 12
        turned = fused.judged(judge, known[::-1]).tolist()  # 21, 20, 10
        assert turned == [c, b, a]


def test_the_ends_of_a_curve_are_each_source_alone():
    some = fused.known_to("kind")[::12]
    kept = fused.apart(some)
    line, said = fused.curve("kind", some), fused.judged("kind", some)[kept]
    for place, table in ((0, fused.picture_vectors), (-1, fused.text_vectors)):
        alone = fused.spearman(fused.cosines(table(some))[kept], said)
        assert line[place] == pytest.approx(alone, abs=1e-6)


def test_words_of_one_name_are_no_pair():
    some = ["acoustic", "guitar", "penguin"]
    assert set(DATA.of("acoustic")) & set(DATA.of("guitar"))
    assert fused.apart(some).tolist() == [False, True, True]


def test_bags_add_the_pictures_of_a_word():
    bags = fused.bags(["guitar", "apple"])
    assert torch.equal(bags[0], DATA.count[DATA.of("guitar")].sum(0))


def test_a_bag_is_weighed_against_all_known_words():
    known = fused.known_to("kind")
    whole = fused.ppmi_bags(known, known)
    assert torch.equal(
        fused.ppmi_bags(["guitar"], known)[0], whole[known.index("guitar")]
    )
    assert whole.min() == 0


def test_twentieths_are_apart_and_make_the_whole():
    known = fused.known_to("senses")
    seeds = [*range(16), *range(100, 104)]
    parts = [fused.of_part(seed, known) for seed in seeds]
    assert sorted(w for part in parts for w in part) == known
    assert fused.of_part(3, known) == [w for w in known if grounded.fold(w) == 3]


@pytest.mark.parametrize("judge", ["taste", "", None])
def test_another_judge_is_refused(judge, as_a_reader):
    with pytest.raises(ValueError, match="judge expected one of 'color'"):
        fused.judged(judge, SOME[:2])
