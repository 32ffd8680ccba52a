"""The live demo of collapse: its module trains, the kernel has nothing to do."""

from pathlib import Path

from mmdl_lib import demos
from mmdl_lib.demos._widget import DemoWidget


class Widget(DemoWidget):
    """Train a tiny BYOL, with and without its parts."""

    name = "collapse"

    @classmethod
    def page(cls) -> tuple[list[Path], dict]:
        return [demos.HERE / "collapse/still.webp"], {}
