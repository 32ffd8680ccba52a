"""ViT-VQGAN's codebook beside vector-quantize-pytorch's."""

import torch
import torch.nn.functional as F
from vector_quantize_pytorch import VectorQuantize

from mmdl_lib.core import generator
from mmdl_lib.models.vit_vqgan import NormedCodebook


@torch.no_grad()
def test_a_known_codebook_agrees_on_normed_codes(agree):
    torch.manual_seed(0)
    book = NormedCodebook(32, 12, 4)
    peer = VectorQuantize(dim=4, codebook_size=32, use_cosine_sim=True).eval()
    codes = F.normalize(book.book.codes, dim=-1)
    peer._codebook.embed.copy_(codes[None])
    z = 3 * torch.randn(2, 50, 12, generator=generator(1))
    q, index, _ = peer(book.down(z))
    names = {"ours": "mmdl_lib.models.vit_vqgan.NormedCodebook"}
    names |= {"package": "vector-quantize-pytorch", "reference": "its cosine codebook"}
    mine, ours = book(z)
    agree("numbers of codes", ours.tolist(), index.tolist(), tolerance=0, **names)
    agree("what is read", mine, book.up(q), tolerance=1e-6, **names)
