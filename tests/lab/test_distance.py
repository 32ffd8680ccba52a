"""A token far away: rows, and how far a gradient reaches."""

import pytest
import torch

from mmdl_lib.lab.distance import (
    KINDS,
    Attentive,
    Reader,
    Recurrent,
    first_token,
    reach,
)


def test_only_the_first_token_tells_the_label():
    batch = first_token(200, 3, length=9)
    assert batch["tokens"].shape == (200, 9)
    assert torch.equal(batch["tokens"][:, 0], batch["label"])
    assert (batch["tokens"][:, 1:] >= KINDS).all()
    assert (batch["tokens"] < 2 * KINDS).all()
    assert set(batch["label"].tolist()) == set(range(KINDS))
    with pytest.raises(ValueError, match="length expected"):
        first_token(3, 0, length=1)


def test_a_gradient_through_a_recurrent_net_falls_by_a_factor_a_step():
    batch = first_token(64, 0, length=33)
    torch.manual_seed(0)
    found = reach(Reader(Recurrent, 32), batch)
    attended = reach(Reader(Attentive, 32), batch)
    assert found[-1] == attended[-1] == 1
    # eight steps further back, again and again
    ratios = found[8:25:8] / found[16:33:8]
    assert (ratios < 0.1).all()
    # all places but the last are one step away, whatever the distance
    assert attended[0] > 0.3 * attended[16]


@torch.no_grad()
@pytest.mark.parametrize("body", [Recurrent, Attentive])
def test_the_first_token_and_every_other_move_the_answer(body):
    torch.manual_seed(0)
    model = Reader(body, 32)
    tokens = first_token(4, 0, length=5)["tokens"]
    for place in range(5):
        other = tokens.clone()
        other[:, place] = (other[:, place] + 1) % (2 * KINDS)
        assert not torch.allclose(model(other), model(tokens), atol=1e-6)
