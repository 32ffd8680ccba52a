"""The live demo of the codebook: the decoder runs in the page, the kernel rests."""

import json
from pathlib import Path

import traitlets

from mmdl_lib import demos
from mmdl_lib.demos._widget import DemoWidget


class Widget(DemoWidget):
    """Put another code at a place of a picture's grid; see what the decoder draws."""

    name = "codebook"
    facts = traitlets.Dict().tag(sync=True)

    def __init__(self):
        file = demos.HERE / self.name / "facts.json"
        super().__init__(facts=json.loads(file.read_text("utf-8")))

    @classmethod
    def page(cls) -> tuple[list[Path], dict]:
        return [demos.HERE / cls.name / "facts.json"], {}
