"""Texts about a subject: phrases hang together, gaps can be told, words are scored."""

import math

import pytest
import torch
import torch.nn.functional as F

from mmdl_lib.lab import subjects
from mmdl_lib.models.t5 import END, T5, T5Config

SENTINELS = range(subjects.VOCAB - 3, subjects.VOCAB)


def says(logits):
    """A T5 that answers with these logits, whatever it reads."""
    model = T5(T5Config(vocab=subjects.VOCAB, width=8, inner=8, depth=1, heads=1))
    model.forward = lambda *_: logits
    return model


def sure(tokens):
    return says(50.0 * F.one_hot(tokens, subjects.VOCAB).float())


def put_back(read, said):
    spans = {}
    for token in said[:-1]:
        if token in SENTINELS:
            now = spans[token] = []
        else:
            now.append(token)
    return [word for token in read[:-1] for word in spans.get(token, [token])]


def test_words_of_a_phrase_stand_together_and_six_in_ten_are_of_the_subject():
    some = subjects.draw(4000, 0)
    assert some.tokens.shape == (4000, 21)
    for tokens, phrase in zip(some.tokens[:50], some.phrase[:50], strict=True):
        for words, subject in zip(tokens.view(-1, 3), phrase.tolist(), strict=True):
            first = subjects.FIRST + 3 * subject
            assert words.tolist() == [first, first + 1, first + 2]
    mine = (some.phrase == some.subject[:, None]).double().mean().item()
    # 3.5 standard deviations of 28,000 draws
    assert abs(mine - 0.6) < 3.5 * (0.6 * 0.4 / 28_000) ** 0.5
    assert some.tokens.max() < subjects.VOCAB - 3 and some.tokens.min() > END
    other = subjects.draw(4000, 1)
    assert not torch.equal(some.tokens, other.tokens)


def test_single_words_leave_their_neighbors_and_spans_of_three_do_not():
    some = subjects.draw(60, 0)
    for mean, inputs, targets in ((1, 22, 7), (3, 20, 5)):
        task = subjects.spans(some, mean, 3)
        assert task["tokens"].shape == (60, inputs)
        assert task["target"].shape == (60, targets)
        assert task["mask"].all() and task["target_mask"].all()
        for read, said, text in zip(
            task["tokens"].tolist(), task["target"].tolist(), some.tokens, strict=True
        ):
            assert put_back(read, said) == text.tolist()
            marks = [i for i, token in enumerate(read) if token in SENTINELS]
            assert len(marks) == 3 // mean
            # no two gaps side by side
            assert 1 not in [b - a for a, b in zip(marks, marks[1:], strict=False)]


@pytest.mark.parametrize("sentinels", [1, 3])
def test_a_gap_hides_the_whole_middle_phrase_of_the_subject(sentinels):
    some = subjects.draw(200, 0)
    task = subjects.gap(some, sentinels)
    middle = some.phrase[:, 3] == some.subject
    assert 60 < middle.sum() < 180 and len(task["tokens"]) == middle.sum()
    for read, said, text, subject in zip(
        task["tokens"].tolist(), task["target"].tolist(), some.tokens[middle].tolist(),
        some.subject[middle].tolist(), strict=True,
    ):  # fmt: skip
        marks = [subjects.VOCAB - 1 - i for i in range(sentinels)]
        assert read == [*text[:9], *marks, *text[12:], END]
        assert said == [marks[0], subjects.FIRST + 3 * subject]


def test_naming_asks_for_the_three_words_of_the_subject():
    some = subjects.draw(30, 0)
    task = subjects.naming(some)
    assert torch.equal(task["tokens"][:, :-1], some.tokens)
    for said, subject in zip(task["target"].tolist(), some.subject, strict=True):
        assert said == [*subjects.words(subject).tolist(), END]


def test_scores_count_words_and_no_sentinels():
    task = subjects.spans(subjects.draw(40, 0), 3, 0)
    target = task["target"]
    assert subjects.right(sure(target), task).all()
    assert subjects.nats(sure(target), task) == pytest.approx(0, abs=1e-6)
    frames = (target == END) | (target >= subjects.VOCAB - 3)
    silent = sure(torch.where(frames, 5, target))  # wrong at frames only
    assert subjects.nats(silent, task) == pytest.approx(0, abs=1e-6)
    assert torch.equal(subjects.right(silent, task), ~frames)
    dull = says(torch.zeros(*target.shape, subjects.VOCAB))
    assert subjects.nats(dull, task) == pytest.approx(math.log(subjects.VOCAB))


def test_no_texts_are_refused():
    with pytest.raises(ValueError, match="b expected .*1.*got 0"):
        subjects.draw(0, 0)
