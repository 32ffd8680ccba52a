"""Generated property norms: which things have which, and who says so."""

import pytest
import torch

from mmdl_lib.data.shapes import COLORS, SHAPES
from mmdl_lib.lab import norms


def test_each_kind_has_one_color_and_one_shape():
    table = torch.stack(list(norms.properties().values()), 1)
    assert table[:, :8].sum(1).tolist() == table[:, 8:16].sum(1).tolist() == [1] * 64
    kind = 8 * COLORS.index("pink") + SHAPES.index("star")
    own = {name for name, has in norms.properties().items() if has[kind]}
    assert own == {"is pink", "is a star", "is warm", "has corners"}


def test_shared_properties_are_had_by_their_members():
    found = norms.properties()
    counts = [found[n].sum() for n in ("is warm", "has corners", "is round")]
    assert counts == [32, 32, 24]
    round_ = found["is a circle"] | found["is a ring"] | found["is a moon"]
    assert torch.equal(found["is round"], round_)


def test_people_name_what_is_there_as_often_as_asked():
    true = torch.stack(list(norms.properties().values()), 1)
    said = norms.listed(0, people=200, says=0.4, wrong=0.1)
    assert said[true].mean().item() == pytest.approx(0.4, abs=0.02)
    assert said[~true].mean().item() == pytest.approx(0.1, abs=0.02)
    sure = norms.listed(0, people=1, says=1, wrong=0)
    assert torch.equal(sure, true.float())


def test_nobody_and_no_shares_are_refused():
    for name, value in (("people", 0), ("says", 1.5), ("wrong", -0.1)):
        with pytest.raises(ValueError, match=f"{name} expected"):
            norms.listed(0, **{name: value})


def test_no_things_and_unpaired_ones_are_refused(as_a_reader):
    for rows, words in ((0, "at least one"), (3, "as many as true, got 3 and 4")):
        with pytest.raises(ValueError, match=words):
            norms.column_correlations(torch.ones(rows, 2), torch.ones(rows and 4, 2))


def test_correlations_of_columns_by_hand():
    said = torch.tensor([[0.0, 2.0, 5.0], [1.0, 1.0, 5.0], [2.0, 0.0, 5.0]])
    true = torch.tensor([[1.0, 1.0, 1.0], [2.0, 2.0, 2.0], [3.0, 3.0, 4.0]])
    found = norms.column_correlations(said, true)
    torch.testing.assert_close(found, torch.tensor([1.0, -1.0, 0.0]))
