"""The live demo of DALL-E: the next code of a row, and the picture of its codes."""

import base64
import json
from pathlib import Path

import torch
import traitlets
from jaxtyping import Float, Int
from torch import Tensor, nn

from mmdl_lib import demos
from mmdl_lib.demos._widget import DemoWidget
from mmdl_lib.lab import one_object as oo
from mmdl_lib.models.dalle import DALLE
from mmdl_lib.models.dvae import DVAE, unmap_pixels
from mmdl_lib.pretrained import small


class Next(nn.Module):
    """DALL-E's logits at one place of the picture; what stands behind it is padding."""

    def __init__(self, dalle: DALLE):
        super().__init__()
        self.dalle = dalle

    def forward(
        self,
        words: Int[Tensor, "1 t"],
        codes: Int[Tensor, "1 n"],
        place: Int[Tensor, " 1"],
    ) -> Float[Tensor, "1 k"]:
        """`words` fill all text places, pads included; not `dalle.logits`, whose
        checks of numbers an export cannot follow."""
        x = self.dalle.hidden(self.dalle.embed(words, codes))
        x = x.index_select(1, place + words.shape[1])
        return self.dalle.to_codes(x)[:, 0]


class Paint(nn.Module):
    """The picture of a whole grid of codes, as `DVAE.decode`."""

    def __init__(self, dvae: DVAE):
        super().__init__()
        self.dvae = dvae

    def forward(self, codes: Int[Tensor, "1 n"]) -> Float[Tensor, "1 3 h w"]:
        side, every = self.dvae.config.grid, torch.arange(self.dvae.config.codes)
        one_hot = (codes[:, None] == every[None, :, None]).float()
        density = self.dvae.density(one_hot.unflatten(2, (side, side)))
        return unmap_pixels(torch.sigmoid(density.mean))


class Widget(DemoWidget):
    """Draw a caption; `{words, codes}` is answered by `{logits}` of the next code, and
    `{picture}`, all codes of a grid, by `{pixels}`; both as base64 of float32."""

    name = "dalle"
    facts = traitlets.Dict().tag(sync=True)

    def __init__(self):
        file = demos.HERE / self.name / "facts.json"
        self._nets = None
        super().__init__(facts=json.loads(file.read_text("utf-8")))

    @classmethod
    def page(cls) -> tuple[list[Path], dict]:
        names = ("model.onnx", "decoder.onnx", "facts.json")
        return [demos.HERE / cls.name / name for name in names], {}

    def reply(self, message: dict) -> dict:
        """Logits or pixels."""
        if self._nets is None:
            dalle, dvae = (small.load(n, oo.WEIGHTS) for n in ("dalle", "dvae"))
            self._nets = Next(dalle), Paint(dvae)
        following, paint = self._nets
        c = following.dalle.config
        if "picture" in message:
            codes = _row(message, "picture", c.codes, c.grid**2, c.grid**2)
            return {"pixels": _packed(paint(codes))}
        words = _row(message, "words", c.vocab + c.text, c.text, c.text)
        codes = _row(message, "codes", c.codes, 0, c.grid**2 - 1)
        place = torch.tensor([codes.shape[1]])
        return {"logits": _packed(following(words, codes, place))}


def _row(message: dict, name: str, size: int, least: int, most: int) -> Tensor:
    """A row of whole numbers of a message."""
    row = message.get(name)
    whole = isinstance(row, list) and all(type(x) is int for x in row)
    if not whole or not least <= len(row) <= most or not set(row) <= set(range(size)):
        span = str(most) if least == most else f"from {least} to {most}"
        raise ValueError(
            f"{name} expected {span} numbers from 0 to {size - 1}, got {row}."
        )
    return torch.tensor([row], dtype=torch.long)


def _packed(values: Tensor) -> str:
    return base64.b64encode(values.contiguous().numpy().tobytes()).decode()
