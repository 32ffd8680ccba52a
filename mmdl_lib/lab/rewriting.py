"""Rows of digits to rewrite: copied, reversed, sorted, added; and a model that lacks a part."""

from collections.abc import Callable

import torch
from jaxtyping import Int
from torch import Tensor

from mmdl_lib.borders import check_choice
from mmdl_lib.core import generator
from mmdl_lib.models.transformer import Transformer
from mmdl_lib.nn import PostNormBlock

DIGITS, FIRST = 10, 2  # the digit 0 is token 2: token 0 starts and token 1 ends a row
TASKS: dict[str, Callable] = {
    "copy": lambda x: x,
    "reverse": lambda x: x.flip(1),
    "sort": lambda x: x.sort(1).values,
    # from the last one on, each digit plus the one before it
    "add": lambda x: (x + x.roll(1, 1)).flip(1) % 3,
    "shift": lambda x: ((x[:, 1:] + x[:, :1]) % 5).flip(1),
    "diff": lambda x: (x.roll(-1, 1) - x.roll(1, 1)).flip(1) % 3,
}


def rewritten(task: str, n: int, seed: int, *, length: int = 10) -> dict[str, Tensor]:
    check_choice("task", task, TASKS)
    digits = torch.randint(5 if task == "shift" else 3 if task in ("add","diff") else DIGITS, (n, length), generator=generator(seed))
    start, end = torch.zeros(n, 1, dtype=torch.long), torch.ones(n, 1, dtype=torch.long)
    tokens = torch.cat([start, TASKS[task](digits) + FIRST, end], 1)
    if task == "shift": digits[:, 0] += 5
    return {
        "source": digits + FIRST,
        "source_mask": torch.ones(n, length, dtype=torch.bool),
        "tokens": tokens,
        "mask": torch.ones_like(tokens, dtype=torch.bool),
    }


class NoResidual(PostNormBlock):
    def forward(self, x, mask=None, *, causal=False, memory=None, memory_mask=None, cache=None):
        past, kept = (None, None) if cache is None else cache
        x = self.norm1(self.attention(x, mask, causal=causal, cache=past))
        if self.cross is not None:
            x = self.norm_cross(self.cross(x, memory_mask, memory=memory, cache=kept))
        return self.norm2(self.mlp(x))


class NoMLP(PostNormBlock):
    def mlp(self, x):
        return torch.zeros_like(x)


class Peeking(Transformer):
    def logits(self, tokens, mask, source, source_mask):
        memory = self.encode(source, source_mask)
        x = self.decoder(self.embed(tokens), mask, memory=memory, memory_mask=source_mask)
        return self.read_out(x)


def without(model, part):
    blocks = [*model.encoder.blocks, *model.decoder.blocks]
    if part == "mask":
        model.__class__ = Peeking
    for b in blocks:
        if part == "scale":
            b.attention.scale = 1.0
            if b.cross is not None: b.cross.scale = 1.0
        if part == "residual": b.__class__ = NoResidual
        if part == "mlp": b.__class__ = NoMLP
        if part == "norm":
            b.norm1 = b.norm2 = torch.nn.Identity()
            if b.cross is not None: b.norm_cross = torch.nn.Identity()
    return model
