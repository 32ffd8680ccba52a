"""The live demo of caption scores: the kernel has nothing to do."""

import json
from pathlib import Path

import traitlets

from mmdl_lib import demos
from mmdl_lib.demos._widget import DemoWidget


class Widget(DemoWidget):
    """Type two captions; see six scores and what each of them counts."""

    name = "caption_scores"
    facts = traitlets.Dict().tag(sync=True)

    def __init__(self):
        super().__init__(**self.page()[1])

    @classmethod
    def page(cls) -> tuple[list[Path], dict]:
        file = demos.HERE / "caption_scores/facts.json"
        known = json.loads(file.read_text("utf-8")) if file.exists() else {}
        return [file], {"facts": known}
