"""The worlds of data2vec: what can be known, and what its rivals are told."""

import math

import pytest
import torch

from mmdl_lib.core import generator
from mmdl_lib.data import sounds
from mmdl_lib.lab import three_senses as senses
from mmdl_lib.models.data2vec import Data2Vec
from mmdl_lib.nn.mel import log_mel

kinds = pytest.mark.parametrize("kind", list(senses.WORLDS))


def fresh(kind, model=Data2Vec):
    torch.manual_seed(0)
    return model(senses.CONFIGS[kind])


def batch(kind, n=4):
    world = senses.WORLDS[kind](12, 3)
    return senses.rows(world, torch.arange(n))


@kinds
def test_rows_are_drawn_by_seed_and_fit_the_model(kind):
    draw = senses.WORLDS[kind]
    again, other = draw.__wrapped__(12, 3), draw(12, 4)
    for name, value in draw(12, 3).batch.items():
        assert torch.equal(value, again.batch[name])
        assert name == "mask" or not torch.equal(value, other.batch[name])
    assert len(draw(12, 3).label) == 12
    loss = fresh(kind).loss(batch(kind), generator=generator(0))["loss"]
    assert torch.isfinite(loss)


def test_half_of_the_words_are_of_the_topic_by_intent_and_no_word_tells_it():
    world = senses.texts(4000, 0)
    inside = world.batch["tokens"][:, 1:-1] - senses.FIRST
    assert inside.min() >= 0 and inside.max() < senses.VOCAB - 1 - senses.FIRST
    pair = torch.tensor(senses.PAIRS)[inside // senses.FORMS]
    fits = (pair == world.label[:, None, None]).any(2).double().mean().item()
    # the others fit by chance: 7 of 28 pairs hold a topic
    assert fits == pytest.approx(senses.SAID + (1 - senses.SAID) / 4, abs=0.01)
    assert torch.bincount(world.label).min() > 400
    # whatever one word is, no topic is much more likely than another one of its pair
    first = pair[:, 0]
    for topic in range(3):
        mine = world.label[first[:, 0] == topic]
        other = first[first[:, 0] == topic][:, 1]
        assert (
            (mine == topic).double().mean() - (mine == other).double().mean()
        ).abs() < 0.1


def test_sounds_are_made_words_with_their_numbers():
    found, world = sounds.load("made", n=12, seed=3), senses.spoken(12, 3)
    assert torch.equal(world.label, found.labels["word"].long())
    assert torch.equal(world.batch["sound"], found.wave)


@kinds
def test_alone_no_place_of_the_teacher_hears_of_another_beyond_the_front(kind):
    model, rows = fresh(kind, senses.Alone), batch(kind)
    fed = model.front(rows)
    changed = fed.x.clone()
    changed[:, -1] = torch.randn(48, generator=generator(0))
    before = model.targets(rows)
    model.front.forward = lambda batch: fed._replace(x=changed)
    after = model.targets(rows)
    if model.config.norm == "layer":  # instances are normalized over places
        assert torch.allclose(before[:, :-1], after[:, :-1], atol=1e-5)
    assert not torch.allclose(before[:, -1], after[:, -1], atol=1e-2)
    whole = fresh(kind)
    whole.front.forward = lambda batch: fed
    one = whole.targets(rows)
    whole.front.forward = lambda batch: fed._replace(x=changed)
    assert not torch.allclose(one[:, 0], whole.targets(rows)[:, 0], atol=1e-4)


@kinds
def test_all_arms_of_a_seed_start_from_the_same_student(kind):
    found = [fresh(kind, model) for model in (Data2Vec, senses.Alone, senses.Local)]
    for part in ("front", "student"):
        states = [getattr(model, part).state_dict() for model in found]
        for name, value in states[0].items():
            assert all(torch.equal(value, state[name]) for state in states[1:])


def test_local_targets_are_pixels_and_bands_in_the_order_of_the_places():
    rows = batch("pictures")
    found = senses.local(rows, senses.CONFIGS["pictures"])
    patch = rows["image"][0, :, 4:8, 8:12].flatten()  # row 1, column 2 of six
    right = (patch - patch.mean()) / (patch.var(correction=0) + 1e-5).sqrt()
    assert torch.allclose(found[0, 8], right, atol=1e-5)
    rows = batch("sounds")
    found = senses.local(rows, senses.CONFIGS["sounds"])
    bands = log_mel(rows["sound"], bands=senses.BANDS)[:, :49]
    assert found.shape == bands.shape
    assert torch.allclose(found.mean(1), torch.zeros(1), atol=1e-4)
    loud = torch.corrcoef(torch.stack([found[0].mean(1), bands[0].mean(1)]))[0, 1]
    assert loud > 0.9


def test_words_are_told_apart_by_cross_entropy_at_hidden_places():
    model, rows = fresh("texts", senses.Local), batch("texts")
    torch.nn.init.zeros_(model.head.weight), torch.nn.init.zeros_(model.head.bias)
    found = model.loss(rows, generator=generator(0))["loss"].item()
    assert found == pytest.approx(math.log(senses.VOCAB), abs=1e-4)


class Told(Data2Vec):
    """A student that says what the teacher says, or what it says one place on."""

    move = 0

    def forward(self, batch, hidden):
        return self.targets(batch).roll(self.move, 1)


def test_who_says_the_target_finds_its_place_and_who_says_anothers_does_not():
    model = Told(senses.CONFIGS["pictures"])
    rows = batch("pictures")
    hidden = model.hide(rows, generator=generator(0))
    share, guess = senses.finds(model, rows, hidden)
    # patches of plain ground are alike
    assert share > 0.9 and guess == pytest.approx(1 / round(0.6 * 36))
    model.move = 1
    assert senses.finds(model, rows, hidden)[0] < 0.3
    # only hidden places are rivals: where there is one, it is found whatever is said
    one = torch.zeros_like(hidden)
    one[:, 7] = True
    assert senses.finds(model, rows, one) == (1, 1)


def test_with_the_targets_of_another_row_only_the_place_can_be_found():
    model = Told(senses.CONFIGS["texts"])
    rows = batch("texts")
    hidden = model.hide(rows, generator=generator(0))
    before = model.targets
    # targets that tell the row and the place: both are needed
    far = torch.randn(4, 18, 48, generator=generator(1))
    model.targets = lambda batch: far
    assert senses.finds(model, rows, hidden)[0] == 1
    assert senses.finds(model, rows, hidden, other=1)[0] < 0.5
    # targets that tell the place only are found in any row
    model.targets = lambda batch: far[:1].expand(4, -1, -1)
    assert senses.finds(model, rows, hidden, other=1)[0] == 1
    model.targets = before


class Placed(Data2Vec):
    """A student whose vector at each place is the number of the place."""

    def hear(self, batch, hidden=None):
        real = self.front.places(batch)
        place = torch.arange(real.shape[1], dtype=torch.float32)
        return place.expand(len(real), -1)[..., None]


@kinds
def test_a_text_is_asked_at_its_middle_word_and_the_rest_at_all_places(kind):
    model, rows = Placed(senses.CONFIGS[kind]), batch(kind)
    found = senses.vectors(model, rows)
    places = model.front.places(rows).shape[1]
    right = 8.0 if kind == "texts" else (places - 1) / 2
    assert found.tolist() == [[pytest.approx(right)]] * 4
    assert not model.training


class Counts(Data2Vec):
    """A student that has counted how many words of a text each topic has."""

    def hear(self, batch, hidden=None):
        inside = (batch["tokens"][:, 1:-1] - senses.FIRST) // senses.FORMS
        pair = torch.tensor(senses.PAIRS)[inside]
        count = torch.nn.functional.one_hot(pair, senses.TOPICS).sum((1, 2)).float()
        count = torch.nn.functional.pad(count, (0, self.config.width - senses.TOPICS))
        return count[:, None].expand(-1, senses.WORDS + 2, -1)


def test_who_has_counted_the_topics_is_judged_to_know_them():
    model = Counts(senses.CONFIGS["texts"])
    found = senses.judge(model, "texts", 0, known=300, asked=300)
    # labels of other rows would leave one in eight
    assert found["probe"] > 0.85


def test_the_judge_knows_what_an_untrained_net_is():
    found = senses.judge(fresh("texts"), "texts", 0, known=200, asked=200)
    assert set(found) == {"probe", "rank", "spread", "finds"}
    assert 0.1 < found["probe"] < 0.7
    local = senses.judge(fresh("texts", senses.Local), "texts", 0, known=200, asked=200)
    # the same student knows the same
    assert local == {"probe": found["probe"]}
