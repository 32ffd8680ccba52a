"""The live demo of grounding: a small dictionary, the kernel has nothing to do."""

from pathlib import Path

import traitlets

from mmdl_lib import demos
from mmdl_lib.data import dictionary
from mmdl_lib.demos._widget import DemoWidget
from mmdl_lib.lab import dictionary as graphs


class Widget(DemoWidget):
    """Ground words of our dictionary, and see what definitions teach."""

    name = "grounding"
    facts = traitlets.Dict().tag(sync=True)

    def __init__(self):
        super().__init__(**self.page()[1])

    @classmethod
    def page(cls) -> tuple[list[Path], dict]:
        ours = dictionary.small()
        kernel, core = graphs.kernel(ours.uses), graphs.components(ours.uses)[0]
        facts = {
            "text": ours.text,
            "uses": {word: list(used) for word, used in ours.uses.items()},
            "layers": {
                "Core": sorted(core),
                "Satellites": sorted(kernel - core),
                "The rest": sorted(set(ours.uses) - kernel),
            },
            "least": sorted(graphs.minimum_grounding_set(ours.uses).words),
        }
        return [demos.HERE / "grounding/still.webp"], {"facts": facts}
