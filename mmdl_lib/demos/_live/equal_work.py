"""The live demo of work in two spaces: all pictures are drawn before."""

from mmdl_lib.demos._live.between import TilesWidget


class Widget(TilesWidget):
    """Choose a caption, work and a look; nothing is computed."""

    name = "equal_work"
