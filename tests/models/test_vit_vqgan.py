"""ViT-VQGAN: codes by direction, patches there and back, two players, a start."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from mmdl_lib.core import generator
from mmdl_lib.models.vit_vqgan import NormedCodebook, PlainCodebook, ViTVQGAN
from mmdl_lib.models.vqgan import hinge_loss
from mmdl_lib.nn.codebook import codebook_loss, commitment_loss


def make(name="tiny", **changes):
    torch.manual_seed(0)
    return ViTVQGAN(replace(ViTVQGAN.PRESETS[name], **changes))


def batch_of(model, n=4):
    return ViTVQGAN.example_batch(model.config, n, generator=generator(1))


def learned(model, phase="generator"):
    """Gradients of one player, and its terms."""
    model.zero_grad()
    terms = model.loss(batch_of(model), phase=phase)
    terms["loss"].backward()
    return [p.grad.clone() for p in model.trainable(phase)], terms


# the codebook


def test_codes_do_not_depend_on_the_length_of_a_vector():
    torch.manual_seed(0)
    book = NormedCodebook(32, 12, 4)
    z = torch.randn(50, 12, generator=generator(1))
    length = torch.rand(50, 1, generator=generator(2)) * 9 + 0.1
    assert torch.equal(book.nearest(z), book.nearest(length * z))
    assert torch.allclose(book(z)[0], book(length * z)[0], atol=1e-5)
    # codes of another length are the same codes
    before = book.nearest(z)
    book.book.codes.data *= torch.rand(32, 1, generator=generator(3)) * 9 + 0.1
    assert torch.equal(book.nearest(z), before)
    # the plain codebook does depend on it
    short = book.down(z)
    assert not torch.equal(book.book.nearest(short), book.book.nearest(9 * short))


def test_the_nearest_direction_is_that_of_the_smallest_distance_on_the_sphere():
    torch.manual_seed(0)
    book = NormedCodebook(32, 12, 4)
    z = torch.randn(50, 12, generator=generator(1))
    one = book.directions(z)
    assert torch.allclose(one.norm(dim=1), torch.ones(50), atol=1e-6)
    distance = torch.cdist(one, F.normalize(book.book.codes, dim=1))
    assert torch.equal(book.nearest(z), distance.argmin(1))
    q, index = book(z)
    assert torch.allclose(q, book.look(index), atol=1e-6)


def test_the_lookup_lets_the_gradient_through_and_its_loss_moves_both_sides():
    torch.manual_seed(0)
    book = NormedCodebook(8, 12, 4)
    z = torch.randn(5, 12, generator=generator(1), requires_grad=True)
    q, index = book(z)
    q.square().sum().backward()
    assert z.grad.abs().sum() > 0 and book.book.codes.grad is None
    loss = book.loss(z, index, commitment=0.25)
    one, code = book.directions(z), F.normalize(book.book.codes[index], dim=1)
    assert torch.isclose(loss, 1.25 * (one - code).square().mean())
    loss.backward()
    assert book.book.codes.grad.abs().sum() > 0
    # without commitment the encoder's side gets nothing
    z.grad = None
    book.loss(z, index, commitment=0.0).backward()
    assert z.grad is None or z.grad.abs().sum() == 0


def test_the_plain_codebook_is_that_of_the_vqvae():
    torch.manual_seed(0)
    book = PlainCodebook(16, 6)
    z = torch.randn(9, 6, generator=generator(1), requires_grad=True)
    q, index = book(z)
    assert torch.allclose(q, book.look(index), atol=1e-6)
    q.sum().backward()
    assert torch.equal(z.grad, torch.ones_like(z))
    kept = book.look(index)
    said = codebook_loss(z, kept) + 0.5 * commitment_loss(z, kept)
    assert torch.isclose(book.loss(z, index, 0.5), said)


# there and back


def test_a_patch_comes_back_to_its_place():
    model = make().eval()
    side, patch = model.config.grid, model.config.patch
    with torch.no_grad():
        # the decoder says the number of a place, for each pixel of its patch
        model.decoder.blocks = torch.nn.ModuleList()
        model.write_places.table.zero_()
        model.norm_write = torch.nn.Identity()
        model.paint.weight.zero_()
        model.paint.weight[:, 0] = 1
        model.paint.bias.copy_(torch.arange(12) / 1000)
        q = torch.zeros(1, side, side, model.config.width)
        q[0, ..., 0] = torch.arange(side**2).view(side, side)
        image = model.decoded(q)
    assert image.shape == (1, 3, side * patch, side * patch)
    place, pixel = image.floor(), (image - image.floor()) * 1000
    # the place (row 1, column 2), and in it the pixel below on the left, in blue
    assert place[0, 2, 3, 4] == 1 * side + 2
    assert pixel[0, 2, 3, 4].round() == 2 * patch**2 + 1 * patch + 0


def test_every_code_has_seen_the_whole_picture_and_every_pixel_all_codes():
    model = make().eval()
    image = batch_of(model, 1)["image"].requires_grad_()
    model.vectors(image)[0, 0, 0].square().sum().backward()
    assert (image.grad.abs().sum((0, 1)) > 0).all()
    q = torch.randn(1, 4, 4, 16, generator=generator(2), requires_grad=True)
    model.decoded(q)[0, :, 0, 0].sum().backward()
    assert (q.grad.abs().sum((0, 3)) > 0).all()


def test_rows_of_codes_are_the_grid_in_reading_order():
    model = make().eval()
    image = batch_of(model)["image"]
    codes = model.encode(image)
    assert torch.equal(codes, model.tokens(image).flatten(1))
    assert codes[0, 1] == model.tokens(image)[0, 0, 1]
    back = model.decode(codes)
    assert torch.equal(back, model.from_tokens(model.tokens(image)))
    assert back.abs().max() <= 1


@pytest.mark.parametrize("name", ["tiny", "tiny, plain"])
def test_it_begins_at_vectors_of_pictures(name):
    model = make(name).eval()
    image = batch_of(model)["image"]
    model.begin(image, generator=generator(0))
    with torch.no_grad():
        z = model.vectors(image)
        near = model.codebook.directions(z) if "plain" not in name else z
        codes = model.codebook.book.codes if "plain" not in name else None
        codes = model.codebook.codes if codes is None else codes
    # every code is a vector, which therefore chooses it
    assert torch.cdist(codes, near.flatten(0, 2)).min(1).values.max() < 0.01


# two players


def test_the_loss_is_the_weighted_sum_of_its_terms():
    model = make(commitment=0.5)
    maps = torch.nn.Conv2d(3, 4, 3)
    model.perceive_with(lambda image: [maps(image)])
    _, terms = learned(model)
    said = terms["codes"] + terms["rebuilt"]
    said = said + 0.1 * terms["features"] + 0.1 * terms["fooled"]
    assert torch.isclose(terms["loss"], said) and terms["features"] > 0
    image = batch_of(model)["image"]
    z = model.vectors(image)
    q, index = model.codebook(z)
    assert torch.isclose(terms["codes"], model.codebook.loss(z, index, 0.5))
    rebuilt = model.decoded(q)
    assert torch.isclose(terms["rebuilt"], (rebuilt - image).square().mean())
    assert torch.isclose(terms["fooled"], -model.discriminator(rebuilt).mean())


def test_the_judge_tells_pictures_from_rebuilt_ones():
    model = make()
    real = batch_of(model)["image"]
    for weight in model.discriminator.parameters():
        weight.data *= 3  # loud enough that the two sides differ
    with torch.no_grad():
        fake = model.decoded(model.codebook(model.vectors(real))[0])
        said = hinge_loss(model.discriminator(real), model.discriminator(fake))
        swapped = hinge_loss(model.discriminator(fake), model.discriminator(real))
    got = model.loss(batch_of(model), phase="discriminator")["loss"]
    assert torch.isclose(got, said) and not torch.isclose(got, swapped, atol=1e-3)


def test_before_the_start_the_players_train_as_if_there_were_no_adversary():
    late, silent = make(start=2), make(adversarial=0.0)
    pairs = zip(learned(late)[0], learned(silent)[0], strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert all(g.abs().sum() == 0 for g in learned(late, "discriminator")[0])
    for step in range(2):
        assert late.counts() == 0
        late.after_step(step, phase="discriminator")
        late.after_step(step, phase="generator")
    assert late.begun == 2
    pairs = zip(learned(late)[0], learned(silent)[0], strict=True)
    assert not all(torch.equal(a, b) for a, b in pairs)
    assert any(g.abs().sum() > 0 for g in learned(late, "discriminator")[0])


def test_each_player_moves_itself_alone():
    model = make()
    mine = {id(p) for p in model.trainable("generator")}
    other = {id(p) for p in model.trainable("discriminator")}
    assert not mine & other
    assert mine | other == {id(p) for p in model.parameters()}
    model.zero_grad()
    model.loss(batch_of(model), phase="discriminator")["loss"].backward()
    assert all(p.grad is None for p in model.trainable("generator"))


# borders


def test_bad_input_is_refused_in_one_sentence():
    model = make().eval()
    with pytest.raises(ValueError, match="multiple of 3, got 8"):
        make(patch=3)
    with pytest.raises(ValueError, match="perceptual"):
        make(perceptual=-1.0)
    with pytest.raises(ValueError, match=r"shape \(b, 4, 4\)"):
        model.from_tokens(torch.zeros(1, 4, 5, dtype=torch.long))
    with pytest.raises(ValueError, match=r"shape \(b, 16\)"):
        model.decode(torch.zeros(1, 15, dtype=torch.long))
    with pytest.raises(ValueError, match="codes"):
        model.decode(torch.full((1, 16), 16))
    with pytest.raises(ValueError, match="tokens"):
        model.from_tokens(torch.full((1, 4, 4), -1))
    with pytest.raises(ValueError, match="image"):
        model.tokens(torch.zeros(1, 3, 16, 16))
    with pytest.raises(ValueError):
        model.encode(torch.full((1, 3, 8, 8), 2.0))
