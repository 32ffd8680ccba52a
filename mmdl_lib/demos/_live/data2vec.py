"""The live demo of data2vec: what the teacher says, and what the student expects."""

import base64
import json
from pathlib import Path

import numpy as np
import torch
import traitlets
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mmdl_lib import demos
from mmdl_lib.data.shapes import to_float
from mmdl_lib.demos._widget import DemoWidget
from mmdl_lib.models.data2vec import Data2Vec
from mmdl_lib.pretrained import small

KINDS = ("pictures", "texts", "sounds")


class Sees(nn.Module):
    """Targets of everything and predictions from what is not hidden, for one row.

    The input is what the front reads: pixels in [-1, 1], tokens, or a waveform.
    """

    def __init__(self, model: Data2Vec, kind: str):
        super().__init__()
        self.model, self.kind = model, kind

    def batch(self, x: Tensor) -> dict[str, Tensor]:
        """The row under the name by which the model knows it; no text is padded."""
        if self.kind == "texts":
            return {"tokens": x, "mask": x >= 0}
        return {"pictures": {"image": x}, "sounds": {"sound": x}}[self.kind]

    def forward(
        self, x: Tensor, hidden: Bool[Tensor, "1 n"]
    ) -> tuple[Float[Tensor, "1 n d"], Float[Tensor, "1 n d"]]:
        """Target and prediction at each place."""
        batch = self.batch(x)
        return self.model.targets(batch), self.model(batch, hidden)


def trained(kind: str) -> Sees:
    """One of the three small nets that come with the book."""
    return Sees(small.load("data2vec", kind), kind).eval()


def unpacked(kind: str, stored: str | list[int], shape: list[int]) -> Tensor:
    """An example of the facts as its net reads it, a row of one."""
    if kind == "texts":
        return torch.tensor([stored])
    raw = base64.b64decode(stored)
    if kind == "pictures":
        return to_float(torch.tensor(np.frombuffer(raw, np.uint8)).view(1, *shape))
    return torch.tensor(np.frombuffer(raw, "<i2").astype(np.float32) / 32768)[None]


class Widget(DemoWidget):
    """Hide places; `{kind, example, hidden}` is answered by `{target, prediction}`,
    both (n, d) as base64 of float32."""

    name = "data2vec"
    facts = traitlets.Dict().tag(sync=True)

    def __init__(self):
        file = demos.HERE / self.name / "facts.json"
        self._nets = {}
        super().__init__(facts=json.loads(file.read_text("utf-8")))

    @classmethod
    def page(cls) -> tuple[list[Path], dict]:
        names = [*(f"{kind}.onnx" for kind in KINDS), "facts.json"]
        return [demos.HERE / cls.name / name for name in names], {}

    def reply(self, message: dict) -> dict:
        """What teacher and student say of an example."""
        kind, number = message.get("kind"), message.get("example")
        if kind not in KINDS:
            raise ValueError(f"kind expected one of {', '.join(KINDS)}, got {kind!r}.")
        facts = self.facts[kind]
        most = len(facts["examples"]) - 1
        if type(number) is not int or not 0 <= number <= most:
            raise ValueError(f"example expected 0 to {most}, got {number!r}.")
        hidden, n = message.get("hidden"), facts["places"]
        if not isinstance(hidden, list) or len(hidden) != n or {*hidden} - {0, 1}:
            raise ValueError(f"hidden expected {n} of 0 and 1, got {hidden!r:.60}.")
        if kind not in self._nets:
            self._nets[kind] = trained(kind)
        x = unpacked(kind, facts["examples"][number]["input"], facts["shape"])
        found = self._nets[kind](x, torch.tensor([hidden]).bool())
        packed = (base64.b64encode(y[0].numpy().tobytes()).decode() for y in found)
        return dict(zip(("target", "prediction"), packed, strict=True))
