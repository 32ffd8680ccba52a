"""Frozen readers of several sizes that have read the same, for one net that draws.

Their words are filled up with zeros to one width, so that the net that hears them is
the same, number by number, behind each of them.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mmdl_lib.data.shapes import Scenes
from mmdl_lib.lab import frozen as fz
from mmdl_lib.lab import one_object as oo
from mmdl_lib.lab import runs
from mmdl_lib.lab import unclip as un
from mmdl_lib.models.bert import BERT, BERTConfig
from mmdl_lib.models.imagen import Imagen

WIDTH = 64  # that of the largest


class Padded(nn.Module):
    """A reader whose words are centered and filled up with zeros.

    Args:
        model: the reader, of at most `WIDTH`.
        middle: what is subtracted from each word.
    """

    def __init__(self, model: BERT, middle: Float[Tensor, " d"]):
        super().__init__()
        self.model = model
        self.register_buffer("middle", middle)

    def hidden(
        self, tokens: Int[Tensor, "b t"], mask: Bool[Tensor, "b t"]
    ) -> Float[Tensor, "b t w"]:
        """As `BERT.hidden`, in the common width."""
        words = self.model.hidden(tokens, mask) - self.middle
        return F.pad(words, (0, WIDTH - words.shape[2]))


def sized(
    seed: int, *, width: int, depth: int, heads: int, steps: int, lr: float
) -> Padded:
    """A reader of a size after so many steps on the sentences of `frozen`; frozen.

    Args:
        seed: of weights and batches.
        width, depth, heads: its size.
        steps: of 64 sentences, one word of each hidden.
        lr: rate.
    """
    torch.manual_seed(seed)
    size = {"width": width, "depth": depth, "heads": heads, "positions": fz.LENGTH}
    vocab = fz.tokenizer().vocab
    model = fz.Reader(BERTConfig(vocab=vocab, dropout=0.0, **size, **fz.SPECIALS))
    tokens, mask = fz.tokenizer()(fz.sentences())
    batches = runs.rows(64, seed, tokens=tokens, mask=mask)
    runs.train(model, batches, steps=steps, lr=lr, seed=seed)
    model.eval().requires_grad_(False)
    words = model.hidden(tokens, mask)[mask]
    return Padded(model, words.mean(0))


def heard(net: Imagen, reader: Padded, asked: Scenes, generator) -> dict[str, float]:
    """Shares of the pictures with the asked color for names of captions (`known`), of
    sentences only (`new`), and all three names of each color (`all`); and CLIP's mean
    cosine with the caption that has the plain name."""
    shares, liked = [], []
    text = un.read(oo.texts(asked)).text
    for which in range(3):
        said = fz.captions(asked, torch.full((len(asked),), which))
        how = {"scale": 2, "steps": 10, "generator": generator}
        image = fz.drawn(net, reader, said, **how)
        shares.append(fz.hue_right(image, asked))
        large = F.interpolate(image, (32, 32), mode="nearest")
        liked.append((un.seen(large) * text).sum(1).mean().item())
    found = {"known": sum(shares[:2]) / 2, "new": shares[2]}
    return found | {"all": sum(shares) / 3, "cosine": sum(liked) / 3}
