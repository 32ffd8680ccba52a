"""A cipher that needs every part of a Transformer, and Transformers that lack one.

A row is a key and some digits. Its translation is the digits, each plus the key, from
the last one to the first: places decide what comes when, the key has to reach every
digit, and a sum modulo five is no linear function of its terms.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from mmdl_lib.borders import check_choice, check_number
from mmdl_lib.core import generator
from mmdl_lib.models.transformer import KEYS, Transformer, TransformerConfig
from mmdl_lib.nn import PostNormBlock

DIGITS = 5
FIRST = 2  # the token of digit 0, behind start and end; keys stand behind the digits
SMALL = TransformerConfig(
    **{"vocab": FIRST + 2 * DIGITS, "width": 48, "depth": 1, "heads": 4},
    **{"dropout": 0.0, "smoothing": 0.0},
)


def cipher(n: int, seed: int, *, length: int = 9) -> dict[str, Tensor]:
    """`n` rows of a key and `length` digits, and their translations.

    Raises:
        ValueError: no row or no digit.
    """
    check_number("n", n, 1, whole=True)
    check_number("length", length, 1, whole=True)
    drawn = torch.randint(DIGITS, (n, length + 1), generator=generator(seed))
    key, digits = drawn[:, :1], drawn[:, 1:]
    start, end = torch.zeros_like(key), torch.ones_like(key)
    answer = FIRST + (digits.flip(1) + key) % DIGITS
    source = torch.cat([FIRST + DIGITS + key, FIRST + digits], 1)
    tokens = torch.cat([start, answer, end], 1)
    masks = {"source_mask": source >= 0, "mask": tokens >= 0}
    return {"source": source, "tokens": tokens} | masks


class NoResidual(PostNormBlock):
    """Each part's output replaces its input."""

    def add(self, x: Tensor, y: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        """Only the output."""
        return y


class NoNetwork(PostNormBlock):
    """The feed-forward network adds nothing."""

    def mlp(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        """Zeros."""
        return torch.zeros_like(x)


class Peeking(Transformer):
    """In training the decoder sees the tokens that it shall predict."""

    def logits(self, tokens, mask, source, source_mask):
        """As in `Transformer`, without the mask over later tokens."""
        given = {"memory": self.encode(source, source_mask)}
        given["memory_mask"] = source_mask
        return self.read_out(self.decoder(self.embed(tokens), mask, **given))


def _unscaled(block: PostNormBlock) -> None:
    for layer in (block.attention, block.cross):
        if layer is not None:
            layer.scale = 1.0


def _unnormed(block: PostNormBlock) -> None:
    block.norm1, block.norm2 = nn.Identity(), nn.Identity()
    if block.cross is not None:
        block.norm_cross = nn.Identity()


def _become(kind: type) -> Callable:
    return lambda thing: setattr(thing, "__class__", kind)


CONFIGS = {"positions": {"positions": "none"}, "heads": {"heads": 1}}
BLOCKS = {
    "scale": _unscaled,
    "norm": _unnormed,
    "residual": _become(NoResidual),
    "network": _become(NoNetwork),
}
PARTS = ("positions", "mask", "heads", "network", "residual", "scale", "norm")


def without(
    part: str | None, config: TransformerConfig = SMALL, *, seed: int = 0
) -> Transformer:
    """A fresh Transformer that lacks one part; None is the whole one.

    All start from the same weights, where they have the same parameters.

    Args:
        part: one of `PARTS`. "heads" leaves one head of the whole width, "mask" lets
            the decoder see later tokens in training, "scale" leaves out 1 / sqrt(d_k).
        config: of the whole model.
        seed: of the weights.

    Raises:
        ValueError: another part.
    """
    check_choice("part", part, (None, *PARTS))
    torch.manual_seed(seed)
    model = Transformer(replace(config, **CONFIGS.get(part, {})))
    if part == "mask":
        model.__class__ = Peeking
    if part in BLOCKS:
        for block in (*model.encoder.blocks, *model.decoder.blocks):
            BLOCKS[part](block)
    return model


@torch.no_grad()
def solved(model: Transformer, batch: dict[str, Tensor]) -> dict[str, float]:
    """Shares of right tokens, the end left out, in evaluation mode.

    "forced" is given the true tokens before each, "generated" its own.
    """
    model.eval()
    tokens, mask, *source = (batch[key] for key in KEYS)
    forced = model.logits(tokens[:, :-1], mask[:, :-1], *source).argmax(-1)
    longest = tokens.shape[1] - 1
    made = model.generate(*source, max_length=longest)
    made = F.pad(made, (0, longest - made.shape[1]), value=model.config.end)
    right = partial(torch.eq, tokens[:, 1:-1])
    found = {"forced": forced, "generated": made}
    return {k: right(v[:, :-1]).double().mean().item() for k, v in found.items()}


@torch.no_grad()
def sharpest(model: Transformer, batch: dict[str, Tensor]) -> float:
    """The mean over queries of the largest weight in the encoder's first layer."""
    found = model.attention(*(batch[key] for key in KEYS))
    return found.encoder[:, 0].amax(-1).mean().item()
