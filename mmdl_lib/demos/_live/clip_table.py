"""The live demo of CLIP's table: cosines from a file, the kernel has nothing to do."""

import json
from pathlib import Path

import traitlets

from mmdl_lib import demos
from mmdl_lib.demos._widget import DemoWidget

FACTS = demos.HERE / "clip_table/facts.json"


class Widget(DemoWidget):
    """Choose three pairs and a temperature; see CLIP's loss."""

    name = "clip_table"
    facts = traitlets.Dict().tag(sync=True)

    def __init__(self):
        super().__init__(**self.page()[1])

    @classmethod
    def page(cls) -> tuple[list[Path], dict]:
        known = json.loads(FACTS.read_text("utf-8")) if FACTS.exists() else {}
        return [FACTS], {"facts": known}
