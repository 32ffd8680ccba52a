"""One painter with two kinds of ears, and who has which color in what it draws."""

import dataclasses

import pytest
import torch

from mmdl_lib.core import generator
from mmdl_lib.data.shapes import to_float
from mmdl_lib.lab import bound as bd
from mmdl_lib.lab import few_objects as fo
from mmdl_lib.lab import unclip as un
from mmdl_lib.pretrained import small


@pytest.fixture(scope="module")
def asked():
    return bd.sample(40, seed=1)


def drawn(scenes):
    return to_float(scenes.render(fo.SIDE))


def test_pairs_that_are_asked_for_differ_in_color_and_in_shape(asked):
    assert len(asked) == 40 and (asked.count == 2).all()
    for part in (asked.color, asked.shape):
        assert (part[:, 0] != part[:, 1]).all()


def test_true_pictures_are_right_and_exchanged_ones_swapped(asked):
    # a true picture may be misread, as two objects that nearly touch
    true = bd.who(drawn(asked), asked)
    assert true["right"] == true["parts"] > 0.95 and true["swapped"] == 0
    wrong = bd.who(drawn(bd.exchanged(asked)), asked)
    assert wrong["swapped"] == 1 and wrong["right"] == 0 and wrong["parts"] > 0.95
    assert bd.exchanged(bd.exchanged(asked)).color.equal(asked.color)


def test_a_share_is_of_the_pictures_with_the_asked_parts(asked):
    pictures = drawn(asked)
    pictures[:10] = drawn(bd.exchanged(asked))[:10]
    pictures[30:] = pictures[30:31, :, :1, :1]  # empty ones
    found = bd.who(pictures, asked)
    assert 0.7 < found["parts"] <= 0.75
    assert found["swapped"] == pytest.approx(1 / 3, abs=0.05)
    assert found["right"] == pytest.approx(found["parts"] * (1 - found["swapped"]))


@pytest.mark.parametrize("part", ["color", "shape"])
def test_another_color_or_shape_is_none_of_the_asked_parts(asked, part):
    there = getattr(asked, part)
    ours = asked.present & (torch.arange(there.shape[1]) == 0)
    third = torch.tensor([min({*range(8)} - {*row}) for row in there[:, :2].tolist()])
    other = torch.where(ours, third[:, None].to(there), there)
    found = bd.who(drawn(dataclasses.replace(asked, **{part: other})), asked)
    assert found == {"parts": 0, "swapped": None, "right": 0}


def test_two_of_one_color_are_not_the_two_that_were_asked(asked):
    twice = dataclasses.replace(asked, color=asked.color[:, :1].expand_as(asked.color))
    assert bd.who(drawn(twice), asked)["parts"] == 0


def test_both_ears_get_the_same_painter_and_know_nothing():
    known = small.load("glide", "shapes").state_dict()
    for ear in bd.EARS:
        model = bd.painter(ear)
        own = {k for k in model.state_dict() if k.startswith("net.")}
        assert own == {k for k in known if k.startswith("net.")}
        assert all(model.state_dict()[k].equal(known[k]) for k in own)
    reader = bd.painter("caption").state_dict()
    assert not reader["words.embedding.weight"].equal(known["words.embedding.weight"])
    assert not any(k.startswith("facts") for k in reader)
    with pytest.raises(ValueError, match="ear expected"):
        bd.painter("picture")


def test_both_ears_learn_from_the_same_noisy_pictures():
    batch = {k: v[:8] for k, v in bd.told(fo.sample(8, 2, seed=2)).columns().items()}
    assert set(batch) == {"image", "tokens", "mask", "picture"}
    batch["image"] = to_float(batch["image"])
    seen = []
    for ear in bd.EARS:
        model = bd.painter(ear)
        model.net.register_forward_pre_hook(lambda net, given: seen.append(given[:2]))
        model.loss(batch, generator=generator(3))
    assert len(seen) == 2 and seen[0][0].equal(seen[1][0])
    assert seen[0][1].equal(seen[1][1])


def test_all_directions_are_equally_loud_and_none_is_lost():
    z = torch.randn(500, 6, generator=generator(0)).double()
    z = 1 + z * torch.tensor([9, 3, 1, 0.3, 0.1, 0.01]).double()
    turn = torch.linalg.qr(torch.randn(6, 6, generator=generator(1)).double())[0]
    z = z @ turn
    even = bd.evened(z)
    assert even(z).mean(0).abs().max() < 1e-9
    assert torch.allclose(even(z).T.cov(), torch.eye(6).double() / 6, atol=1e-9)
    # an affine map that can be undone: differences keep their order along each axis
    assert torch.linalg.matrix_rank(even(z)) == 6
    assert torch.allclose(even(z)[:7], even(z[:7]))
    assert bd.evened(z[:3])(z[:3]).isfinite().all()


def test_clip_notices_other_colors_and_hardly_an_exchange(asked):
    found = bd.liked(bd.sample(150, seed=4))
    assert found["other"] > 0.97 and 0.4 < found["exchanged"] < 0.7


def test_what_clip_prefers_is_the_true_caption(asked, monkeypatch):
    # a CLIP that reads a scene's first color, by its caption
    words = [f"{color}" for color in range(8)]
    monkeypatch.setattr(un, "seen", lambda image: torch.eye(8)[first])
    monkeypatch.setattr(fo, "texts", lambda s: [words[i] for i in s.color[:, 0]])

    def read(texts):
        said = torch.eye(8)[[words.index(word) for word in texts]]
        return un.Caption(said, said, said)

    monkeypatch.setattr(un, "read", read)
    first = asked.color[:, 0].long()
    assert bd.liked(asked) == {"exchanged": 1, "other": 1}
    first = asked.color[:, 1].long()
    assert bd.liked(asked)["exchanged"] == 0


def test_pictures_of_the_page_are_kept_without_loss(asked, monkeypatch, tmp_path):
    monkeypatch.setattr(bd, "FOLDER", tmp_path)
    bd.keep("caption", asked.render(fo.SIDE))
    assert bd.shown("caption").equal(asked.render(fo.SIDE)[: bd.SHOWN])
    for act in (bd.shown, lambda kind: bd.keep(kind, asked.render(fo.SIDE))):
        with pytest.raises(ValueError, match="kind expected"):
            act("words")
