"""Scores of single captions, and the order that they make."""

import pytest
import torch

from mmdl_lib import pretrained
from mmdl_lib.lab import judged as jd
from mmdl_lib.lab import wrongness as wr
from mmdl_lib.metrics.bleu import coco_bleu


@pytest.fixture(scope="module")
def some():
    return wr.graded(50, 0)


@pytest.fixture(scope="module")
def scores(some):
    return jd.judged(some.said, some.references, by=jd.METRICS)


def test_each_caption_gets_a_number_from_each_metric(some, scores):
    assert set(scores) == set(jd.METRICS)
    assert all(len(values) == len(some.said) for values in scores.values())


def test_every_metric_gives_more_to_true_captions_in_the_mean(scores):
    for name, values in scores.items():
        assert sum(values[::5]) > sum(values[4::5]), name


@pytest.mark.parametrize("metric", ["METEOR", "SPICE"])
def test_a_table_of_synonyms_gives_more_to_true_captions(scores, metric):
    plain, known = scores[f"{metric}, no synonyms"], scores[metric]
    assert sum(known[::5]) > 1.05 * sum(plain[::5])


def test_without_rarity_every_ngram_counts_alike():
    # "a" is everywhere: CIDEr-D gives nothing for it, the even one does
    said, true = ["a x", "a y"], [["a red"], ["a blue"]]
    found = jd.judged(said, true, by=["CIDEr-D", "CIDEr-D, no rarity"])
    assert found["CIDEr-D"] == [0.0, 0.0]
    assert found["CIDEr-D, no rarity"] == pytest.approx([10 / 2 / 4] * 2)


@pytest.mark.parametrize("i", range(0, 50, 10))
def test_the_corpus_of_one_caption_is_that_caption(some, i):
    one, of = some.said[i : i + 1], some.references[i : i + 1]
    whole, each = jd.corpus(one, of), jd.judged(one, of)
    assert whole == {name: pytest.approx(values[0]) for name, values in each.items()}


def test_bleu_of_a_corpus_adds_counts(some):
    found = jd.corpus(some.said, some.references, by=["BLEU-4", "ROUGE-L"])
    assert found["BLEU-4"] == coco_bleu(some.said, some.references)[3]
    each = jd.judged(some.said, some.references, by=["ROUGE-L"])["ROUGE-L"]
    assert set(found) == {"BLEU-4", "ROUGE-L"}
    assert found["ROUGE-L"] == pytest.approx(sum(each) / len(each))


def test_order_is_one_where_fewer_false_facts_score_higher_and_zero_without_a_say():
    found = jd.order({"good": [9.0, 5.0, 1.0], "dull": [2.0, 2.0, 2.0]}, [0, 1, 2])
    assert found == {"good": pytest.approx(1.0), "dull": 0.0}


def test_ties_prefer_half():
    assert jd.prefers([0.3], [0.1 + 0.2]) == 0.5
    assert jd.prefers([2.0, 2.0, 0.0], [1.0, 3.0, 0.0]) == 0.5


def test_our_clip_gives_more_to_true_captions_and_keeps_their_order():
    some = wr.graded(50, 0, counts=1, synonyms=0, damaged=0)
    scenes = wr.picture(some.facts)
    model, tokenizer = pretrained.load("clip", "shapes")
    found = jd.clip_each(model, tokenizer, scenes, some.said)
    assert sum(found[::5]) > sum(found[4::5])
    for i in range(5):
        (alone,) = jd.clip_each(
            model, tokenizer, scenes[i : i + 1], some.said[i : i + 1]
        )
        assert alone == pytest.approx(found[i], abs=1e-4)
    back = jd.clip_each(
        model, tokenizer, scenes[torch.arange(49, -1, -1)], some.said[::-1]
    )
    assert back[::-1] == pytest.approx(found, abs=1e-4)


def test_bad_input_is_refused_in_one_sentence(some):
    with pytest.raises(ValueError, match="metric expected"):
        jd.judged(some.said, some.references, by=["taste"])
    with pytest.raises(ValueError, match="expected"):
        jd.judged(some.said, some.references[:-1])
    with pytest.raises(ValueError, match="as many as"):
        jd.prefers([1.0], [])
