"""The live demo of GLIDE: what its net says, told a caption and told nothing."""

import base64
import json
from pathlib import Path

import numpy as np
import torch
import traitlets
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mmdl_lib import demos
from mmdl_lib.demos._widget import DemoWidget
from mmdl_lib.models.glide import GLIDE
from mmdl_lib.pretrained import small


class Read(nn.Module):
    """A caption as GLIDE reads it, and no caption behind it; not `GLIDE.read`, whose
    checks of numbers an export cannot follow, nor its choice between truth values,
    which onnxruntime-web does not know."""

    def __init__(self, glide: GLIDE):
        super().__init__()
        self.words = glide.words

    def forward(
        self, tokens: Int[Tensor, "1 t"], mask: Bool[Tensor, "1 t"]
    ) -> tuple[Tensor, Tensor, Tensor]:
        told, _, pooled = self.words(tokens, mask)
        nothing = self.words.nothing.expand_as(told)
        first = torch.arange(tokens.shape[1])[None] == 0
        pairs = (told, nothing), (mask, first), (pooled, self.words.pool(nothing[:, 0]))
        return tuple(torch.cat(pair) for pair in pairs)


class Say(nn.Module):
    """What the net says of a noisy picture, told the caption and told nothing."""

    def __init__(self, glide: GLIDE):
        super().__init__()
        self.net = glide.net

    def forward(
        self,
        x: Float[Tensor, "1 3 h w"],
        step: Int[Tensor, " 1"],
        words: Float[Tensor, "2 t d"],
        mask: Bool[Tensor, "2 t"],
        pooled: Float[Tensor, "2 e"],
    ) -> Float[Tensor, "2 3 h w"]:
        x = x.expand(2, -1, -1, -1)
        return self.net(x, step.expand(2), words, mask, pooled=pooled)


class GlideWidget(DemoWidget):
    """`{tokens, step, x}`, a picture as base64 of float32, is answered by `{said}`: two
    pictures, told the caption and told nothing."""

    facts = traitlets.Dict().tag(sync=True)

    def __init__(self):
        self._glide, known = None, {}
        for path in self.page()[0]:
            if path.suffix == ".json":
                known |= json.loads(path.read_text("utf-8"))
        super().__init__(facts=known)

    @classmethod
    def page(cls) -> tuple[list[Path], dict]:
        names = ("model.onnx", "words.onnx", "facts.json")
        return [demos.HERE / "denoise" / name for name in names], {}

    def reply(self, message: dict) -> dict:
        """What the net says."""
        if self._glide is None:
            self._glide = small.load("glide", "shapes")
        c = self._glide.config
        row, step = message.get("tokens"), message.get("step")
        whole = isinstance(row, list) and all(type(i) is int for i in row)
        if not whole or not 1 <= len(row) <= c.text:
            raise ValueError(
                f"tokens expected from 1 to {c.text} whole numbers, got {row}."
            )
        if type(step) is not int or not 0 <= step < c.steps:
            raise ValueError(f"step expected from 0 to {c.steps - 1}, got {step!r}.")
        x = _picture(message.get("x", ""), c.image_size)
        tokens = torch.tensor([row])
        pair = tokens.expand(2, -1), torch.ones(2, len(row), dtype=torch.bool)
        read = self._glide.read(*pair, torch.arange(2) == 1)
        said = self._glide(x.expand(2, -1, -1, -1), torch.tensor([step, step]), read)
        return {"said": base64.b64encode(said.contiguous().numpy().tobytes()).decode()}


class Widget(GlideWidget):
    """Draw a caption in twenty steps."""

    name = "denoise"


def _picture(text: str, side: int) -> Float[Tensor, "1 3 h w"]:
    """A picture of numbers of a message."""
    try:
        raw = np.frombuffer(base64.b64decode(text, validate=True), "<f4")
        return torch.tensor(raw).reshape(1, 3, side, side)
    except (RuntimeError, TypeError, ValueError) as error:
        raise ValueError(
            f"x expected 3 x {side} x {side} numbers of float32 in base64, got {error}."
        ) from error
