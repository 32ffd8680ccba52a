"""word2vec: what is thinned, paired and drawn, and where training must end."""

import math

import pytest
import torch
import torch.nn.functional as F

from mmdl_lib.core import generator
from mmdl_lib.data.corpus import Corpus
from mmdl_lib.models.ppmi import optimum, pmi
from mmdl_lib.models.word2vec import (
    CBOW,
    SkipGram,
    SoftmaxSkipGram,
    Word2VecConfig,
    bags,
    draw,
    keep,
    negative_sampling,
    pairs,
    running_sums,
    thin,
)

TEXT = [["a", "b", "c", "d", "e"], ["a", "c"], ["b"]]


def make(kind=SkipGram, v=6, d=4, count=None, **more):
    """A model whose every parameter is random: zeros would hide a mistake."""
    model = kind(Word2VecConfig(vocab=v, width=d, **more), count)
    for parameter in model.parameters():
        parameter.data = 0.5 * torch.randn(parameter.shape, generator=generator(3))
    return model


def test_a_frequent_word_is_kept_as_the_code_has_it_and_not_as_printed():
    count = torch.tensor([10, 990])
    f, t = 0.01, 1e-3
    assert keep(count, t)[0] == pytest.approx(math.sqrt(t / f) + t / f, abs=1e-6)
    assert keep(count, t)[0] == pytest.approx(0.4162, abs=5e-5)
    assert math.sqrt(t / f) == pytest.approx(0.3162, abs=5e-5)  # the printed formula


def test_words_are_thinned_only_above_a_share_of_two_point_six_thresholds():
    root = (3 + math.sqrt(5)) / 2  # 2.618
    n = 10**7
    for share, whole in ((root - 0.01, True), (root + 0.01, False)):
        count = torch.tensor([round(share * 1e-3 * n), n - round(share * 1e-3 * n)])
        assert (keep(count, 1e-3)[0] == 1) == whole


def test_the_share_is_one_of_tokens_and_not_of_sentences_or_words():
    corpus = Corpus.read([["a"] * 60 + ["b"] * 40, ["b"] * 900])
    assert keep(corpus.count, 1e-2)[1] == pytest.approx(
        math.sqrt(1e-2 / 0.06) + 1e-2 / 0.06, abs=1e-6
    )


def test_thinning_takes_frequent_words_and_lets_windows_see_farther():
    text = [["the", f"w{i}", "the", f"w{i + 1}", "the"] for i in range(400)]
    corpus = Corpus.read(text)
    rest = thin(corpus, 1e-3, generator=generator(0))
    assert rest.words == corpus.words and len(rest) < len(corpus)
    share = keep(corpus.count, 1e-3)
    assert rest.count[0] == pytest.approx(share[0] * corpus.count[0], abs=40)
    assert torch.equal(rest.count[1:], corpus.count[1:])  # each is rare
    before, after = (c.cooccurrences(1)[1:, 1:].sum() for c in (corpus, rest))
    assert before == 0 and after > 100


def test_with_a_window_of_one_the_pairs_are_all_neighbors_both_ways():
    corpus = Corpus.read(TEXT)
    center, context = pairs(corpus, 1)
    found = torch.zeros(5, 5)
    found.index_put_((center, context), torch.ones(len(center)), accumulate=True)
    assert torch.equal(found, corpus.cooccurrences(1))


def test_a_neighbor_at_distance_x_is_paired_in_w_minus_x_plus_1_of_w_draws():
    corpus = Corpus.read([[str(i) for i in range(6000)]])  # every word once
    place = corpus.token.argsort()
    center, context = pairs(corpus, 4, generator=generator(1))
    distance = (place[center] - place[context]).abs()
    share = distance.bincount()[1:] / (2 * 6000)
    assert share.tolist() == pytest.approx([1, 0.75, 0.5, 0.25], abs=0.02)


def test_bags_hold_the_same_pairs_as_skip_gram_draws_them():
    corpus = Corpus.read(TEXT * 30)
    center, context = pairs(corpus, 3, generator=generator(2))
    batch = bags(corpus, 3, generator=generator(2))
    n, width = batch["mask"].shape
    assert width == 6 and batch["mask"].any(1).all()
    one = batch["center"][:, None].expand(n, width)[batch["mask"]]
    other = batch["context"][batch["mask"]]
    assert sorted(zip(one.tolist(), other.tolist(), strict=True)) == sorted(
        zip(center.tolist(), context.tolist(), strict=True)
    )


def test_negatives_follow_the_count_to_three_quarters():
    count = torch.tensor([1000, 100, 10, 0, 1])
    word = draw(running_sums(count, 0.75), (200_000,), generator=generator(0))
    share = word.bincount(minlength=5) / 200_000
    expected = count.double() ** 0.75
    torch.testing.assert_close(
        share.double(), expected / expected.sum(), atol=4e-3, rtol=0
    )
    assert share[3] == 0
    assert abs(share[0] - 1000 / 1111) > 0.05  # the plain unigram distribution


def test_the_first_loss_is_k_plus_one_times_log_two():
    for kind in (SkipGram, CBOW):
        model = kind(Word2VecConfig(vocab=500, width=8, negatives=4))
        batch = kind.example_batch(model.config, 64, generator=generator(0))
        first = model.loss(batch, generator=generator(1))["loss"]
        # a negative that is the true word is skipped: here fewer than one in 100
        assert first.item() == pytest.approx(5 * math.log(2), rel=0.01)
        assert (
            model.word.weight.abs().max() <= 0.5 / 8 and not model.context.weight.any()
        )


def test_the_loss_is_the_formula_written_out():
    model = make(v=7, negatives=3)
    batch = {"center": torch.tensor([1, 5]), "context": torch.tensor([2, 0])}
    drawn = draw(model.noise, (2, 3), generator=generator(9))
    total = 0.0
    for row in range(2):
        v = model.word.weight[batch["center"][row]]
        total -= F.logsigmoid(model.context.weight[batch["context"][row]] @ v)
        for word in drawn[row].tolist():
            if word != batch["context"][row]:
                total -= F.logsigmoid(-model.context.weight[word] @ v)
    found = model.loss(batch, generator=generator(9))["loss"]
    torch.testing.assert_close(found, total / 2)


def test_a_negative_that_is_the_true_word_is_skipped():
    model = make(v=3, negatives=8, count=torch.tensor([1, 0, 0]))  # always word 0
    batch = {"center": torch.tensor([1]), "context": torch.tensor([0])}
    score = model.context.weight[0] @ model.word.weight[1]
    assert torch.allclose(model.loss(batch)["loss"], -F.logsigmoid(score))
    batch["context"] = torch.tensor([2])
    score = model.context.weight[[2, 0]] @ model.word.weight[1]
    expected = -F.logsigmoid(score[0]) - 8 * F.logsigmoid(-score[1])
    assert torch.allclose(model.loss(batch)["loss"], expected)


def test_skipped_columns_count_nothing_and_rows_are_averaged():
    score = torch.tensor([[1.0, 2.0], [0.5, -3.0]])
    skipped = torch.tensor([[False, True], [False, False]])
    expected = -(F.logsigmoid(score[0, 0]) + F.logsigmoid(score[1, 0])) / 2
    expected = expected - F.logsigmoid(-score[1, 1]) / 2
    assert torch.allclose(negative_sampling(score, skipped), expected)


def test_cbow_takes_the_mean_of_real_neighbors_in_any_order():
    model = make(CBOW, count=torch.tensor([0, 1, 0, 0, 0, 0]))
    context = torch.tensor([[2, 3, 4, 0]])
    mask = torch.tensor([[True, True, True, False]])
    batch = {"center": torch.tensor([5]), "context": context, "mask": mask}
    hidden = model.word.weight[[2, 3, 4]].mean(0)
    score = model.context.weight[[5, 1]] @ hidden
    expected = -F.logsigmoid(score[0]) - 5 * F.logsigmoid(-score[1])
    assert torch.allclose(model.loss(batch)["loss"], expected)
    other = batch | {"context": context[:, [3, 2, 0, 1]], "mask": mask[:, [3, 2, 0, 1]]}
    assert torch.allclose(model.loss(other)["loss"], expected)
    filler = batch | {"context": torch.tensor([[2, 3, 4, 5]])}
    assert torch.equal(model.loss(filler)["loss"], model.loss(batch)["loss"])


def test_the_softmax_is_over_all_words():
    model = make(SoftmaxSkipGram)
    batch = {"center": torch.tensor([1, 4]), "context": torch.tensor([3, 3])}
    score = model.word.weight[[1, 4]] @ model.context.weight.T
    expected = -score.log_softmax(1)[:, 3].mean()
    assert torch.allclose(model.loss(batch)["loss"], expected)


def expected_loss(count, score, k):
    """The mean loss over all pairs of a table, with every negative in its share."""
    share = count.sum(0) / count.sum()
    total = -(count * F.logsigmoid(score)).sum()
    other = count.sum(1, keepdim=True) - count  # a word is no negative of its own pairs
    total = total - k * (share * other * F.logsigmoid(-score)).sum()
    return total / count.sum()


def table(seed=0, v=10):
    """Co-occurrences of ten words, all above zero."""
    return torch.rand(v, v, generator=generator(seed)).exp() ** 3 * 50


def test_our_loss_is_an_estimate_of_the_expected_one():
    count, k = table(), 5
    count = (count + count.T).round()
    model = make(v=10, negatives=k, power=1.0, count=count.sum(0).long())
    cell = torch.multinomial(
        count.flatten(), 100_000, replacement=True, generator=generator(4)
    )
    batch = {"center": cell // 10, "context": cell % 10}
    found = model.loss(batch, generator=generator(5))["loss"]
    score = model.word.weight @ model.context.weight.T
    torch.testing.assert_close(found, expected_loss(count, score, k), rtol=0.01, atol=0)


@pytest.mark.parametrize("k", [1, 5])
def test_with_enough_dimensions_inner_products_reach_pmi_less_log_k(k):
    count = table()
    score = torch.zeros(10, 10, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([score], max_iter=300, tolerance_grad=1e-9)

    def closure():
        optimizer.zero_grad()
        loss = 100 * expected_loss(count, score, k)
        loss.backward()
        return loss

    optimizer.step(closure)
    best = optimum(count, negatives=k)
    torch.testing.assert_close(score.detach().float(), best, atol=3e-3, rtol=0)
    # without skipping it would be this
    gap = (best - (pmi(count) - math.log(k))).mean()
    assert 0.05 < gap < 0.3


def test_what_is_not_named_is_as_in_word2vec_c():
    c = Word2VecConfig(vocab=1)
    assert (c.negatives, c.power, c.width) == (5, 0.75, 100)


def test_counts_of_another_vocabulary_are_refused():
    with pytest.raises(ValueError, match="count expected 6 numbers, got"):
        SkipGram(Word2VecConfig(vocab=6), torch.ones(5, dtype=torch.long))
    with pytest.raises(ValueError, match="threshold expected"):
        keep(torch.tensor([1, 2]), 0.0)
    for function in (pairs, bags):
        with pytest.raises(ValueError, match="window expected"):
            function(Corpus.read(TEXT), 0)


@pytest.mark.parametrize("count", [[0, 0, 0], [-1, 2, 3]])
def test_counts_that_no_word_can_be_drawn_from_are_refused(count):
    with pytest.raises(ValueError, match="count expected"):
        running_sums(torch.tensor(count), 0.75)
