"""Holes: their kinds, boxes that hide one object, another second object, seams."""

import pytest
import torch

from mmdl_lib.core import generator
from mmdl_lib.data.shapes import HELD_OUT, to_float
from mmdl_lib.lab import few_objects as fo
from mmdl_lib.lab import holes
from mmdl_lib.models.glide import GLIDE
from mmdl_lib.nn.diffusion import known


def test_holes_are_of_four_kinds_as_often_as_they_say():
    mask = holes.random(2000, generator(0))
    assert mask.shape == (2000, 1, 32, 32) and mask.dtype == torch.bool
    hidden = ~mask[:, 0]
    count = hidden.sum((1, 2))
    whole = count == 1024
    rows, columns = hidden.any(2), hidden.any(1)
    filled = count == rows.sum(1) * columns.sum(1)
    half = filled & (count == 512) & (rows.all(1) | columns.all(1))
    box = filled & ~half & ~whole
    found = [part.double().mean() for part in (box, half, ~filled, whole)]
    # shares of 2,000 rows: four standard errors of a share of a half
    for share, wanted in zip(found, holes.SHARES, strict=True):
        assert abs(share - wanted) < 4 * (0.25 / 2000) ** 0.5
    # boxes have sides from 8 to 24 and reach every edge; brushes are in one piece
    for sides in (rows[box].sum(1), columns[box].sum(1)):
        assert sides.min() == 8 and sides.max() == 24
    assert hidden[box].any(0).all() and hidden[~filled].any(0).all()
    for one in hidden[~filled][:50]:  # each row of a brush is one run of pixels
        assert (one.int().diff(dim=1) == 1).sum(1).max() <= 1
        assert one.any(1).int().diff().eq(1).sum() <= 1  # and no row is left out
    # a half is any of the four
    starts = {(bool(h[0, 0]), bool(h[0, -1]), bool(h[-1, 0])) for h in hidden[half]}
    assert len(starts) == 4
    assert torch.equal(mask, holes.random(2000, generator(0)))


def test_a_box_hides_all_of_one_object_and_nothing_of_the_other():
    scenes = fo.sample(200, 2, seed=1)
    for number in (0, 1):
        mask = holes.around(scenes, number)[:, 0]
        own, other = (scenes.coverage(32)[:, i] > 0 for i in (number, 1 - number))
        assert not (own & mask).any()
        # a box may cut into its neighbor, but leaves nearly all of it
        assert (other & mask).sum() / other.sum() > 0.94


def test_another_object_is_asked_for_in_the_same_place():
    scenes = fo.sample(300, 2, seed=2)
    other = holes.changed(scenes, seed=3)
    for name in ("center", "size", "count", "row"):
        assert torch.equal(getattr(scenes, name), getattr(other, name))
    for name in ("color", "shape"):
        old, new = getattr(scenes, name), getattr(other, name)
        assert torch.equal(old[:, 0], new[:, 0])
        assert (old[:, 1] != new[:, 1]).double().mean() > 0.75
    things = [row[1] for row in other.things()]
    assert not {(t.color, t.shape) for t in things} & set(HELD_OUT)
    # nothing of the pictures changes where the mask knows them
    mask = holes.around(scenes, 1)
    image = [to_float(s.render(32)) for s in (scenes, other)]
    assert torch.equal(image[0] * mask, image[1] * mask)
    assert not torch.equal(*image)


def test_a_seam_is_the_mean_step_across_the_border_and_nowhere_else():
    mask = torch.ones(1, 1, 32, 32, dtype=torch.bool)
    mask[..., 10:20, 10:20] = False
    image = torch.zeros(1, 3, 32, 32)
    assert holes.seam(image, mask) == 0
    image[..., 12:18, 12:18] = 1.0  # inside: does not count
    image[..., :5, :] = -1.0  # nor outside
    assert holes.seam(image, mask) == 0
    image = torch.where(mask, 0.25, -0.5).expand(1, 3, 32, 32)
    assert holes.seam(image, mask) == pytest.approx(0.75)
    mask = torch.ones(1, 1, 32, 32, dtype=torch.bool)
    mask[..., 10:20, :] = False  # rows alone are hidden: no border to the sides
    image = torch.where(mask, 0.25, -0.5).expand(1, 3, 32, 32)
    assert holes.seam(image, mask) == pytest.approx(0.75)
    sides = holes.seam(image.mT, mask.mT)  # nor above and below
    assert sides == pytest.approx(0.75)
    image = image.clone()
    image[:, 0] = 0.0  # a mean over colors
    assert holes.seam(image, mask) == pytest.approx(0.5)


@pytest.mark.parametrize("name", ["tiny", "tiny-inpaint"])
def test_what_is_known_comes_back_and_the_net_is_told_nothing_of_it(name):
    torch.manual_seed(0)
    model = GLIDE.from_preset(name).eval()
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator(3))
    batch = GLIDE.example_batch(model.config, 3, generator=generator(1))
    mask = torch.rand(3, 1, 8, 8, generator=generator(2)) < 0.5
    given, beside = (batch["tokens"], batch["mask"]), {"known": mask}
    beside["image"] = batch["image"]
    image = holes.put_back(
        model, *given, beside, steps=3, scale=1, generator=generator(0)
    )
    assert torch.equal(image * mask, batch["image"] * mask)
    # by hand: the net as it draws with nothing beside it
    x = torch.randn(3, 3, 8, 8, generator=generator(0))
    extra = None if name == "tiny" else torch.zeros(3, 4, 8, 8)
    read = model.read(*given)

    def say(x, step):
        return model(x, step, read, extra)

    settle = known(beside["image"], mask)
    with torch.no_grad():
        wanted = model.diffusion.sample(say, x, steps=3, settle=settle)
    assert torch.equal(image, wanted)
