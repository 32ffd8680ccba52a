"""A training step of our codebook beside vector_quantize_pytorch's.

Run: python benchmarks/vq_step.py [--repeats N] [--seconds S] [--out FILE]

Both sides run in one process, in turns, with one thread, on the same vectors: nearest
codes, straight-through gradient, commitment, moving averages, without revival. Ours may
take 1.02 times as long. `--out` keeps the numbers as JSON, those of this folder are in
vq_step.json.
"""

from functools import partial

import torch
from unet_step import compare

CASES = {  # vectors, codes, width
    "small": (4096, 256, 8),
    "large": (4096, 1024, 64),
}


def sides(n: int, size: int, width: int):
    """One step of each side."""
    from vector_quantize_pytorch import VectorQuantize

    from mmdl_lib.nn.codebook import MovingCodebook, commitment_loss, straight_through

    torch.manual_seed(0)
    z = torch.randn(64, n // 64, width, requires_grad=True)
    book = MovingCodebook(size, width, decay=0.99)
    options = {"decay": 0.99, "commitment_weight": 0.25, "threshold_ema_dead_code": 0}
    peer = VectorQuantize(dim=width, codebook_size=size, **options).train()
    codes = torch.randn(size, width)
    book.codes.copy_(codes)
    book.total.copy_(codes)
    peer._codebook.embed.data.copy_(codes[None])
    peer._codebook.embed_avg.data.copy_(codes[None])

    def ours():
        z.grad = None
        q, index = book(z)
        loss = straight_through(z, q).square().mean() + 0.25 * commitment_loss(z, q)
        loss.backward()
        book.follow(z, index)

    def theirs():
        z.grad = None
        q, _, commitment = peer(z)
        (q.square().mean() + commitment.sum()).backward()

    return ours, theirs


if __name__ == "__main__":
    compare({name: partial(sides, *case) for name, case in CASES.items()}, "VQ")
