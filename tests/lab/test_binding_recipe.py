"""The recipe on binding: what a painter learned to hear is what it is told."""

from types import SimpleNamespace

import pytest
import torch

from mmdl_lib.lab import bound as bd
from mmdl_lib.lab import few_objects as fo
from mmdl_lib.lab import unclip as un
from tests.lab.making import recipe


@pytest.fixture
def small(monkeypatch):
    """The recipe with painters and a prior that only note what they are given."""
    monkeypatch.setenv("MMDL_SMOKE", "1")
    given = {"learned": [], "drawn": []}

    def sample(*told, generator, **how):
        given["drawn"].append((told, generator.initial_seed(), how))
        return torch.zeros(len(told[0]), 3, fo.SIDE, fo.SIDE)

    def trained(ear, pairs, *, seed, steps):
        given["learned"].append((ear, pairs.picture, seed, steps))
        history = SimpleNamespace(losses={"loss": [1.0, 3.0]})
        return SimpleNamespace(sample=sample), history

    def prior(kind, world, *, seed, steps):
        given["world"] = world
        return SimpleNamespace(sample=lambda *said, generator: 2 * said[2]), None

    monkeypatch.setattr(bd, "trained", trained)
    monkeypatch.setattr(un, "prior", prior)
    return recipe("dalle2_binding"), given


@pytest.mark.parametrize("even", [False, True])
def test_embeddings_are_told_as_they_were_learned(small, even):
    made, given = small
    known, asked = made.data(0)
    found = made.embedding(0, even=even)
    loud = bd.evened(known.picture) if even else lambda z: z
    [(ear, learned, seed, steps)] = given["learned"]
    assert (ear, seed, steps) == ("embedding", 0, made.EMBEDDING)
    assert learned.equal(loud(known.picture))
    picture, prior = (told[0] for told, _, _ in given["drawn"])
    assert picture.equal(loud(asked.picture))
    assert prior.equal(loud(2 * un.read(fo.texts(asked.scenes)).text))
    assert given["world"].picture.equal(known.picture)
    assert found["picture"]["parts"] == 0 and found["curve"] == [2.0]


def test_all_arms_of_a_seed_begin_with_the_same_noise(small):
    made, given = small
    made.caption(3)
    made.embedding(3, even=False)
    assert {(seed, *how.items()) for _, seed, how in given["drawn"]} == {
        (3, ("scale", 2), ("steps", 20))
    }
    tokens, mask = given["drawn"][0][0]
    asked = made.data(3)[1]
    assert tokens.equal(asked.tokens) and mask.equal(asked.mask)
    assert not (set(fo.texts(asked.scenes)) & set(fo.texts(made.data(4)[1].scenes)))
