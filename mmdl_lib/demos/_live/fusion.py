"""The live demo of fused vectors: its module computes, the kernel has nothing to do."""

import base64
import json
from pathlib import Path

import numpy as np
import torch
import traitlets
from jaxtyping import Float
from torch import Tensor

from mmdl_lib import demos
from mmdl_lib.demos._widget import DemoWidget


def tables() -> tuple[list[str], Float[Tensor, "n d"], Float[Tensor, "n m"]]:
    """The demo's words, and text and pictures of them as the page unpacks them."""
    vectors, _, facts = Widget.page()[0]
    known = json.loads(facts.read_text("utf-8"))
    n, d = len(known["words"]), known["text"]
    codes = torch.tensor(np.frombuffer(vectors.read_bytes(), np.int8)).double()
    return known["words"], codes[: n * d].view(n, -1), codes[n * d :].view(n, -1)


class Widget(DemoWidget):
    """The nearest words by text, by pictures and by both, at each weight."""

    name = "fusion"
    facts = traitlets.Dict().tag(sync=True)

    def __init__(self):
        vectors, tiles, facts = self.page()[0]
        known = json.loads(facts.read_text("utf-8"))
        for key, path in (("vectors", vectors), ("tiles", tiles)):
            known[key] = base64.b64encode(path.read_bytes()).decode()
        super().__init__(facts=known)

    @classmethod
    def page(cls) -> tuple[list[Path], dict]:
        folder = demos.HERE / cls.name
        return [
            folder / name for name in ("vectors.bin", "tiles.webp", "facts.json")
        ], {}
