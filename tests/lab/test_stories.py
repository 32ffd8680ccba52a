"""The stories mean what they say, pairs share their picture, measures have limits."""

import pytest
import torch

from mmdl_lib.core import generator
from mmdl_lib.data.shapes import COLORS, HELD_OUT, SHAPES
from mmdl_lib.lab import stories as st
from mmdl_lib.models.grounded_space import GroundedSpace, cosines


def test_a_story_says_what_its_numbers_say_and_keeps_to_its_names():
    said = st.told(300, seed=3)
    moods, names = list(st.MOODS), st.NAMES
    for i, (one, two) in enumerate(zip(said.text, said.after, strict=True)):
        who, verb, _, color, shape = one.split()
        assert st.PEOPLE[said.who[i]] == who and moods[said.mood[i]] == st.VERBS[verb]
        c, s = said.named[i].tolist()
        assert (color, shape) == (
            names[0][said.color[i]][c],
            names[1][said.shape[i]][s],
        )
        assert two == f"{who} is {st.VERBS[verb]} of the {color} {shape}"
    assert len(said.kind.unique()) == 64 and set(said.named.flatten().tolist()) == {
        0,
        1,
    }


def test_names_are_two_for_each_and_all_words_are_known():
    flat = [name for kind in st.NAMES for pair in kind for name in pair]
    assert len(set(flat)) == 2 * (len(COLORS) + len(SHAPES))
    assert [pair[0] for pair in st.NAMES[0]] == list(COLORS)
    assert [pair[0] for pair in st.NAMES[1]] == list(SHAPES)
    read = st.tokenizer()
    assert read.vocab == GroundedSpace.PRESETS["stories"].vocab
    assert read(st.every(0).after)[1].all()


def test_sentences_of_one_picture_are_about_its_thing_and_held_out_pairs_are_unseen():
    said, facts = st.pictured(400, seed=5)
    assert facts["label"].tolist() == [i // 2 for i in range(800)]
    assert (said.kind[::2] == said.kind[1::2]).all()
    assert (facts["picture"][::2] == facts["picture"][1::2]).all()
    assert said.text[::2] != said.text[1::2]
    assert st.held_out().sum() == len(HELD_OUT)
    assert not st.held_out()[said.kind].any()
    # what is seen is the thing of the sentence: the nearest mean picture says so
    apart = cosines(torch.cat([facts["picture"], st.prototypes()]))[:800, 800:]
    near = apart.argmax(1)
    assert (near // 8 == said.color).double().mean() > 0.95
    assert (near == said.kind).double().mean() > 0.8


def test_batches_hold_both_sentences_of_each_picture():
    stories, (about, facts) = st.told(50, seed=0), st.pictured(40, seed=1)
    batch = st.batches(stories, about, facts, size=8, seed=2)(3)
    assert batch["label"].view(-1, 2).diff(dim=1).abs().sum() == 0
    assert {len(value) for value in batch.values()} == {8}
    ids = st.tokenizer()
    row = [ids.encode(text) for text in about.text]
    pairs = zip(batch["caption"], batch["caption_mask"], strict=True)
    told = [tokens[mask].tolist() for tokens, mask in pairs]
    for tokens, label in zip(told, batch["label"].tolist(), strict=True):
        assert tokens in row[2 * label : 2 * label + 2]
    again = st.batches(stories, about, facts, size=8, seed=2)(3)
    assert all(torch.equal(batch[name], again[name]) for name in batch)


def test_a_row_meets_its_own_only_if_none_is_as_near():
    x = torch.eye(3)
    assert st.met(x, x).tolist() == [True, True, True]
    assert st.met(x, x[[1, 0, 2]]).tolist() == [False, False, True]
    assert st.met(torch.ones(3, 3), x).tolist() == [False, False, False]


def test_few_labels_find_what_is_large_and_miss_what_is_small():
    label = torch.arange(600) % 3
    noise = torch.randn(600, 20, generator=generator(0))
    clear = torch.cat([3 * torch.eye(3)[label], noise / 3], 1)
    faint = torch.cat([0.01 * torch.eye(3)[label], noise], 1)
    assert st.few_labels(clear, label) > 0.95
    assert st.few_labels(faint, label) < 0.5


def test_an_encoder_that_was_not_trained_knows_little(as_a_reader):
    torch.manual_seed(0)
    found = st.measured(GroundedSpace.from_preset("stories"), 0, rounds=1)
    assert found["sentence"]["names"] < 0.2 and abs(found["sentence"]["like"]) < 0.2
    assert found["nats"] == pytest.approx(4.05, abs=0.3)  # log 57
    assert 0 < found["grounded"]["cosine"] < found["grounded"]["cohesion"] <= 1
