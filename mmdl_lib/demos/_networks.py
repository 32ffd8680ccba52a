"""What the demos ask of a trained model, for the kernel and for the export alike."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mmdl_lib.models.simclr import SimCLR
from mmdl_lib.models.vit import ViT, rollout


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


class Look(nn.Module):
    """A ViT's logits, and where its class token looks."""

    NAMES = ("logits", "attention", "rollout")

    def __init__(self, vit: ViT):
        super().__init__()
        self.vit = vit

    def forward(
        self, image: Float[Tensor, "b 3 h w"]
    ) -> tuple[
        Float[Tensor, "b k"],
        Float[Tensor, "b layers heads n"],
        Float[Tensor, "b layers n"],
    ]:
        """Logits; shares of the tokens, class token first; rollout up to each layer."""
        vit, x, found = self.vit, self.vit.embed(image), []
        # not `vit(image)`, whose check of the pixels an export cannot follow
        for block in vit.transformer.blocks:
            found.append(block.attention.weights(block.norm1(x)))
            x = block(x)
        attention = torch.stack(found, 1)
        through = [rollout(attention[:, : i + 1])[:, 0] for i in range(len(found))]
        logits = vit.head(vit.norm(x)[:, 0])
        return logits, attention[:, :, :, 0], torch.stack(through, 1)
