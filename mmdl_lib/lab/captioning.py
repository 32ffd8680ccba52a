"""What recipes of captioning share: scenes told in order, regions, texts, scores.

Captions of the shapes world name the objects of a scene in the order of its slots,
which no picture shows. `left_to_right` puts them into an order that one can see, so
that a caption can be right word for word.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from mmdl_lib.borders import check_same_length
from mmdl_lib.data import shapes
from mmdl_lib.data.shapes import Scenes
from mmdl_lib.metrics.bleu import coco_bleu
from mmdl_lib.metrics.cider import Rarity, cider_d
from mmdl_lib.metrics.meteor import corpus_meteor
from mmdl_lib.metrics.rouge_l import coco_rouge_l
from mmdl_lib.metrics.spice import spice

SIDE = 8  # of the crop of a region, in pixels
REGION_WIDTH = 3 * SIDE**2 + 4


class Regions(NamedTuple):
    """Objects as a detector without faults would hand them over, in random order.

    Attributes:
        feature: the pixels of the crop, 3 x 8 x 8 in [-1, 1], then the four numbers of
            `box` scaled to [-1, 1]; zeros where there is no object.
        box: x0, y0, x1, y1 in pixels of a 32 x 32 picture; zeros where there is none.
        mask: True where there is an object; these come first.
    """

    feature: Float[Tensor, "b 4 f"]
    box: Float[Tensor, "b 4 4"]
    mask: Bool[Tensor, "b 4"]


def left_to_right(scenes: Scenes) -> Scenes:
    """The same scenes, their objects numbered from left to right.

    Where soft edges touch, a drawn pixel may change a little.
    """
    x = scenes.center[..., 0].masked_fill(~scenes.present, float("inf"))
    order = x.argsort(dim=1, stable=True)
    parts = {k: getattr(scenes, k) for k in ("shape", "color", "size", "texture")}
    parts = {name: part.gather(1, order) for name, part in parts.items()}
    center = scenes.center.gather(1, order[..., None].expand(-1, -1, 2))
    return replace(scenes, center=center, **parts)


def texts(scenes: Scenes) -> list[list[str]]:
    """Five true captions of each scene, its objects from left to right.

    From "a red star and a blue ring" to sizes, textures and, with two objects, who
    stands where: `shapes.captions`.
    """
    return shapes.captions(left_to_right(scenes))


def regions(scenes: Scenes, *, seed: int) -> Regions:
    """Crops of the true boxes with their places, shuffled within each scene.

    Args:
        scenes: of any named style; they are drawn here at 32 x 32.
        seed: of the orders.
    """
    image, box, mask = shapes.to_float(scenes.render()), scenes.boxes(), scenes.present
    b, seen = len(scenes), crops(image, box)
    luck = torch.rand(b, 4, generator=torch.Generator().manual_seed(seed))
    order = (luck.to(box.device) + 2 * ~mask).argsort(1)
    feature = seen * mask[..., None]
    box = box * mask[..., None]
    feature, box = (
        part.gather(1, order[..., None].expand(-1, -1, part.shape[-1]))
        for part in (feature, box)
    )
    return Regions(feature, box, mask)


def crops(
    image: Float[Tensor, "b 3 32 32"], box: Float[Tensor, "b n 4"]
) -> Float[Tensor, "b n f"]:
    """What each box shows, 3 x 8 x 8 numbers, and then where it is.

    Args:
        image: pictures in [-1, 1].
        box: x0, y0, x1, y1 in pixels.
    """
    at = (torch.arange(SIDE, device=box.device) + 0.5) / SIDE  # middles of the crop
    low, size = box[..., :2, None], (box[..., 2:] - box[..., :2])[..., None]
    x, y = ((low + size * at) / 16 - 1).unbind(2)  # (b, n, side), from -1 to 1
    grid = torch.stack([x[:, :, None].expand(-1, -1, SIDE, -1),
                        y[..., None].expand(-1, -1, -1, SIDE)], -1)  # fmt: skip
    crop = F.grid_sample(image, grid.flatten(1, 2), align_corners=False)
    crop = crop.unflatten(2, (box.shape[1], SIDE)).transpose(1, 2).flatten(2)
    return torch.cat([crop, box / 16 - 1], -1)


def exact(said: Sequence[str], scenes: Scenes) -> float:
    """Share of captions that are, word for word, one of the five of their scene.

    Raises:
        ValueError: no caption, or another number of them.
    """
    check_same_length(captions=said, scenes=scenes)
    right = [s in of for s, of in zip(said, texts(scenes), strict=True)]
    return sum(right) / len(right)


def scores(
    said: Sequence[str], scenes: Scenes, *, known: Rarity | None = None
) -> dict[str, float]:
    """The five measures of captioning tables as they print them, and `exact`.

    BLEU-4 and METEOR add up their counts over all captions; the others are means.

    Args:
        said: a caption for each scene.
        scenes: what was to be described.
        known: what is rare, for CIDEr-D; by default counted on these references.

    Raises:
        ValueError: no caption, or another number of them.
    """
    right, true = exact(said, scenes), texts(scenes)
    means = {
        "ROUGE-L": coco_rouge_l(said, true),
        "CIDEr-D": cider_d(said, true, known=known),
        "SPICE": [score.f for score in spice(said, true)],
    }
    found = {"BLEU-4": coco_bleu(said, true)[3], "METEOR": corpus_meteor(said, true)}
    found |= {name: sum(values) / len(values) for name, values in means.items()}
    return found | {"exact": right}
