"""The small world and the measure of edges."""

import pytest
import torch
import torch.nn.functional as F

from mmdl_lib.data.shapes import to_float
from mmdl_lib.lab import autoencoding as ae
from mmdl_lib.models.vae import VAE, VAEConfig


def test_edges_of_equal_pictures_are_all_there_and_blur_takes_them_away():
    image = to_float(ae.pictures(40, seed=0))
    blurred = F.avg_pool2d(F.pad(image, (1, 1, 1, 1), mode="replicate"), 3, 1)
    more = F.avg_pool2d(F.pad(blurred, (1, 1, 1, 1), mode="replicate"), 3, 1)
    assert ae.sharpness(image, image) == 1
    assert 1 > ae.sharpness(blurred, image) > ae.sharpness(more, image) > 0
    assert ae.sharpness(torch.zeros_like(image), image) == 0
    assert ae.sharpness(image / 2, image) == pytest.approx(0.25)


def test_noise_is_not_taken_for_less_than_an_edge():
    """The measure's quirk: noise counts as edges, so look at the pictures, too."""
    image = to_float(ae.pictures(40, seed=0))
    noise = 2 * torch.rand(image.shape, generator=torch.Generator().manual_seed(0)) - 1
    assert ae.sharpness(noise, image) > 1


def test_pictures_without_edges_and_other_numbers_are_refused(as_a_reader):
    image = to_float(ae.pictures(4, seed=0))
    with pytest.raises(ValueError, match="with edges, got plain"):
        ae.sharpness(image, torch.zeros_like(image))
    with pytest.raises(ValueError, match="as many as"):
        ae.sharpness(image[:2], image)
    with pytest.raises(ValueError, match="rebuilt expected pixels"):
        ae.sharpness(3 * image, image)


def test_features_have_a_gradient_for_the_picture_and_none_for_the_net():
    image = to_float(ae.pictures(2, seed=0)).requires_grad_()
    maps = ae.perception(image)
    assert len(maps) == 2
    sum(m.sum() for m in maps).backward()
    assert image.grad.abs().sum() > 0
    assert all(not p.requires_grad for p in ae._judge().parameters())


def dependence(model):
    """Which pixel (column) the logit of which pixel (row) depends on; and on z."""
    image, z = torch.zeros(1, 1, 8, 8), torch.randn(1, 4)
    given = image.requires_grad_(), z.requires_grad_()
    rows, code = [], []
    for out in model.logits(*given).flatten():
        pixel, z_part = torch.autograd.grad(
            out, given, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        rows.append(pixel.flatten() != 0)
        code.append(bool((z_part != 0).any()))
    return torch.stack(rows), code


@pytest.mark.parametrize("kind", [ae.BinaryVAE, ae.SeeingVAE])
def test_a_pixel_hears_of_pixels_before_it_only_and_always_of_the_code(kind):
    torch.manual_seed(0)
    model = kind(VAE.PRESETS["tiny"])
    seen, code = dependence(model)
    assert all(code)
    place = torch.arange(64)
    before = place[None] < place[:, None]
    assert torch.equal(seen, before & (kind is not ae.BinaryVAE))


def test_the_chances_of_all_binary_pictures_add_up_to_one():
    torch.manual_seed(0)
    config = VAEConfig(image_size=3, latent=2, width=8)
    bits = torch.cartesian_prod(*9 * [torch.tensor([-1.0, 1.0])]).view(-1, 1, 3, 3)
    for kind in (ae.BinaryVAE, ae.SeeingVAE):
        model = kind(config)
        z = torch.randn(1, 2).expand(len(bits), -1)
        mass = model.log_likelihood(bits, z).double().exp().sum()
        torch.testing.assert_close(mass.item(), 1.0, atol=1e-4, rtol=0)


def test_the_code_is_heard_on_two_ways():
    torch.manual_seed(0)
    for gone in ("decoder", "code"):
        model = ae.SeeingVAE(VAE.PRESETS["tiny"])
        for parameter in getattr(model, gone).parameters():
            torch.nn.init.zeros_(parameter)
        _, code = dependence(model)
        # the first pixel hears units that see no pixel, so even it hears both ways
        assert all(code), gone
