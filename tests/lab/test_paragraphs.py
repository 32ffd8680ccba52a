"""Stories of two sentences: topics and stages, exchanged pairs, labels, counts."""

import math

import pytest
import torch
import torch.nn.functional as F

from mmdl_lib.core import generator
from mmdl_lib.lab import paragraphs
from mmdl_lib.lab.masks import CLS, MASK, SEP
from mmdl_lib.models.bert import Guesses


def topic_and_stage(sentence):
    noun, verb = sentence.T
    return (noun - paragraphs.NOUN) // 4, (verb - paragraphs.VERB) // 4


def batch(n, seed=0):
    some = paragraphs.draw(n, seed)
    return {"first": some.first, "second": some.second}


def reader(tasks=("words", "follows")):
    torch.manual_seed(0)
    model = paragraphs.Reader(paragraphs.small(8))
    model.tasks = tasks
    return model


def test_a_second_sentence_keeps_the_topic_and_is_one_stage_later():
    some = paragraphs.draw(3000, 0)
    assert some.first.min() == paragraphs.NOUN
    assert some.second.max() == paragraphs.VOCAB - 1 == 44
    (topic, stage), (same, after) = map(topic_and_stage, some[:2])
    assert torch.equal(topic, some.topic) and torch.equal(same, topic)
    assert torch.equal(after, (stage + 1) % 4) and not some.relation.any()
    assert set(topic.tolist()) == set(range(6)) and set(stage.tolist()) == set(range(4))
    # words say no more than topic and stage: each of the four is drawn by itself
    nouns, verbs = zip(*(x.T for x in some[:2]), strict=True)
    name = (verbs[0] - paragraphs.VERB) % 4
    for same in (nouns[0] == nouns[1], (nouns[0] - paragraphs.NOUN) % 4 == name):
        share = same.double().mean().item()
        assert abs(share - 1 / 4) < 3.5 * (3 / 16 / 3000) ** 0.5


def test_the_three_relations_are_told_by_topic_and_order_only():
    some = paragraphs.draw(6000, 1, relations=3)
    (topic, stage), (other, after) = map(topic_and_stage, some[:2])
    step = (after - stage) % 4
    later, earlier, another = (some.relation == k for k in range(3))
    assert (step[later] == 1).all() and (step[earlier] == 3).all()
    assert torch.equal(another, topic != other)
    # the stage of another story says nothing: forward and back by a coin
    forward = (step[another] == 1).double().mean().item()
    assert set(step[another].tolist()) == {1, 3}
    for share, expected, n in (
        (forward, 1 / 2, 2000),
        (another.double().mean().item(), 1 / 3, 6000),
        (later.double().mean().item(), 1 / 3, 6000),
    ):
        assert abs(share - expected) < 3.5 * (0.25 / n) ** 0.5
    assert set(paragraphs.draw(99, 1, relations=2).relation.tolist()) == {0, 1}


def test_frames_and_segments_are_those_of_the_paper():
    first, second = torch.tensor([[7, 8]]), torch.tensor([[9, 10]])
    one, two = paragraphs.framed(first), paragraphs.framed(first, second)
    assert one["tokens"].tolist() == [[CLS, 7, 8, SEP]]
    assert one["segments"].tolist() == [[0, 0, 0, 0]]
    assert two["tokens"].tolist() == [[CLS, 7, 8, SEP, 9, 10, SEP]]
    assert two["segments"].tolist() == [[0, 0, 0, 0, 1, 1, 1]]
    assert one["mask"].all() and two["mask"].all()


def test_half_of_the_pairs_are_exchanged_and_their_label_says_so():
    some = batch(4000)
    read = paragraphs.mixed(some, generator(0))
    own = (read["tokens"][:, 4:6] == some["second"]).all(1)
    assert own[read["label"] == 0].all()
    # an exchanged one may have the same two words: 1 in 384
    assert own[read["label"] == 1].double().mean() < 0.02
    assert abs(read["label"].double().mean().item() - 0.5) < 3.5 * 0.5 / 4000**0.5
    plain = paragraphs.whole(some, generator(0))
    assert "label" not in plain
    assert torch.equal(plain["tokens"][:, 4:6], some["second"])


def test_a_reader_counts_only_its_tasks():
    read = paragraphs.mixed(batch(64), generator(0))
    losses = {
        tasks: reader(tasks).loss(read, generator=generator(1))["loss"].item()
        for tasks in (("words",), ("follows",), ("words", "follows"))
    }
    words, follows, both = losses.values()
    assert both == pytest.approx(words + follows, rel=1e-6)
    assert words > 2 * follows > 0
    other = read | {"label": 1 - read["label"]}
    again = reader(("words",)).loss(other, generator=generator(1))["loss"].item()
    assert again == words


def test_labels_of_sentences_and_pairs():
    some = paragraphs.draw(50, 3, relations=3)
    one, two = paragraphs.topics(some), paragraphs.relations(some)
    assert torch.equal(one["label"], some.topic) and one["tokens"].shape == (50, 4)
    assert torch.equal(two["label"], some.relation) and two["tokens"].shape == (50, 7)
    assert [classes for _, classes in paragraphs.TASKS.values()] == [6, 3]


@pytest.mark.parametrize("task", ["sentence", "pair"])
def test_a_sorter_learns_its_label_and_moves_its_trunk(task):
    read, classes = paragraphs.TASKS[task]
    some = read(paragraphs.draw(40, 3, relations=3))
    model = paragraphs.Sorter(reader(), classes)
    before = model.trunk.tokens.weight.detach().clone()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-2)
    for _ in range(60):
        optimizer.zero_grad()
        loss = model.loss(some)["loss"]
        loss.backward()
        optimizer.step()
    assert loss < 0.7 * math.log(classes)
    assert not torch.equal(before, model.trunk.tokens.weight)
    share = paragraphs.right(model, some).double().mean()
    assert share > 1.5 / classes
    wrong = some | {"label": (some["label"] + 1) % classes}
    assert (paragraphs.right(model, wrong) & paragraphs.right(model, some)).sum() == 0


def test_the_share_of_pairs_that_follow_counts_label_zero():
    model, some = reader(), batch(8)
    logits = torch.tensor([[2.0, 1.0]] * 6 + [[1.0, 2.0]] * 2)
    model.forward = lambda *_: Guesses(None, logits)
    assert paragraphs.follows(model, **some) == 0.75


def test_nats_hide_one_word_of_the_second_sentence_and_score_it():
    model, some, seen = reader(), paragraphs.draw(200, 0), []
    whole = paragraphs.framed(some.first, some.second)["tokens"]

    def hidden(tokens, mask, segments):
        seen.append(tokens)
        return F.one_hot(whole, paragraphs.VOCAB).float()

    model.hidden, model.guess = hidden, lambda x: 50 * x
    assert paragraphs.nats(model, some, 0) == pytest.approx(0, abs=1e-6)
    (read,) = seen
    changed = read != whole
    assert (changed.sum(1) == 1).all() and (read[changed] == MASK).all()
    assert changed[:, 4:6].any(0).all() and not changed[:, :4].any()
    assert not changed[:, 6].any()
    model.guess = lambda x: 0 * x
    uniform = pytest.approx(math.log(paragraphs.VOCAB), rel=1e-5)
    assert paragraphs.nats(model, some, 0) == uniform


def test_a_bag_of_words_tells_topics_and_not_order():
    table = paragraphs.together(paragraphs.draw(5000, 0))
    torch.testing.assert_close(table, table.T)
    new = paragraphs.draw(1000, 9, relations=3)
    score = paragraphs.fits(table, new.first, new.second)
    turned = paragraphs.fits(table, new.second, new.first)
    torch.testing.assert_close(score, turned)
    own = new.relation < 2  # later or earlier
    assert (score[own] > 0).all() and (score[~own] < 0).all()
    one = table[new.first[0], :][:, new.second[0]].sum()
    torch.testing.assert_close(score[0], one)


def test_no_stories_and_a_fourth_relation_are_refused():
    with pytest.raises(ValueError, match="b expected .*1.*got 0"):
        paragraphs.draw(0, 0)
    with pytest.raises(ValueError, match="relations expected .*got 4"):
        paragraphs.draw(5, 0, relations=4)
