"""What translators are fed and judged by: batches, words from pieces, links by hand."""

import pytest
import torch

from mmdl_lib.data import verses
from mmdl_lib.data.verses import Verses
from mmdl_lib.lab import translation as tr
from mmdl_lib.models.bahdanau import Bahdanau, BahdanauConfig


@pytest.fixture(scope="module")
def some():
    return tr.pairs("valid", longest=12)


def clause(english, spanish, links, sure=()):
    rows = len(english)
    place = [["x"] * rows, [1] * rows, [1] * rows]
    sure = [set(s) for s in sure] or [set() for _ in english]
    return Verses(english, spanish, links, sure, [[]] * rows, *place)


def test_a_batch_holds_its_rows_and_masks_what_is_padded(some):
    batch = some.batch([3, 0])
    for name, mask, lists in (
        ("source", "source_mask", some.source),
        ("tokens", "mask", some.target),
    ):
        for k, i in enumerate([3, 0]):
            assert batch[name][k][batch[mask][k]].tolist() == lists[i].tolist()
            assert (batch[name][k][~batch[mask][k]] == 0).all()


def test_what_stands_twice_is_kept_where_it_stands_first():
    text = verses.load("test").clauses().short(12, least=3)
    both = [*zip(map(tuple, text.english), map(tuple, text.spanish), strict=True)]
    places = [*zip(text.book, text.chapter, text.verse, strict=True)]
    first = dict(reversed([*zip(both, places, strict=True)]))
    kept = tr.pairs("test", longest=12).text
    found = [*zip(map(tuple, kept.english), map(tuple, kept.spanish), strict=True)]
    assert len(both) > len(found) and found == [*dict.fromkeys(both)]
    assert [*zip(kept.book, kept.chapter, kept.verse, strict=True)] == [
        first[pair] for pair in found
    ]


def test_no_clause_stands_twice_and_all_are_short():
    text = tr.pairs("train", longest=12).text
    both = list(zip(map(tuple, text.english), map(tuple, text.spanish), strict=True))
    assert len(set(both)) == len(both) == 9697
    assert max(len(words) for pair in both for words in pair) == 12


def test_an_epoch_shows_each_clause_once_in_batches_of_like_length(some):
    batches, count = tr.batches(some, 20, seed=1), len(some.source) // 20
    seen = [batches(step) for step in range(count)]
    rows = [tuple(row[row > 0].tolist()) for b in seen for row in b["source"]]
    known = {tuple(s.tolist()) for s in some.source}
    assert set(rows) <= known and len(rows) == 20 * count
    spread = [(b["source_mask"].sum(1) + b["mask"].sum(1)).float().std() for b in seen]
    assert sum(spread) / count < 2
    assert not torch.equal(batches(0)["source"], batches(count)["source"])
    again = tr.batches(some, 20, seed=1)
    assert torch.equal(again(2)["tokens"], batches(2)["tokens"])
    other = tr.batches(some, 20, seed=2)
    assert not torch.equal(other(2)["tokens"], batches(2)["tokens"])
    with pytest.raises(ValueError, match="size expected a whole number from 1 to"):
        tr.batches(some, len(some.source) + 1, seed=1)


def test_pieces_are_pooled_into_words_and_frames_left_out(some):
    i = next(k for k, w in enumerate(some.target_word) if len(w) - 2 > len(set(w)) - 1)
    t, n = len(some.target[i]), len(some.source[i])
    weights = torch.full((t + 2, n + 3), 1.0 / n)  # wider, as in a padded batch
    pooled = tr.pooled(weights, some, i)
    english, spanish = some.text.english[i], some.text.spanish[i]
    assert pooled.shape == (len(english), len(spanish))
    # each word gets as many shares as it has pieces; the frame's two are left out
    shares = [some.source_word[i].count(j) / n for j in range(len(spanish))]
    assert torch.allclose(pooled, torch.tensor(shares).expand_as(pooled))
    assert torch.allclose(pooled.sum(1), torch.tensor(1 - 2 / n))


def test_row_t_of_the_weights_belongs_to_the_piece_that_it_chose(some):
    i = 0
    t, n = len(some.target[i]), len(some.source[i])
    weights = torch.zeros(t, n)
    word = 1  # the second English word looks at the first Spanish one
    for k, w in enumerate(some.target_word[i]):
        if w == word:
            weights[k - 1, some.source_word[i].index(0)] = 1.0
    pooled = tr.pooled(weights, some, i)
    assert pooled[word, 0] == 1 and pooled.sum() == 1


def test_words_and_nats_come_in_the_order_of_the_clauses_however_they_are_batched(some):
    torch.manual_seed(0)
    sizes = {"width": 8, "half": 4, "embed": 8}
    for name in verses.LANGUAGES:
        side = "vocab" if name == "english" else "vocab_source"
        sizes[side] = verses.pieces(name).vocab
    model, few = Bahdanau(BahdanauConfig(**sizes)), some.take([7, 3, 11, 5, 0])
    weights = tr.word_weights(model, few, size=2)
    nats = tr.piece_nats(model, few, size=2)
    for i in range(5):
        one = few.take([i])
        batch = one.batch([0])
        given = batch["tokens"], batch["source"], batch["source_mask"]
        alone = tr.pooled(model.attention(*given)[0], one, 0)
        assert torch.allclose(weights[i], alone, atol=1e-5)
        log_p = model.logits(*given)[0, :-1].log_softmax(-1)
        said = -log_p.gather(1, batch["tokens"][0, 1:, None])[:, 0]
        assert nats[i] == pytest.approx(said.tolist(), abs=1e-4)


def test_the_best_link_is_the_largest_weight_and_chance_draws_from_all_words():
    weights = torch.tensor([[0.1, 0.7, 0.2], [0.5, 0.3, 0.1]])
    assert tr.best([weights]) == [{(0, 1), (1, 0)}]
    text = clause([list("ab")] * 300, [list("vwxyz")] * 300, [[]] * 300)
    drawn = tr.at_random(text, 0)
    assert all(sorted(i for i, _ in links) == [0, 1] for links in drawn)
    places = torch.tensor([j for links in drawn for _, j in links]).bincount()
    assert len(places) == 5 and places.min() > 80 and places.max() < 165
    assert tr.at_random(text, 0) == drawn != tr.at_random(text, 1)


def test_only_words_with_a_gold_link_are_judged():
    text = clause([["a", "b", "c"]], [["x", "y"]], [[(0, 1), (1, 0)]], [[(0, 1)]])
    # c has no gold link: its proposed one neither helps nor hurts
    assert tr.error_rate([{(0, 1), (1, 0), (2, 0)}], text) == 0
    assert tr.error_rate([{(0, 1), (1, 1), (2, 1)}], text) == pytest.approx(1 - 2 / 3)


def test_the_diagonal_runs_from_first_to_last_and_finds_no_moved_word():
    text = clause(
        [list("abcde")], [list("vwxyz")], [[(0, 4), (2, 2)]], [[(0, 4), (2, 2)]]
    )
    assert tr.diagonal(text) == [{(k, k) for k in range(5)}]
    assert tr.moved(tr.diagonal(text), text) == 0
    assert tr.moved([{(0, 4)}], text) == 1
    near = clause(
        [list("abcde")], [list("vwxyz")], [[(0, 2), (1, 2)]], [[(0, 2), (1, 2)]]
    )
    # two words beside the diagonal count, one does not
    assert tr.moved([{(0, 2)}], near) == 1 and tr.moved([{(1, 2)}], near) == 0
    long = clause([list("abc")], [list("vwxyz")], [[(0, 0)]])
    assert tr.diagonal(long) == [{(0, 0), (1, 2), (2, 4)}]


def test_model_one_learns_a_dictionary_by_counting():
    """Two clauses share one word: what is left over must be the others."""
    english = [["the", "house"], ["the", "book"], ["a", "book"]]
    spanish = [["la", "casa"], ["la", "obra"], ["una", "obra"]]
    text = clause(english, spanish, [[]] * 3)
    table = tr.ibm1(text, rounds=20)
    for e, s in (("the", "la"), ("house", "casa"), ("book", "obra"), ("a", "una")):
        assert table[s][e] == max(table[s].values()) > 0.8
    for row in table.values():
        assert sum(row.values()) == pytest.approx(1)
    assert tr.counted(table, text) == [{(0, 0), (1, 1)}] * 3
    first = tr.ibm1(text, rounds=1)["la"]  # by hand: 2 halves of "the", one of each
    assert first == pytest.approx({"the": 0.5, "house": 0.25, "book": 0.25})


def test_nats_are_those_of_the_true_words_shared_by_length(some):
    class Even:
        def eval(self):
            pass

        def logits(self, tokens, source, source_mask):
            return torch.zeros(*tokens.shape, 3000)

    few = some.take(range(12))
    nats = tr.piece_nats(Even(), few, size=5)
    assert [len(row) for row in nats] == [len(t) - 1 for t in few.target]
    one = torch.tensor(3000.0).log().item()
    words = sum(map(len, few.text.english))
    pieces = sum(map(len, nats))
    assert tr.per_word(nats, few) == pytest.approx(one * pieces / words)
    sizes = sorted(len(s) for s in few.text.spanish)
    edges = (sizes[5], 12)
    by = tr.by_length(nats, few, edges)
    rows = [i for i, s in enumerate(few.text.spanish) if len(s) <= edges[0]]
    short = sum(len(nats[i]) for i in rows)
    want = one * short / sum(len(few.text.english[i]) for i in rows)
    assert by[0] == pytest.approx(want) and len(by) == 2
