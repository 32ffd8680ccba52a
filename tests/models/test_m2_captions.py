"""Captions of M2: greedy and by beams, and inputs that cannot be."""

import math

import pytest
import torch
import torch.nn.functional as F

from mmdl_lib.models.m2 import END, START
from mmdl_lib.nn import decode
from tests.models.making_m2 import batch_of, given, make, talkative


@torch.no_grad()
@pytest.mark.parametrize("connection", ["meshed", "one-to-one", "last"])
def test_a_caption_word_by_word_is_the_likeliest_given_its_words_so_far(connection):
    model = talkative(connection=connection)
    batch = batch_of(model)
    pair = batch["regions"], batch["region_mask"]
    said = model.generate(*pair, max_length=8)
    tokens = F.pad(said, (1, 0), value=START)
    logits = model.logits(tokens, torch.ones_like(tokens, dtype=torch.bool), *pair)
    likeliest, ended = logits.argmax(-1)[:, :-1], (said == END).cumsum(1)
    live = (ended == 0) | ((ended == 1) & (said == END))
    assert torch.equal(said[live], likeliest[live])
    assert len({tuple(row) for row in said.tolist()}) > 1


@torch.no_grad()
def test_more_beams_than_words_find_the_best_of_all_captions():
    model = talkative()
    batch = batch_of(model, 2)
    pair = batch["regions"], batch["region_mask"]
    memory = model.memory(*pair)
    found = decode.beam_search(
        model.step,
        torch.full((2,), START),
        (model.first(memory), memory),
        end=END,
        max_length=2,
        beams=60,
    )
    # all captions of up to two words: the end alone, or any other word and any second
    every = [(END, END)] + [(a, b) for a in range(7) if a != END for b in range(7)]
    assert int(torch.isfinite(found.score[0]).sum()) == len(every)
    for row in range(2):
        tokens = torch.tensor([(START, *pair_) for pair_ in every])
        regions = [x[row : row + 1].expand(len(every), *x.shape[1:]) for x in pair]
        log_p = model.logits(tokens, torch.ones_like(tokens).bool(), *regions)
        log_p = log_p.log_softmax(-1)
        total = log_p[:, 0].gather(1, tokens[:, 1:2])[:, 0]
        second = log_p[:, 1].gather(1, tokens[:, 2:])[:, 0]
        total = total + second.where(tokens[:, 1] != END, torch.tensor(0.0))
        assert found.log_prob[row, 0].item() == pytest.approx(
            total.max().item(), abs=1e-4
        )
        assert found.tokens[row, 0].tolist() == list(every[int(total.argmax())])
    said = model.generate(*pair, beams=60, max_length=2)
    assert torch.equal(said, found.tokens[:, 0])


BAD = {
    "regions expected shape .b, n, 12. with n of at least 1, got .4, 0, 12.": {
        "regions": torch.zeros(4, 0, 12),
        "region_mask": torch.zeros(4, 0, dtype=torch.bool),
    },
    "region_mask expected a real region in each row, got 4 rows without": {
        "region_mask": torch.zeros(4, 5, dtype=torch.bool)
    },
    "region_mask expected bool": {"region_mask": torch.ones(4, 5)},
    "region_mask expected shape": {"region_mask": torch.ones(4, 6, dtype=torch.bool)},
    "regions expected shape .b, n, 12. with n of at least 1, got .4, 5, 9.": {
        "regions": torch.zeros(4, 5, 9)
    },
    "regions expected finite numbers": {"regions": torch.full((4, 5, 12), math.nan)},
    "regions expected floats of shape": {"regions": torch.zeros(4, 12)},
}


@pytest.mark.parametrize("words", list(BAD))
def test_sets_of_regions_that_cannot_be_are_refused_in_words(words, as_a_reader):
    model = make()
    batch = batch_of(model) | BAD[words]
    calls = [
        lambda: model.encode_regions(batch["regions"], batch["region_mask"]),
        lambda: model.generate(batch["regions"], batch["region_mask"], beams=3),
        lambda: model.logits(*given(batch)),
        lambda: model.looks(*given(batch)),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=words):
            call()


def test_captions_that_cannot_be_are_refused_in_words(as_a_reader):
    model = make()
    batch = batch_of(model)
    for change, words in (
        ({"tokens": batch["tokens"] + 50}, "tokens expected"),
        ({"mask": batch["mask"][:, :3]}, "mask expected shape"),
        ({"mask": batch["mask"].long()}, "mask expected bool"),
    ):
        with pytest.raises(ValueError, match=words):
            model.logits(*given(batch | change))
    with pytest.raises(ValueError, match="beams expected a whole number from 1"):
        model.generate(batch["regions"], batch["region_mask"], beams=0)
    with pytest.raises(ValueError, match="max_length"):
        model.generate(batch["regions"], batch["region_mask"], max_length=0)


@torch.no_grad()
def test_what_is_read_at_once_in_parts_or_as_a_whole_caption_is_the_same():
    model = talkative()
    batch = batch_of(model)
    tokens, mask, *pair = given(batch)
    memory = model.known(batch)
    expected = model.logits(tokens, mask, *pair)
    told = model.told(tokens, memory)
    first, state = model.read(tokens[:, :3], model.first(memory), memory)
    rest, state = model.read(tokens[:, 3:], state, memory)
    assert torch.allclose(told[mask], expected[mask], atol=1e-5)
    assert torch.allclose(torch.cat([first, rest], 1), told, atol=1e-5)
    assert state[0] == tokens.shape[1] and memory.values.shape[1] == 2
