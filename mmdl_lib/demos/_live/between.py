"""The live demo of walks between captions: all pictures are drawn before."""

import base64
import json
from pathlib import Path

import traitlets

from mmdl_lib import demos
from mmdl_lib.demos._widget import DemoWidget


class TilesWidget(DemoWidget):
    """Shows pictures of a file, `tiles.bin`."""

    facts = traitlets.Dict().tag(sync=True)

    def __init__(self):
        tiles, facts = self.page()[0]
        known = json.loads(facts.read_text("utf-8"))
        known["tiles"] = base64.b64encode(tiles.read_bytes()).decode()
        super().__init__(facts=known)

    @classmethod
    def page(cls) -> tuple[list[Path], dict]:
        folder = demos.HERE / cls.name
        return [folder / "tiles.bin", folder / "facts.json"], {}


class Widget(TilesWidget):
    """Choose two captions and a place between them; nothing is computed."""

    name = "between"
