"""One net, three masks: who sees what, equal weights, cuts, tags by counting."""

from collections import Counter

import pytest
import torch
import torch.nn.functional as F

from mmdl_lib.core import generator
from mmdl_lib.data import verses
from mmdl_lib.lab import masks
from mmdl_lib.lab.masks import LENGTH, MASK, SEP, Masked, Tagger, Text
from mmdl_lib.models.bert import BERTConfig

CONFIG = BERTConfig(
    **{"vocab": len(masks.vocabulary()), "width": 32, "depth": 2, "heads": 2},
    **{"positions": LENGTH, "segments": 1, "dropout": 0.0},
    **{"cls_token": masks.CLS, "sep_token": SEP, "mask_token": MASK},
)


def make(kind):
    torch.manual_seed(0)
    model = Masked(CONFIG).eval()
    model.kind = kind
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 4  # or a leak would be too small to be seen
    return model


def text(n=40):
    found = verses.load("valid")
    rows = [i for i in range(len(found)) if found.tags[i]][:n]
    some = found.take(rows)
    return masks.encode(some.english, some.tags), some


def test_words_and_tags_keep_their_places():
    coded, some = text()
    words = masks.vocabulary()
    for row, tags, sentence, known in zip(
        coded.tokens, coded.tags, some.english, some.tags, strict=True
    ):
        assert row[0] == masks.CLS
        for i, word in enumerate(sentence[: LENGTH - 1]):
            assert words[row[i + 1]] in (word, "[UNK]")
            tag = masks.TAGS[tags[i + 1]] if tags[i + 1] >= 0 else None
            assert tag == known[i]
        if len(sentence) + 2 <= LENGTH:
            assert row[len(sentence) + 1] == SEP and tags[len(sentence) + 1] == -1


def test_the_vocabulary_holds_the_most_frequent_words_of_the_training():
    words = masks.vocabulary()
    assert words[:5] == list(masks.SPECIAL) and words[5:8] == [",", "the", "and"]
    assert len(set(words)) == len(words) == 500
    counts = Counter(w for row in verses.load("train").english for w in row)
    often = [counts.pop(word) for word in words[5:]]
    assert often == sorted(often, reverse=True) and often[-1] >= max(counts.values())


@torch.no_grad()
def test_a_later_word_moves_earlier_vectors_only_where_it_may_be_seen():
    tokens = text(1)[0].tokens
    other = tokens.clone()
    other[0, 9] = 40
    mask = torch.ones_like(tokens, dtype=torch.bool)

    def moved(kind, **how):
        x = [make(kind).hidden(t, mask, **how) for t in (tokens, other)]
        return (x[1] - x[0]).abs().amax(-1)[0] > 1e-5

    assert moved("full").all()
    causal = torch.arange(LENGTH) >= 9
    assert torch.equal(moved("causal"), causal)
    assert torch.equal(moved("prefix", prefix=5), causal)
    assert moved("prefix", prefix=10).all() and moved("prefix").all()


@torch.no_grad()
def test_padding_is_not_seen():
    coded, _ = text(1)
    n = 8
    short = coded.tokens.clone()
    short[0, n:] = 33
    for kind in ("full", "causal", "prefix"):
        model = make(kind)
        mask = (torch.arange(LENGTH) < n)[None]
        a, b = (model.hidden(t, mask)[0, :n] for t in (coded.tokens, short))
        assert torch.allclose(a, b, atol=1e-6)


@torch.no_grad()
def test_a_causal_loss_is_that_of_each_next_word():
    coded, _ = text(6)
    model = make("causal")
    batch = {"tokens": coded.tokens, "mask": coded.mask}
    found = model.loss(batch)["loss"]
    logits = model.guess(model.hidden(coded.tokens, coded.mask))
    each = [
        F.cross_entropy(logits[i, t - 1], coded.tokens[i, t])
        for i in range(6)
        for t in range(1, int(coded.mask[i].sum()))
    ]
    assert torch.allclose(found, torch.stack(each).mean(), atol=1e-5)


@torch.no_grad()
def test_a_prefix_loss_counts_only_what_comes_after_the_prefix():
    coded, _ = text(6)
    model = make("prefix")
    batch = {"tokens": coded.tokens, "mask": coded.mask}
    found = model.loss(batch, generator=generator(1))["loss"]
    start = int(torch.randint(4, 12, (), generator=generator(1)))
    logits = model.guess(model.hidden(coded.tokens, coded.mask, prefix=start))
    rows, places = coded.mask[:, start:].nonzero(as_tuple=True)
    places = places + start
    want = F.cross_entropy(logits[rows, places - 1], coded.tokens[rows, places])
    assert torch.allclose(found, want, atol=1e-5)


def test_all_kinds_have_equal_weights():
    states = [make(kind).state_dict() for kind in ("full", "causal", "prefix")]
    for name, value in states[0].items():
        assert all(torch.equal(value, other[name]) for other in states[1:])


def test_cuts_are_known_words_with_something_on_both_sides():
    coded, _ = text(200)
    cut = masks.cuts(coded, generator(3))
    assert len(cut.word) > 100 and (cut.word >= 5).all()
    assert torch.equal(cut.tokens.gather(1, cut.place[:, None])[:, 0], cut.word)
    length = cut.mask.sum(1)
    assert (cut.place >= 6).all() and (cut.place < length - 2).all()
    other = masks.cuts(coded, generator(4))
    assert not torch.equal(cut.place, other.place)


@torch.no_grad()
def test_nats_do_not_see_the_word_nor_what_is_to_be_hidden():
    coded, _ = text(60)
    cut = masks.cuts(coded, generator(3))
    place = torch.arange(LENGTH)
    word_gone = torch.where(place == cut.place[:, None], 77, cut.tokens)
    rest_gone = torch.where(place > cut.place[:, None], 77, word_gone)
    for kind, after, tokens in (
        ("full", None, word_gone),
        ("full", 0, rest_gone),
        ("full", 1, rest_gone),
        ("causal", None, rest_gone),
        ("prefix", None, rest_gone),
    ):
        model = make(kind)
        one = masks.nats(model, cut, after=after)
        assert one == pytest.approx(
            masks.nats(model, cut._replace(tokens=tokens), after=after), abs=1e-5
        )
    full = make("full")
    gone = masks.nats(full, cut._replace(tokens=rest_gone), after=None)
    assert gone != pytest.approx(masks.nats(full, cut, after=None), abs=1e-5)


@torch.no_grad()
@pytest.mark.parametrize(
    ("kind", "after"),
    [("full", None), ("full", 0), ("full", 1), ("causal", None), ("prefix", None)],
)
def test_nats_by_hand_one_verse_at_a_time(kind, after):
    coded, _ = text(40)
    cut, model, each = masks.cuts(coded, generator(3)), make(kind), []
    for tokens, mask, place, word in zip(*cut, strict=True):
        at, row = int(place), tokens[mask].clone()
        if kind == "full":
            row[at] = MASK
            if after is not None:
                row = torch.cat([row[: at + 1], torch.tensor([SEP] * after)]).long()
        else:
            row = row[:at]
            at -= 1
        logits = model.guess(model.hidden(row[None])[0, at])
        each.append(F.cross_entropy(logits, word))
    want = torch.stack(each).mean().item()
    assert masks.nats(model, cut, after=after) == pytest.approx(want, abs=1e-4)


def test_a_pair_seen_once_weighs_as_much_as_what_is_known_of_the_word_alone():
    # word 9: three times tag 0, then once tag 1 before 11
    some = made(
        [[2, 9, 10, 3]] * 3 + [[2, 9, 11, 3]],
        [[-1, 0, 4, -1]] * 3 + [[-1, 1, 4, -1]],
    )
    new = made([[2, 9, 11, 3]], [[-1] * 4])
    # tag 0: 3/4 of one; tag 1: 1/4 of one and the pair seen once
    assert masks.counted(some, new, sides=(1,))[0, 1] == 1
    # after ten of tag 0 in the same pair, one of tag 1 does not decide
    more = made(
        [[2, 9, 11, 3]] * 2 + [[2, 9, 10, 3]] * 8,
        [[-1, 0, 4, -1], [-1, 1, 4, -1]] + [[-1, 0, 4, -1]] * 8,
    )
    # the pair is undecided, 1 to 1: then the word alone decides, 9 to 1
    assert masks.counted(more, new, sides=(1,))[0, 1] == 0


@torch.no_grad()
def test_a_tagger_counts_known_tags_only():
    coded, _ = text(8)
    model = Tagger(make("full"))
    found = model.loss(coded._asdict())["loss"]
    known = coded.tags >= 0
    want = F.cross_entropy(model(coded.tokens, coded.mask)[known], coded.tags[known])
    assert torch.allclose(found, want, atol=1e-5)
    said = model(coded.tokens, coded.mask)
    assert torch.equal(masks.tagged(model, coded), said.argmax(-1))
    x, y = masks.features(model.trunk, coded)
    assert torch.equal(y, coded.tags[known])
    hidden = model.trunk.hidden(coded.tokens, coded.mask)
    assert torch.allclose(x, hidden[known], atol=1e-5)


def made(rows, tags):
    tokens = torch.tensor(rows)
    return Text(tokens, tokens > 0, torch.tensor(tags))


def test_counting_takes_the_most_frequent_tag_and_neighbors_decide():
    # word 9 is 0 before 10 and 1 before 11; behind 12 it is 2
    some = made(
        [[2, 9, 10, 3], [2, 9, 11, 3], [2, 9, 10, 3], [12, 9, 20, 3]],
        [[-1, 0, 4, -1], [-1, 1, 4, -1], [-1, 0, 4, -1], [5, 2, 4, -1]],
    )
    new = made([[2, 9, 11, 3], [2, 9, 10, 3], [12, 9, 21, 3]], [[-1] * 4] * 3)
    alone = masks.counted(some, new)[:, 1]
    after = masks.counted(some, new, sides=(1,))[:, 1]
    before = masks.counted(some, new, sides=(-1,))[:, 1]
    assert alone.tolist() == [0, 0, 0]
    assert after.tolist() == [1, 0, 0]
    assert before.tolist() == [0, 0, 2]
    # a word that was never seen has the most frequent tag of all words
    assert masks.counted(some, made([[2, 99, 98, 3]], [[-1] * 4]))[0, 1] == 4


@torch.no_grad()
def test_guesses_are_shares_and_see_what_they_may():
    words = "in the beginning was the word , and the word was with god".split()
    for kind in ("full", "causal"):
        p = masks.guesses(make(kind), words, 4)
        assert p.sum() == pytest.approx(1, abs=1e-5) and p.shape == (500,)
        other = [*words[:4], "fire", *words[5:]]
        assert torch.equal(masks.guesses(make(kind), other, 4), p)
        later = [*words[:6], "and", *words[7:]]
        same = torch.equal(masks.guesses(make(kind), later, 4), p)
        assert same == (kind == "causal")
        past = [masks.guesses(make(kind), w, 4, past=True) for w in (words, later)]
        assert torch.equal(*past)
    with pytest.raises(ValueError, match="place expected 0 to 12, got 13"):
        masks.guesses(make("full"), words, 13)
    with pytest.raises(ValueError, match="words expected at least 1, got 0"):
        masks.guesses(make("full"), [], 0)
    with pytest.raises(ValueError, match="count expected a whole number from 0"):
        masks.continued(make("causal"), words, -1)
    model = make("causal")
    model.bias[: len(masks.SPECIAL)] += 100.0  # they would be said if they could
    found = masks.continued(model, words[:3], 4)
    assert found[:3] == words[:3] and len(found) == 7
    assert not set(found[3:]) & set(masks.SPECIAL)
