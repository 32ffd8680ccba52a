"""Rows of verses for a language model, and the places of words with a tag."""

import pytest
import torch

from mmdl_lib.data import verses
from mmdl_lib.lab import verse_rows
from mmdl_lib.lab.verse_rows import KINDS, probe, stream, tagged, windows
from mmdl_lib.models.gpt import GPT, GPTConfig


def test_rows_begin_where_a_verse_does_and_go_on_into_the_next():
    rows = windows("test", 40, 3, length=64)["tokens"]
    assert rows.shape == (40, 64) and (rows[:, 0] == verses.START).all()
    # behind an end comes the next verse's start
    ends = (rows[:, :-1] == verses.END).nonzero(as_tuple=True)
    assert len(ends[0]) > 10
    assert (rows[:, 1:][ends] == verses.START).all()
    text, begins = stream("test")
    assert len(begins) == 2215 and (text[begins] == verses.START).all()
    with pytest.raises(ValueError, match="length expected a whole number from 2"):
        windows("test", 4, 0, length=1)


def test_the_last_piece_of_a_word_carries_its_tag():
    pieces, whole = verses.pieces("english"), verses.load("test")
    rows, tags = tagged("test", 30, length=64)
    assert len(rows) == 30 and len(tags) == sum(len(places) for _, places in rows)
    known = [i for i in range(len(whole)) if whole.tags[i]]
    i = known[0]
    ids, places = rows[0]
    words = pieces.encode(whole.english[i]).word
    tag = iter(tags.tolist())
    for place in places:
        assert words[place] != words[place + 1]
        assert KINDS[next(tag)] == whole.tags[i][words[place]]
    assert ids[0].tolist() == pieces.encode(whole.english[i]).ids[:64]
    # every word with a tag counts once, however many pieces it has
    for (_, places), i in zip(rows, known[:: max(1, len(known) // 30)], strict=False):
        words = pieces.encode(whole.english[i]).word
        counted = [words[place] for place in places]
        assert counted == sorted(set(counted))
        inside = {w for w in words[:63] if w >= 0 and whole.tags[i][w]}
        assert set(counted) <= inside and len(inside) - len(counted) <= 1


def test_a_short_context_cuts_places_too():
    rows, tags = tagged("test", 10, length=6)
    assert all(ids.shape[1] <= 6 and max(places, default=0) < 6 for ids, places in rows)
    assert len(tags) == sum(len(places) for _, places in rows)


def test_equal_seeds_give_equal_rows_and_others_others():
    one, two, other = (windows("test", 8, s, length=9)["tokens"] for s in (1, 1, 2))
    assert torch.equal(one, two) and not torch.equal(one, other)
    with pytest.raises(ValueError, match="length expected a whole number from 2 to"):
        windows("valid", 2, 0, length=10**6)


@torch.no_grad()
def test_a_probe_learns_of_the_training_and_is_judged_by_the_test_books(monkeypatch):
    asked = []
    monkeypatch.setattr(
        verse_rows, "linear_probe", lambda *given: asked.append(given) or 0.5
    )
    torch.manual_seed(0)
    config = GPTConfig(vocab=3000, context=32, width=16, depth=1, heads=2)
    model = GPT(config).eval()
    assert probe(model, train=5, test=4) == [0.5, 0.5]
    for layer, given in enumerate(asked):
        for (x, tags), (split, n) in zip(
            (given[:2], given[2:]), (("train", 5), ("test", 4)), strict=True
        ):
            rows, want = tagged(split, n, length=32)
            states = [model.states(ids)[0, layer] for ids, _ in rows]
            there = [
                s[p]
                for s, (_, places) in zip(states, rows, strict=True)
                for p in places
            ]
            assert torch.equal(tags, want) and torch.equal(x, torch.stack(there))


def test_even_random_vectors_of_words_tell_their_part_of_speech_to_some_degree():
    torch.manual_seed(0)
    config = GPTConfig(vocab=3000, context=64, width=16, depth=1, heads=2)
    found = probe(GPT(config).eval(), train=40, test=20)
    # h_0 and h_1, better than always the most frequent of nine kinds
    assert len(found) == 2 and all(0.3 < share < 0.95 for share in found)
