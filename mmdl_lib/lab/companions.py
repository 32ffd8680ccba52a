"""Two made worlds of regions: what goes with what, and how many there are.

**Companions.** Each scene has an owner, a ring and a companion. Which companion stands
with an owner, in color and shape, is told by the two colors of owner and ring: a
fixed table of 64 entries. A caption names what is seen from left to right, and the
owner's companion behind it:

    a red ring and a blue circle with a green star

In half of the scenes the companion is not in the picture. The caption names it all the
same, so who has to write it must know the table beforehand.

**Copies.** One and the same region, one to four times, without a place: "three red
stars". Only the number of regions tells how many.
"""

from copy import deepcopy
from dataclasses import replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from mmdl_lib.borders import check_number
from mmdl_lib.core import generator
from mmdl_lib.data import shapes
from mmdl_lib.data.shapes import COLORS, SHAPES, Scenes
from mmdl_lib.data.shapes.language import article, plural
from mmdl_lib.data.text import WordTokenizer
from mmdl_lib.lab.captioning import Regions, regions
from mmdl_lib.models.m2 import M2

COMPANION, RING, BYSTANDER = 3, 6, 7  # numbers of shapes: owners 0-2, companions 3-5
NUMBERS = ("one", "two", "three", "four")
GLUE = ("a", "an", "and", "with", *NUMBERS)
WORDS = [*GLUE, *COLORS, *SHAPES, *(plural(shape) for shape in SHAPES)]
TOKENIZER = WordTokenizer(WORDS, length=20)
WITH = TOKENIZER.ids["with"]
# color x 3 + shape of the companion, for each color of owner and ring
TABLE = torch.randint(24, (8, 8), generator=generator(2020))


class Told(NamedTuple):
    """Scenes as a captioner meets them.

    Attributes:
        regions: what is seen, in random order.
        seen: the scenes as they are drawn.
        hidden: whether the companion is not among them.
        captions: what there is, the companion always.
        tokens, mask: the captions, framed.
    """

    regions: Regions
    seen: Scenes
    hidden: Bool[Tensor, " b"]
    captions: list[str]
    tokens: Int[Tensor, "b t"]
    mask: Bool[Tensor, "b t"]

    def inputs(self) -> tuple[Tensor, ...]:
        """What `logits` and `looks` of a captioner take."""
        return self.tokens, self.mask, self.regions.feature, self.regions.mask

    def batch(self) -> dict[str, Tensor]:
        """What a captioner is trained on."""
        found = {"regions": self.regions.feature, "region_mask": self.regions.mask}
        return found | {"tokens": self.tokens, "mask": self.mask}


def companion(owner: Int[Tensor, " b"], ring: Int[Tensor, " b"]) -> tuple:
    """Color and shape, as numbers, of what goes with an owner and a ring."""
    entry = TABLE[owner, ring]
    return entry // 3, COMPANION + entry % 3


def draw(n: int, seed: int, *, hidden: float | int = 0.5, owner: bool = True) -> Told:
    """`n` scenes of an owner, a ring, the companion, and sometimes a moon.

    Args:
        n: how many.
        seed: of the scenes and of the order of their regions.
        hidden: the share of scenes in which the companion is not seen.
        owner: False takes the owner away, too.

    Raises:
        ValueError: no scene, or no share.
    """
    check_number("hidden", hidden, 0, 1)
    scenes, random = shapes.sample(n, seed=seed, objects=(3, 4)), generator(seed)
    color = torch.randint(8, (n, 4), generator=random)
    shape = torch.tensor([0, RING, BYSTANDER, BYSTANDER]).repeat(n, 1)
    shape[:, 0] = torch.randint(COMPANION, (n,), generator=random)
    last = scenes.count[:, None] - 1  # the slot of the companion
    other = companion(color[:, 0], color[:, 1])
    color, shape = (
        part.scatter(1, last, value[:, None])
        for part, value in zip((color, shape), other, strict=True)
    )
    looks = {"color": color, "shape": shape, "texture": torch.zeros_like(color)}
    scenes = replace(scenes, **looks)
    away = torch.rand(n, generator=random) < hidden
    seen = replace(scenes, count=scenes.count - away.long())
    seen = seen if owner else _behind(seen)
    said = [_caption(things) for things in scenes.things()]
    return Told(regions(seen, seed=seed), seen, away, said, *TOKENIZER(said))


def _behind(scenes: Scenes) -> Scenes:
    """All objects but the first."""
    names = ("color", "shape", "size", "texture", "center")
    parts = {name: getattr(scenes, name).roll(-1, 1) for name in names}
    return replace(scenes, count=scenes.count - 1, **parts)


def _caption(things: list) -> str:
    """Owner first and companion last in the list, from left to right in the words."""
    names = [article(f"{thing.color} {thing.shape}") for thing in things]
    names[0] += f" with {names.pop()}"
    order = sorted(range(len(names)), key=lambda i: things[i].x)
    return " and ".join(names[i] for i in order)


def copies(n: int, seed: int) -> Told:
    """`n` objects, each as one, two, three and four equal regions without a place."""
    scenes = shapes.sample(n, seed=seed, objects=1, textures="solid")
    feature = regions(scenes, seed=seed).feature[:, :1]
    feature = torch.cat([feature[..., :-4], 0 * feature[..., -4:]], -1)
    mask = torch.arange(4) < torch.arange(1, 5)[:, None]
    feature = (feature[:, None] * mask[..., None]).flatten(0, 1)
    box = torch.zeros(4 * n, 4, 4)
    said = []
    for (thing,) in scenes.things():
        for i, number in enumerate(NUMBERS):
            noun = plural(thing.shape) if i else thing.shape
            said.append(f"{number} {thing.color} {noun}")
    scenes = scenes[torch.arange(n).repeat_interleave(4)]
    found = Regions(feature, box, mask.repeat(n, 1))
    hidden = torch.zeros(4 * n, dtype=torch.bool)
    return Told(found, scenes, hidden, said, *TOKENIZER(said))


class Words(NamedTuple):
    """Which words of the captions are which; a place is that of the word before.

    Attributes:
        companion: color and shape of the companion.
        other: colors and shapes of the others.
        number: how many.
    """

    companion: Bool[Tensor, "b t"]
    other: Bool[Tensor, "b t"]
    number: Bool[Tensor, "b t"]


def kinds(some: Told) -> Words:
    """The places from which each kind of word is predicted."""
    first = TOKENIZER.ids[COLORS[0]]
    looks = (some.tokens >= first) & some.mask
    behind = F.pad(some.tokens == WITH, (3, 0))[:, :-3]
    theirs = looks & (F.pad(some.tokens == WITH, (2, 0))[:, :-2] | behind)
    count = (some.tokens >= TOKENIZER.ids["one"]) & (some.tokens < first)
    found = (theirs, looks & ~theirs, count)
    return Words(*(F.pad(part[:, 1:], (0, 1)) for part in found))


@torch.no_grad()
def word_nats(model, some: Told) -> tuple[Float[Tensor, "b t"], Bool[Tensor, "b t"]]:
    """-log p of the next word at each place, and whether it is the likeliest."""
    parts = zip(*(part.split(500) for part in some.inputs()), strict=True)
    logits = torch.cat([model.eval().logits(*part) for part in parts])
    target = F.pad(some.tokens[:, 1:], (0, 1))
    nats = F.cross_entropy(logits.transpose(1, 2), target, reduction="none")
    return nats, logits.argmax(-1) == target


def words(tokens: Int[Tensor, "b t"]) -> list[list[str]]:
    """Each row in words, its frame and padding left out."""
    first = TOKENIZER.ids[WORDS[0]]
    return [[WORDS[i - first] for i in row if i >= first] for row in tokens.tolist()]


def say(model: M2, some: Told, *, beams: int = 1) -> list[str]:
    """The captions of a model."""
    found = model.generate(some.regions.feature, some.regions.mask, beams=beams)
    return [" ".join(row) for row in words(found)]


def region_names(some: Told) -> list[list[str]]:
    """What is in each region, such as "red ring", in the order of the regions."""
    found = []
    for things, boxes in zip(some.seen.things(), some.regions.box, strict=True):
        names = []
        for x0, y0, x1, y1 in boxes[: len(things)].tolist():
            middle = (x0 + x1) / 2, (y0 + y1) / 2
            near = min(
                things, key=lambda t: abs(t.x - middle[0]) + abs(t.y - middle[1])
            )
            names.append(f"{near.color} {near.shape}")
        found.append(names)
    return found


def looked_at(some: Told, weight: Float[Tensor, "b t n"]) -> dict[str, float]:
    """Mean weights of words on regions.

    Args:
        some: scenes of companions.
        weight: of each word, at the place before it, on each region.

    Returns:
        for "color" and "shape" the weight on the region that the word names; for
        "owner" and "ring" that of a hidden companion's words on these two.
    """
    kind, found = kinds(some), {"color": [], "shape": [], "owner": [], "ring": []}
    hidden = kind.companion & some.hidden[:, None]
    rows = zip(words(some.tokens), region_names(some), strict=True)
    for i, (said, names) in enumerate(rows):
        what = [name.split()[1] for name in names]
        what = ["owner" if w in SHAPES[:COMPANION] else w for w in what]
        for t, word in enumerate(said):
            if kind.other[i, t]:
                first = t if word in COLORS else t - 1
                j = names.index(" ".join(said[first : first + 2]))
                found["color" if word in COLORS else "shape"].append(weight[i, t, j])
            for j, name in enumerate(what) if hidden[i, t] else ():
                if name in found:
                    found[name].append(weight[i, t, j])
    return {k: torch.stack(v).mean().item() for k, v in found.items()}


def lit(
    picture: UInt8[Tensor, "3 h h"],
    box: Float[Tensor, "n 4"],
    weight: Float[Tensor, "m n"],
) -> UInt8[Tensor, "m 3 h h"]:
    """A picture for each row of weights: the brighter a region, the larger its weight.

    Args:
        picture: of a scene, of any size.
        box: x0, y0, x1, y1 of each region in a picture of 32 x 32.
        weight: for each picture, of each region; what is in no region has 0.
    """
    at = (torch.arange(picture.shape[1]) + 0.5) * 32 / picture.shape[1]
    x0, y0, x1, y1 = box.T[..., None]
    inside = ((at >= y0) & (at < y1))[:, :, None] & ((at >= x0) & (at < x1))[:, None]
    light = (weight[:, :, None, None] * inside).amax(1, keepdim=True)
    return (picture * (0.2 + 0.8 * light)).round().to(torch.uint8)


def both(one: Told, other: Told) -> dict[str, Tensor]:
    """A batch of both worlds, for one model that shall know them."""
    parts, longest = (
        [one.batch(), other.batch()],
        max(t.tokens.shape[1] for t in (one, other)),
    )
    for part in parts:
        for name in ("tokens", "mask"):
            more = longest - part[name].shape[1]
            part[name] = F.pad(part[name], (0, more))
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def forgotten(model: M2) -> M2:
    """A copy whose slots no region can see: their keys are gone."""
    model = deepcopy(model)
    for block in model.encoder:
        block.attention.memory_keys = block.attention.memory_values = None
    return model


def closed(model: M2, level: int) -> M2:
    """A copy whose gates of one encoder level let nothing through."""
    model = deepcopy(model)
    for block in model.decoder:
        block.gates[level].weight.data.zero_()
        block.gates[level].bias.data.fill_(-torch.inf)
    return model
