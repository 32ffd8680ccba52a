"""The made world: what texts tell, what they leave out, and the controls."""

import pytest
import torch

from mmdl_lib.core import generator
from mmdl_lib.lab import unsaid as u
from mmdl_lib.metrics.probe import linear_probe
from mmdl_lib.models.vokenization import IGNORE


def test_the_language_has_its_words_once_and_all_are_known():
    assert len(set(u.vocabulary())) == len(u.vocabulary()) == u.SMALL.vocab
    assert (
        len(u.nouns()) == 112 and u.ids()[u.nouns()[0]] + 111 == u.ids()[u.nouns()[-1]]
    )


def test_every_color_is_as_frequent_in_every_topic():
    look = u.senses()[: u.SINGLE]
    counts = [(look[:, t] // 3)[look[:, t] >= 0].bincount() for t in range(4)]
    assert all(count.tolist() == [3] * 8 for count in counts)
    assert ((look >= 0).sum(1) == 1).all()


def test_homonyms_have_two_topics_and_two_colors():
    look = u.senses()[u.SINGLE :]
    assert ((look >= 0).sum(1) == 2).all()
    colors = [{k // 3 for k in row if k >= 0} for row in look.tolist()]
    assert all(len(found) == 2 for found in colors)


def test_shown_nouns_have_as_many_of_each_color():
    shown = u.shown()
    assert shown[u.SINGLE :].all()
    color = u.senses().amax(1)[: u.SINGLE] // 3
    assert color[shown[: u.SINGLE]].bincount().tolist() == [8] * 8


def test_sentences_say_their_noun_and_words_of_its_topic_only():
    some = u.sentences(300, 0)
    assert len(some) == 300 and some.tokens.shape[1] == u.LENGTH + 1
    for i in range(300):
        said, topic = u.words(some.tokens[i]), some.topic[i]
        assert said[u.NOUN] == u.nouns()[some.noun[i]]
        others = [w for t in range(4) if t != topic for w in u.VERBS[t] + u.PLACES[t]]
        assert not set(said) & {*others, *u.COLORS}
        assert some.look[i] == u.senses()[some.noun[i], topic] >= 0
    assert torch.equal(some.mask, some.tokens != u.PAD)
    assert torch.equal(some[5:9].noun, some.noun[5:9])


def test_the_said_color_is_the_true_one_and_as_frequent_as_asked():
    some = u.sentences(1000, 1, said=0.2)
    told = 0
    for row, color in zip(some.tokens, some.color, strict=True):
        found = set(u.words(row)) & set(u.COLORS)
        assert found <= {u.COLORS[color]}
        told += len(found)
    assert 150 < told < 250


def test_captions_name_only_what_is_shown():
    some = u.sentences(500, 2, among=u.shown())
    assert u.shown()[some.noun].all()
    assert len(some.noun.unique()) == 80


def test_pictures_show_their_look_and_features_tell_it():
    some, other = u.pictures(8, 1), u.pictures(3, 2)
    assert some.look.tolist() == [k for k in range(24) for _ in range(8)]
    assert torch.allclose(some.feature.norm(dim=1), torch.ones(192), atol=1e-5)
    said = (some.feature, some.look, other.feature, other.look)
    assert linear_probe(*said) > 0.95


def test_a_sentence_gets_a_picture_of_what_it_is_about():
    pool, some = u.pictures(8, 1), u.sentences(50, 3)
    beside = u.beside(some, pool, 0)
    row = (beside[:, None] - pool.feature).abs().sum(2).argmin(1)
    assert torch.equal(pool.look[row], some.look)


def test_without_context_a_token_is_the_same_in_all_sentences():
    some = u.sentences(20, 4)
    tokens = some.tokens.clone()
    tokens[:, u.NOUN] = tokens[0, u.NOUN]
    spread = []
    for kind in (u.Alone, u.Retriever):
        torch.manual_seed(0)
        model = u.widened(kind(u.RETRIEVER)).eval()
        words = model.encode_tokens(tokens, some.mask)
        spread.append(words[:, u.NOUN].std(0).max())
        assert words[~some.mask].abs().max() == 0
    assert spread[0] < 1e-6 < 1e-3 < spread[1]


def test_labels_have_each_color_once_in_each_topic_and_so_has_the_rest():
    color, topic = u.senses().amax(1) // 3, (u.senses() >= 0).long().argmax(1)
    for each in (1, 2, 4):
        chosen = u.labeled(each, 0)
        assert color[chosen].bincount().tolist() == [each] * 8
        assert u.shown()[chosen].all() and not chosen[u.SINGLE :].any()
    for some in (chosen, u.kinds(chosen)["new"]):
        pairs = torch.stack([color[some], topic[some]]).unique(dim=1)
        assert some.sum() == pairs.shape[1] == 32
    assert not torch.equal(u.labeled(4, 1), chosen)
    with pytest.raises(ValueError, match="each expected"):
        u.labeled(5, 0)


def test_dealt_nouns_stay_in_their_topic_and_none_keeps_its_own():
    some = u.sentences(2000, 5)
    other = u.dealt(some, 0)
    noun = other.tokens[:, u.NOUN] - u.ids()[u.nouns()[0]]
    assert (noun != some.noun).all()
    assert (u.senses()[noun, some.topic] >= 0).all()
    pairs = torch.stack([some.noun, noun]).unique(dim=1)
    assert pairs.shape[1] == len(pairs[0].unique()) == len(pairs[1].unique()) == 112
    rest = torch.arange(some.tokens.shape[1]) != u.NOUN
    assert torch.equal(other.tokens[:, rest], some.tokens[:, rest])


def test_noise_is_as_dense_as_vokens_and_knows_nothing_of_them():
    vokens = torch.randint(9, (40, 10), generator=generator(0))
    vokens[:, 7:] = IGNORE
    found = u.noise(vokens, 9, 1)
    assert torch.equal(found == IGNORE, vokens == IGNORE)
    assert 0.05 < (found == vokens)[:, :7].float().mean() < 0.2


def test_bad_numbers_are_refused():
    with pytest.raises(ValueError, match="n expected"):
        u.sentences(0, 0)
    with pytest.raises(ValueError, match="said expected"):
        u.sentences(3, 0, said=1.5)
