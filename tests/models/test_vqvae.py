"""The codebook: gradients, the side of beta, moving averages, collapse and revival."""

import pytest
import torch
import torch.nn.functional as F

from mmdl_lib.core import generator
from mmdl_lib.models.vqvae import VQVAE, MovingVQVAE
from mmdl_lib.nn.codebook import (
    Codebook,
    MovingCodebook,
    codebook_loss,
    commitment_loss,
    straight_through,
    usage,
)

KINDS = [VQVAE, MovingVQVAE]
each = pytest.mark.parametrize("kind", KINDS)


def make(kind=VQVAE, **change):
    torch.manual_seed(0)
    config = kind.PRESETS["tiny"]
    return kind(type(config)(**vars(config) | change))


def batch_of(model, n=4):
    return type(model).example_batch(model.config, n, generator=generator(1))


def clusters(k=6, d=3, n=600):
    """Vectors around k places, far apart."""
    g = generator(2)
    middle = 10 * torch.randn(k, d, generator=g)
    where = torch.arange(n) % k
    return middle[where] + 0.1 * torch.randn(n, d, generator=g), where


def test_the_nearest_code_is_that_of_brute_force():
    book = Codebook(16, 4, spread=1.0)
    z = torch.randn(3, 5, 4, generator=generator(0))
    q, index = book(z)
    far = (z[..., None, :] - book.codes).square().sum(-1)
    assert torch.equal(index, far.argmin(-1))
    assert torch.equal(q, book.codes[index])
    assert torch.equal(book.look(index), q)


def test_half_precision_does_not_mistake_near_codes():
    book = Codebook(2, 1)
    book.codes.data = torch.tensor([[100.0], [100.1]])
    with torch.autocast("cpu", torch.bfloat16):
        assert book.nearest(torch.tensor([[100.09]])).item() == 1


def test_the_gradient_passes_exactly_from_the_code_to_the_vector():
    z = torch.randn(5, 3, generator=generator(0), requires_grad=True)
    q = torch.randn(5, 3, generator=generator(1), requires_grad=True)
    passed = straight_through(z, q)
    assert torch.allclose(passed, q)
    weights = torch.randn(5, 3, generator=generator(2))
    (weights * passed.square()).sum().backward()
    assert torch.allclose(z.grad, 2 * weights * q)  # dL/dz_q, taken at the code
    assert q.grad is None


def gradients(model, loss):
    """Whether a loss moves the encoder and the codes."""
    model.zero_grad()
    loss.backward()
    found = [p.grad for p in model.encoder.parameters()]
    encoder = any(g is not None and g.abs().sum() > 0 for g in found)
    codes = model.codebook.codes.grad
    return encoder, codes is not None and bool(codes.abs().sum() > 0)


def test_each_loss_moves_its_own_side():
    model = make()
    z = model.vectors(batch_of(model)["image"])
    assert gradients(model, codebook_loss(z, model.codebook(z)[0])) == (False, True)
    z = model.vectors(batch_of(model)["image"])
    assert gradients(model, commitment_loss(z, model.codebook(z)[0])) == (True, False)


def by_hand(z, q, target, model, *, commitment, codes):
    rebuilt = model.decoded(z + (q - z).detach())
    return (
        F.mse_loss(rebuilt, target)
        + commitment * (z - q.detach()).square().mean()
        + codes * (z.detach() - q).square().mean()
    )


def same_gradients(*, commitment, codes):
    model, other = make(), make()
    image = batch_of(model)["image"]
    model.loss({"image": image})["loss"].backward()
    z = other.vectors(image)
    q, _ = other.codebook(z)
    by_hand(z, q, image, other, commitment=commitment, codes=codes).backward()
    pairs = zip(model.parameters(), other.parameters(), strict=True)
    return all(torch.allclose(a.grad, b.grad, atol=1e-6) for a, b in pairs)


def test_beta_weighs_the_commitment_of_the_encoder_and_not_the_codes():
    assert same_gradients(commitment=0.25, codes=1.0)
    assert not same_gradients(commitment=1.0, codes=0.25)  # the legacy version
    assert not same_gradients(commitment=0.25, codes=0.25)


def test_losses_after_the_straight_through_step_would_be_zero():
    """The wrong version: z is compared with what already has q's value."""
    model = make()
    z = model.vectors(batch_of(model)["image"])
    q, _ = model.codebook(z)
    assert codebook_loss(straight_through(z, q), q) < 1e-10 < codebook_loss(z, q)
    assert model.loss(batch_of(model))["commitment"] == commitment_loss(z, q)


def test_without_beta_only_the_picture_moves_the_encoder():
    image = batch_of(make())["image"]
    found = []
    for beta in (0.0, 0.25):
        model = make(commitment=beta)
        model.loss({"image": image})["loss"].backward()
        found.append([p.grad.clone() for p in model.parameters()])
    for name, a, b in zip(dict(make().named_parameters()), *found, strict=True):
        assert torch.allclose(a, b, atol=1e-7) == (not name.startswith("encoder")), name


def test_moving_codes_are_the_means_of_their_clusters():
    """With fixed vectors the averages end where k-means ends."""
    z, where = clusters()
    book = MovingCodebook(6, 3, decay=0.9)
    book.codes.copy_(z[:6] + 0.3)  # one near each cluster
    book.total.copy_(book.codes)
    for _ in range(200):
        book.follow(z, book.nearest(z))
    means = torch.stack([z[where == k].mean(0) for k in range(6)])
    assert torch.allclose(book.codes, means, atol=1e-4)
    assert torch.allclose(book.count, torch.full((6,), 100.0), atol=1e-3)


def test_averages_follow_the_formula():
    book = MovingCodebook(2, 1, decay=0.75)
    book.codes.copy_(torch.tensor([[0.0], [4.0]]))
    book.total.copy_(book.codes)
    z = torch.tensor([[1.0], [3.0], [1.0]])
    book.follow(z, torch.tensor([0, 1, 0]))
    assert torch.allclose(book.count, torch.tensor([1.25, 1.0]))
    assert torch.allclose(book.total, torch.tensor([[0.5], [3.75]]))
    assert torch.allclose(book.codes, torch.tensor([[0.4], [3.75]]), atol=1e-4)


def test_a_code_that_nobody_chooses_does_not_fly_away():
    book = MovingCodebook(2, 1, decay=0.5)
    book.codes.copy_(torch.tensor([[0.0], [4.0]]))
    book.total.copy_(book.codes)
    z = torch.zeros(10, 1)
    for _ in range(200):  # the count of the second code goes to zero
        book.follow(z, book.nearest(z))
        assert torch.isfinite(book.codes).all()
        assert book.codes.abs().max() <= 4


def test_a_batch_is_coded_by_the_codes_that_it_found():
    model = make(MovingVQVAE).train()
    image = batch_of(model)["image"]
    z = model.vectors(image)
    expected = commitment_loss(z, model.codebook(z)[0])
    assert torch.equal(model.loss({"image": image})["commitment"], expected)
    # and the codes have moved afterwards
    assert not torch.equal(model.loss({"image": image})["commitment"], expected)


@each
def test_in_eval_mode_no_code_moves(kind):
    model = make(kind).eval()
    before = model.codebook.codes.clone()
    model.loss(batch_of(model))
    assert torch.equal(model.codebook.codes, before)


def used(book, z, steps=100):
    for step in range(steps):
        book.follow(z, book.nearest(z), generator=generator(step))
    return usage(book.nearest(z), book.size)


def test_dead_codes_come_to_life_on_the_batch():
    z, _ = clusters()
    torch.manual_seed(0)
    still = used(MovingCodebook(6, 3, decay=0.9), z)
    woken = used(MovingCodebook(6, 3, decay=0.9, revive=1.0), z)
    assert still.used < 6  # all codes start in one place, a few take everything
    assert woken.used == 6
    assert woken.perplexity > 5


def test_codes_placed_on_the_data_are_rows_of_it_and_new_each_seed():
    z, _ = clusters()
    for kind in (Codebook, MovingCodebook):
        book = kind(32, 3)
        book.place(z, generator=generator(0))
        assert (book.codes[:, None] == z).all(-1).any(1).all()
        first = book.codes.clone()
        book.place(z, generator=generator(1))
        assert not torch.equal(first, book.codes)


def test_usage_is_of_the_whole_set():
    assert usage(torch.arange(8), 8) == (8, 8.0)
    assert usage(torch.zeros(9, dtype=torch.long), 8) == (1, 1.0)
    three = usage(torch.tensor([0, 0, 1, 1, 2, 2, 2, 2]), 8)
    assert three.used == 3 and three.perplexity == pytest.approx(2**1.5)
    # one small batch cannot use more codes than it has vectors
    index = torch.randint(8, (800,), generator=generator(0))
    parts = [usage(part, 8).perplexity for part in index.split(8)]
    assert sum(parts) / len(parts) < 0.8 * usage(index, 8).perplexity


@each
def test_tokens_make_the_picture_of_the_reconstruction(kind):
    model = make(kind).eval()
    image = batch_of(model)["image"]
    tokens = model.tokens(image)
    assert tokens.shape == (4, 2, 2) and tokens.max() < 16
    assert torch.equal(model.from_tokens(tokens), model.reconstruct(image))


def test_bad_input_is_one_sentence(as_a_reader):
    model, book = make(), Codebook(4, 3)
    bad = {
        "image expected shape": lambda: model.tokens(torch.zeros(1, 3, 4, 4)),
        "index expected numbers from 0 to 15": lambda: model.from_tokens(
            torch.full((1, 2, 2), 16)
        ),
        "vectors expected a last axis of 3": lambda: book(torch.zeros(2, 4)),
        "at least one row": lambda: book.place(torch.zeros(0, 3)),
        "index expected at least one": lambda: usage(torch.zeros(0).long(), 4),
        "decay expected": lambda: MovingCodebook(4, 3, decay=1.5),
        "revive expected": lambda: MovingCodebook(4, 3, revive=-1.0),
        "size expected": lambda: Codebook(0, 3),
        "commitment expected": lambda: make(commitment=-0.1),
        "a multiple of 4": lambda: make(image_size=10),
    }
    for words, call in bad.items():
        with pytest.raises(ValueError, match=words):
            call()
