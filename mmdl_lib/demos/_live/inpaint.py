"""The live demo of a hole to fill: GLIDE's answers are those of its own demo."""

from pathlib import Path

from mmdl_lib import demos
from mmdl_lib.demos._live.denoise import GlideWidget


class Widget(GlideWidget):
    """Brush a hole into a picture, and let GLIDE fill it."""

    name = "inpaint"

    @classmethod
    def page(cls) -> tuple[list[Path], dict]:
        needed, state = super().page()
        return [*needed, demos.HERE / cls.name / "scenes.json"], state
