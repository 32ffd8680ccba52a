"""The live demo of word vectors: its module computes, the kernel has nothing to do."""

import base64
import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
import traitlets

from mmdl_lib import demos
from mmdl_lib.data.words import Words
from mmdl_lib.demos._widget import DemoWidget


def table() -> Words:
    """The demo's words and their vectors of length one, as the page unpacks them."""
    vectors, facts = Widget.page()[0]
    words = json.loads(facts.read_text("utf-8"))["words"]
    codes = np.frombuffer(vectors.read_bytes(), np.int8).reshape(len(words), -1)
    return Words(words, F.normalize(torch.tensor(codes, dtype=torch.float32)))


class Widget(DemoWidget):
    """Neighbors, analogies and a map of 5,000 words of GloVe."""

    name = "words"
    facts = traitlets.Dict().tag(sync=True)

    def __init__(self):
        vectors, facts = self.page()[0]
        known = json.loads(facts.read_text("utf-8"))
        known["vectors"] = base64.b64encode(vectors.read_bytes()).decode()
        super().__init__(facts=known)

    @classmethod
    def page(cls) -> tuple[list[Path], dict]:
        folder = demos.HERE / cls.name
        return [folder / "vectors.bin", folder / "facts.json"], {}
