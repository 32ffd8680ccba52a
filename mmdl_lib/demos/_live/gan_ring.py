"""The live demo of the ring: its module trains, the kernel has nothing to do."""

from pathlib import Path

from mmdl_lib import demos
from mmdl_lib.demos._widget import DemoWidget


class Widget(DemoWidget):
    """Train a GAN on eight modes, by rules to choose."""

    name = "gan_ring"

    @classmethod
    def page(cls) -> tuple[list[Path], dict]:
        return [demos.HERE / "gan_ring/still.webp"], {}
