"""Pairs of scenes and what is drawn between them; readers of several sizes."""

import dataclasses

import torch

from mmdl_lib.core import generator
from mmdl_lib.data.shapes import COLORS, to_float
from mmdl_lib.lab import frozen as fz
from mmdl_lib.lab import one_object as oo
from mmdl_lib.lab import readers as rd
from mmdl_lib.lab import unclip as un
from mmdl_lib.models.imagen import Imagen


def drawn(scenes):
    return oo.larger(to_float(scenes.render(oo.SIDE)))


def test_couples_differ_in_color_and_in_shape():
    one, two = un.couples(40, seed=1)
    assert len(one) == len(two) == 40
    for part in ("color", "shape"):
        assert (getattr(one, part)[:, 0] != getattr(two, part)[:, 0]).all()


def test_the_ends_of_a_way_are_the_first_and_the_second_picture():
    one, two = un.couples(40, seed=1)
    found = un.whose(drawn(one), one, two)
    assert found["single"] == found["first color"] == found["first shape"] == 1
    assert found["third color"] == found["crossed"] == 0
    found = un.whose(drawn(two), one, two)
    assert found["second color"] == found["second shape"] == 1
    assert found["first color"] == found["third shape"] == 0


def test_a_third_picture_is_of_neither_and_an_exchange_is_crossed():
    one, two = un.couples(40, seed=1)
    mixed = dataclasses.replace(one, color=two.color)
    found = un.whose(drawn(mixed), one, two)
    assert found["crossed"] == found["second color"] == found["first shape"] == 1
    both = torch.stack([one.color[:, 0], two.color[:, 0]])
    third = [min({*range(8)} - {*pair}) for pair in both.T.tolist()]
    color = torch.tensor(third).to(one.color)[:, None].expand_as(one.color)
    mixed = dataclasses.replace(one, color=color)
    found = un.whose(drawn(mixed), one, two)
    assert found["third color"] == 1 and found["crossed"] == 0
    assert found["mixed by chance"] == 1 / 6 and 0 < found["mixed"] < 1


def test_red_and_yellow_mix_to_orange():
    assert un._mixed("red", "yellow") == un._mixed("yellow", "red") == "orange"
    one, two = un.couples(40, seed=1)
    names = [
        (a.color, b.color)
        for (a,), (b,) in zip(one.things(), two.things(), strict=True)
    ]
    mixed = torch.tensor([COLORS.index(un._mixed(*pair)) for pair in names])
    color = mixed.to(one.color)[:, None].expand_as(one.color)
    found = un.whose(drawn(dataclasses.replace(one, color=color)), one, two)
    assert found["mixed"] == 1


def test_pictures_with_no_object_are_no_one_s():
    one, two = un.couples(8, seed=1)
    found = un.whose(torch.zeros(8, 3, 32, 32), one, two)
    assert set(found.values()) == {0}


def test_a_reader_is_frozen_and_its_words_are_centered_and_as_wide_as_all():
    how = {"width": 8, "depth": 1, "heads": 2, "lr": 1e-2}
    reader = rd.sized(0, steps=2, **how)
    words, mask = fz.read(reader, fz.sentences())
    assert words.shape[2] == rd.WIDTH and not words[..., 8:].any()
    assert words[mask].mean(0).abs().max() < 1e-5 < words[..., :8].abs().max()
    assert not any(p.requires_grad for p in reader.parameters())


def test_names_of_captions_and_new_names_are_counted_apart():
    reader = rd.sized(0, steps=1, width=8, depth=1, heads=2, lr=1e-2)
    asked = fz.asked(16, seed=0)

    class Net(Imagen):  # right for names that captions have, not for others
        PRESETS = {}
        calls = 0

        def sample(self, words, mask, **how):
            self.calls += 1
            image = fz.rendered(asked, 8)
            return image if self.calls < 3 else image.roll(1, 0)

    found = rd.heard(Net(Imagen.PRESETS["tiny"]), reader, asked, generator(0))
    assert found["known"] == 1 and found["new"] < 0.6
    assert abs(found["all"] - (2 + found["new"]) / 3) < 1e-9
