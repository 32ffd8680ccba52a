"""Our codebook beside two public ones: same codes, same losses, same averages."""

import pytest
import torch
from taming.modules.vqvae.quantize import VectorQuantizer2
from vector_quantize_pytorch import VectorQuantize

from mmdl_lib.core import generator
from mmdl_lib.nn.codebook import (
    Codebook,
    MovingCodebook,
    codebook_loss,
    commitment_loss,
    straight_through,
)

OURS = {"ours": "mmdl_lib.models.vqvae", "tolerance": 1e-5}
TAMING = {
    "package": "taming-transformers-rom1504",
    "reference": "taming-transformers (authors of VQGAN)",
}
AVERAGES = {
    "package": "vector-quantize-pytorch",
    "reference": "vector-quantize-pytorch",
}


def vectors(d=4):
    return torch.randn(3, d, 5, 5, generator=generator(0))


def pair(legacy):
    """The quantizer of taming-transformers and ours with equal codes."""
    peer = VectorQuantizer2(16, 4, beta=0.25, legacy=legacy)
    book = Codebook(16, 4)
    codes = torch.randn(16, 4, generator=generator(1))
    for weight in (peer.embedding.weight, book.codes):
        weight.data.copy_(codes)
    return peer, book


def gradients(loss, *inputs):
    return torch.autograd.grad(loss, inputs)


def both(legacy):
    """Loss with its gradients for vectors and codes: of the peer, and of ours."""
    peer, book = pair(legacy)
    z = vectors().requires_grad_()
    theirs, loss, (_, _, chosen) = peer(z)
    rows = z.permute(0, 2, 3, 1)
    q, index = book(rows)
    ours = codebook_loss(rows, q) + 0.25 * commitment_loss(rows, q)
    assert torch.equal(index.flatten(), chosen.flatten())
    passed = straight_through(rows, q).permute(0, 3, 1, 2)
    assert torch.allclose(theirs, passed)
    upstream = torch.randn(theirs.shape, generator=generator(2))
    one = gradients((theirs * upstream).sum(), z)
    assert torch.allclose(*one, *gradients((passed * upstream).sum(), z))
    return (
        (loss, *gradients(loss, z, peer.embedding.weight)),
        (ours, *gradients(ours, z, book.codes)),
    )


def test_codes_losses_and_gradients_are_those_of_taming_transformers(agree):
    theirs, ours = both(legacy=False)
    names = ("loss", "gradient for the vectors", "gradient for the codes")
    for name, mine, other in zip(names, ours, theirs, strict=True):
        agree(f"codebook, {name}", mine, other, **OURS, **TAMING)


def test_its_default_has_beta_on_the_other_side():
    theirs, ours = both(legacy=True)
    assert torch.allclose(theirs[0], ours[0])  # the value cannot tell
    assert torch.allclose(theirs[1], 4 * ours[1])  # the encoder's part
    assert torch.allclose(4 * theirs[2], ours[2])  # the codes' part


def moving(decay=0.9, size=8, d=4):
    peer = VectorQuantize(
        dim=d,
        codebook_size=size,
        decay=decay,
        commitment_weight=1.0,
        threshold_ema_dead_code=0,
    )
    book = MovingCodebook(size, d, decay=decay)
    inner = peer._codebook
    codes = torch.randn(size, d, generator=generator(1))
    book.codes.copy_(codes)
    book.total.copy_(codes)
    inner.embed.data.copy_(codes[None])
    inner.embed_avg.data.copy_(codes[None])
    inner.cluster_size.data.fill_(1.0)
    return peer.train(), book


def test_moving_averages_are_those_of_vector_quantize_pytorch(agree):
    peer, book = moving()
    for step in range(5):
        z = torch.randn(3, 7, 4, generator=generator(10 + step))
        theirs, chosen, loss = peer(z)
        q, index = book(z)
        assert torch.equal(index, chosen)
        assert torch.allclose(theirs, straight_through(z, q), atol=1e-6)
        # it returns the commitment term alone
        assert loss.item() == pytest.approx(commitment_loss(z, q).item(), rel=1e-5)
        book.follow(z, index)
        inner = peer._codebook
        assert torch.allclose(inner.cluster_size[0], book.count, atol=1e-5)
        assert torch.allclose(inner.embed_avg[0], book.total, atol=1e-5)
        assert torch.allclose(inner.embed[0], book.codes, atol=1e-4)
    agree(
        "codebook, codes after five steps",
        book.codes,
        inner.embed[0],
        **OURS | {"tolerance": 1e-4},
        **AVERAGES,
    )


def test_the_parity_of_averages_notices_another_decay():
    peer, book = moving()
    z = torch.randn(3, 7, 4, generator=generator(10))
    peer(z)
    book.decay = 0.8
    book.follow(z, book.nearest(z))
    assert not torch.allclose(peer._codebook.embed[0], book.codes, atol=1e-4)
