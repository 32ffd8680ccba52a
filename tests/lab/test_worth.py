"""Worth: tasks are fair, the jackknife is one, and controls are what they say."""

import pytest
import torch
import torch.nn.functional as F

from mmdl_lib.core import generator
from mmdl_lib.data.words import Words
from mmdl_lib.lab import grounded, worth
from mmdl_lib.metrics.many_tests import holm
from mmdl_lib.metrics.spearman import spearman
from mmdl_lib.record import interval

NAMES = [f"word{i}" for i in range(300)]


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed))


def task(n=400, *, people=True, seed=0):
    y = noise(n, seed=seed)
    said = {name: y + k * noise(n, seed=k) for k, name in ((1, "text"), (2, "other"))}
    fold = torch.arange(n) % 16
    said = said if people else {name: (x > 0).double() for name, x in said.items()}
    return worth.Task("some", said, y.double() if people else None, fold)


def space(names=NAMES, pictured=120):
    text = Words(names, F.normalize(noise(len(names), 6), dim=1))
    seen = text.value[:pictured] @ noise(6, 9, seed=1)
    return worth.spaces(text, names[:pictured], seen)


def test_the_mean_of_pseudo_values_is_near_the_score_and_their_spread_is_its_own():
    scores, halves = [], []
    for seed in range(40):
        one = task(seed=seed + 10)
        values = [one.pseudo("text", k) for k in range(16)]
        middle, low, high = interval(values)
        assert middle == pytest.approx(one.score("text"), abs=0.02)
        scores.append(one.score("text"))
        halves.append((high - low) / 2)
    error = torch.tensor(halves).mean().item() / 2.131
    # how much scores really differ from draw to draw
    assert error == pytest.approx(torch.tensor(scores).std().item(), rel=0.3)


def test_pseudo_values_of_a_mean_are_the_means_of_the_twentieths():
    one = task(people=False)
    for k in (0, 7):
        assert one.pseudo("text", k) == pytest.approx(
            one.said["text"][one.fold == k].mean().item()
        )


def test_jackknife_and_bootstrap_agree():
    one = task(1600)
    pseudo = [one.pseudo("other", k) - one.pseudo("text", k) for k in range(16)]
    middle, low, high = interval(pseudo)
    found = one.gain("other", samples=1000)
    assert found.gain == pytest.approx(middle, abs=0.01)
    assert found.high - found.low == pytest.approx(high - low, rel=0.5)


def test_a_mean_gain_by_hand():
    difference = torch.tensor([1.0, 0.0, 0.0, -1.0] * 25 + [1.0] * 20)
    found = worth.mean_gain(difference, samples=2000, generator=generator(0))
    assert found.gain == pytest.approx(20 / 120)
    error = difference.std().item() / 120**0.5
    assert found.low == pytest.approx(found.gain - 1.96 * error, abs=0.02)
    assert found.high == pytest.approx(found.gain + 1.96 * error, abs=0.02)
    assert found.p < 0.05


def test_all_methods_lose_the_same_items():
    one = task()
    rows = one.fold < 4
    part = one.among(rows)
    assert len(part) == int(rows.sum()) and part.fold.max() == 3
    assert torch.equal(part.said["other"], one.said["other"][rows])
    assert part.score("text") == spearman(one.said["text"][rows], one.people[rows])


def test_pairs_are_of_one_twentieth_and_no_word_stands_twice():
    a, b = worth.pairs(NAMES)
    assert len({*a, *b}) == 2 * len(a) > 270
    assert all(grounded.fold(x) == grounded.fold(y) for x, y in zip(a, b, strict=True))
    assert worth.pairs(NAMES, seed=1) != (a, b) == worth.pairs(NAMES)


def test_controls_are_what_they_say():
    of = space()
    pictured = of.words[NAMES[:120]]
    centered = of.words.value - pictured.mean(0)
    assert torch.allclose(of.table["centered"], F.normalize(centered, dim=1))
    dealt, seen = of.dealt[NAMES[:120]], of.picture[NAMES[:120]]
    order = (dealt @ seen.T).argmax(1)
    assert sorted(order.tolist()) == list(range(120)) != order.tolist()
    # pictures are a linear law of text here, so that imagining finds them
    own = F.cosine_similarity(of.table["imagined"][:120], seen)
    other = F.cosine_similarity(of.table["dealt"][:120], seen)
    assert own.mean() > 0.9 > 0.4 > other.mean()


def test_pairs_join_pictures_only_where_both_words_have_one():
    of = space()
    a, b = NAMES[:50], NAMES[60:110]
    one = worth.of_pairs("some", a, b, range(50), of)
    assert {*one.said} == {"text", "centered", "imagined", "dealt", "pictures"}
    text, seen = of.cosine("text", a, b), (of.picture[a] * of.picture[b]).sum(1)
    assert torch.allclose(one.said["pictures"], (text + seen) / 2)
    assert torch.allclose(
        one.said["imagined"], (text + of.cosine("imagined", a, b)) / 2
    )
    one = worth.of_pairs("some", a, NAMES[100:150], range(50), of)
    assert "pictures" not in one.said
    again = worth.of_pairs("some", NAMES[100:150], a, range(50), of)
    assert torch.equal(one.fold, again.fold)
    assert one.fold[3] == grounded.fold(min(NAMES[3], NAMES[103]))


def test_words_are_told_from_the_other_twentieths_only():
    of = space()
    names = NAMES[:120]
    people = of.picture[names][:, 0].double()
    one = worth.of_words("some", names, people, of)
    assert one.score("text") > 0.9 and one.score("pictures") > 0.95
    changed = people.clone()
    changed[one.fold == 3] = 99.0
    again = worth.of_words("some", names, changed, of)
    rows = one.fold == 3
    assert torch.equal(one.said["text"][rows], again.said["text"][rows])
    assert not torch.equal(one.said["text"][~rows], again.said["text"][~rows])
    assert "pictures" not in worth.of_words("some", NAMES, range(300), of).said


def test_a_definition_by_its_own_word_finds_it_and_one_by_chance_does_not():
    of = space()
    uses = {w: [w, w] for w in NAMES}
    one = worth.of_definitions("some", uses, NAMES, of)
    assert one.people is None and one.score("text") == 1
    uses = {w: [NAMES[(7 * i + 3) % 300]] for i, w in enumerate(NAMES)}
    assert abs(worth.of_definitions("some", uses, NAMES, of).score("text") - 0.5) < 0.06


def test_a_table_compares_every_method_with_text_and_counts_them_all():
    rows = worth.table([task(), task(people=False)], holm)
    assert [row["method"] for row in rows] == ["other", "other"]
    assert all(row["adjusted"] >= row["p"] for row in rows)
    one = rows[0]
    assert one["gain"] == pytest.approx(one["score"] - one["text"])
    assert one["adjusted"] == min(1, 2 * one["p"]) or rows[1]["p"] < one["p"]
