"""The live demo of ViT: logits, attention and rollout."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mmdl_lib.demos._widget import PictureWidget
from mmdl_lib.models.vit import ViT, rollout


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


class Widget(PictureWidget):
    """Draw a picture; a tiny ViT names it and shows where its class token looks."""

    name, slug, network = "vit", "vit", Look
