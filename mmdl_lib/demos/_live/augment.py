"""The live demo of augmentation: projections by SimCLR."""

from jaxtyping import Float
from torch import Tensor, nn

from mmdl_lib.demos._widget import PictureWidget
from mmdl_lib.models.simclr import SimCLR


class Project(nn.Module):
    """What SimCLR's loss compares."""

    NAMES = ("projection",)

    def __init__(self, simclr: SimCLR):
        super().__init__()
        self.simclr = simclr

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> tuple[Float[Tensor, "b p"]]:
        """z, not normalized."""
        # not `simclr(image)`, whose check of the pixels an export cannot follow
        encoder = self.simclr.encoder
        maps = encoder.blocks(encoder.stem(image))
        return (self.simclr.project(maps.mean((2, 3))),)


class Widget(PictureWidget):
    """Draw two views of a picture and compare them, by color and by SimCLR."""

    name, slug, network = "augment", "simclr", Project
