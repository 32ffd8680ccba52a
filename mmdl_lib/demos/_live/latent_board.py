"""The live demo of the VAE's board: the decoder runs in the page, the kernel rests."""

import json
from pathlib import Path

import traitlets

from mmdl_lib import demos
from mmdl_lib.demos._widget import DemoWidget


class Widget(DemoWidget):
    """Move on the board of two latent numbers; see what the decoder draws."""

    name = "latent_board"
    facts = traitlets.Dict().tag(sync=True)

    def __init__(self):
        super().__init__(**self.page()[1])

    @classmethod
    def page(cls) -> tuple[list[Path], dict]:
        file = demos.HERE / cls.name / "facts.json"
        known = json.loads(file.read_text("utf-8")) if file.exists() else {}
        return [file], {"facts": known}
