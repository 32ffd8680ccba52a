"""Judges of fused words: what each says, by hand and by laws."""

import pytest
import torch

from mmdl_lib.core import generator
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


def pair(n=400):
    """Two tables of which the first number of each says the same, but for noise."""
    g = generator(0)
    same = torch.randn(n, 1, generator=g).double()
    x, y = (torch.randn(n, k, generator=g).double() for k in (4, 3))
    x[:, :1] = same + 0.1 * x[:, :1]
    y[:, :1] = same + 0.1 * y[:, :1]
    return 0.2 * x, 3 * y


def test_shared_directions_correlate_as_scikit_learn_says():
    from sklearn.cross_decomposition import CCA

    x, y = pair()
    one, other, size = fused.shared(x, y, 3, penalty=0)
    a, b = one(x), other(y)
    found = [torch.corrcoef(torch.stack([a[:, k], b[:, k]]))[0, 1] for k in range(3)]
    torch.testing.assert_close(torch.stack(found), size, atol=1e-6, rtol=0)
    theirs = CCA(3, scale=False, max_iter=5000, tol=1e-12).fit(x.numpy(), y.numpy())
    u, v = (torch.tensor(side) for side in theirs.transform(x.numpy(), y.numpy()))
    for k in range(3):
        said = torch.corrcoef(torch.stack([u[:, k], v[:, k]]))[0, 1]
        assert said.item() == pytest.approx(size[k].item(), abs=1e-3)
    assert size[0] > 0.95 > 0.3 > size[1]


def test_a_shared_direction_is_as_long_as_its_correlation():
    x, y = pair()
    one, other, size = fused.shared(x, y, 3, penalty=0)
    for side in (one(x), other(y)):
        torch.testing.assert_close(side.std(0, correction=0), size)
        torch.testing.assert_close(side.mean(0), torch.zeros(3).double())


def test_what_is_shared_does_not_hang_on_axes_or_units_without_penalty():
    x, y = pair()
    turned = x @ torch.randn(4, 4, generator=generator(1)).double() + 7
    sizes = [fused.shared(one, y, 3, penalty=0)[2] for one in (x, turned)]
    torch.testing.assert_close(*sizes)


def test_a_penalty_holds_back_directions_that_hardly_differ():
    """Forty directions of noise fit a hundred words by chance, unless held back."""
    g = generator(2)
    x = torch.randn(100, 40, generator=g).double()
    y = torch.randn(100, 40, generator=g).double()
    free, held = (fused.shared(x, y, 1, penalty=p)[2].item() for p in (0, 10))
    assert free > 0.9 and held < 0.2


def test_directions_of_most_weight_are_those_of_largest_spread():
    x = torch.randn(200, 3, generator=generator(3)).double() * torch.tensor([1, 5, 2])
    found = fused.most(x + 4, 2)
    assert found.axes.abs().argmax(0).tolist() == [1, 2]
    torch.testing.assert_close(found(x + 4).mean(0), torch.zeros(2).double())


def test_directions_are_made_for_rows_that_were_not_there():
    x, y = pair()
    one, *_ = fused.shared(x[:200], y[:200], 2)
    other, *_ = fused.shared(x[:200], y[:200] + 9, 2)
    torch.testing.assert_close(one(x[200:]).abs(), other(x[200:]).abs())
    assert one(x[200:]).shape == (200, 2)


@pytest.mark.parametrize(
    ("rank", "penalty", "message"),
    [(4, 1, "rank expected"), (0, 1, "rank expected"), (2, -1, "penalty expected")],
)
def test_ranks_and_penalties_that_make_no_sense_are_refused(rank, penalty, message):
    x, y = pair()
    with pytest.raises(ValueError, match=message):
        fused.shared(x, y, rank, penalty=penalty)


def test_unpaired_tables_are_refused(as_a_reader):
    x, y = pair()
    with pytest.raises(ValueError, match="text expected as many as image"):
        fused.shared(x[:9], y, 2)
