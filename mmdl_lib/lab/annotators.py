"""Annotators with stated error rates: who names what is there, who draws it, the cost.

Lin et al. (ECCV 2014, section 4; the figures are of arXiv 1405.0312v3) had each of
328,000 pictures looked at by eight workers who name categories, by eight who mark
instances, and had each instance drawn by one worker who had passed a test; others then
judged the drawing. Here the truth is known and the workers are drawn at random, so that
each error can be counted. Two things make them err:

- Misses: a worker sees an object of `a` visible pixels with probability
  `skill * a / (a + half)`. Small and hidden objects are missed by everybody, so workers
  do not err independently.
- False alarms: a category that is not there is named with probability `alarm`.

A drawing is the true mask, blurred, plus smooth noise, cut at one half: the blur is a
coarse hand, the noise a shaky one.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mmdl_lib.borders import check_flags, check_number
from mmdl_lib.core import generator as seeded

PICTURES, WORKERS = 328_000, 8
# hours of section 4.1, 4.2 and 4.3; the last is 22 hours for 1,000 of 2.5 M instances
HOURS = {"naming": 20_000, "spotting": 10_000, "drawing": 22 * 2_500}
SECONDS = {
    "naming": HOURS["naming"] * 3600 / (PICTURES * WORKERS),  # a picture and worker
    "spotting": HOURS["spotting"] * 3600 / (PICTURES * WORKERS),
    "drawing": 22 * 3600 / 1000,  # an instance
}


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Error rates of a group of annotators; each has a skill of its own.

    Attributes:
        skill: the least and the greatest chance to see an object of any size.
        half: visible pixels at which that chance has halved.
        alarm: chance to name a category that is not there.

    Raises:
        ValueError: chances outside of [0, 1] or in the wrong order, a negative half.
    """

    skill: tuple[float | int, float | int]
    half: float | int
    alarm: float | int

    def __post_init__(self):
        low, high = self.skill
        if not 0 <= low <= high <= 1:
            raise ValueError(f"skill expected 0 <= low <= high <= 1, got {self.skill}.")
        check_number("half", self.half, 0)
        check_number("alarm", self.alarm, 0, 1)


WORKER = Rates(skill=(0.6, 0.95), half=40, alarm=0.02)
EXPERT = Rates(skill=(0.95, 1.0), half=5, alarm=0.005)


def chances(
    pixels: Int[Tensor, "b n"],
    skill: Float[Tensor, " w"],
    half: float | int,
) -> Float[Tensor, "w b n"]:
    """Probability that each worker sees each object; 0 for objects of no pixel."""
    area = pixels.double()
    share = area / (area + half).clamp(min=1e-9)  # half = 0: whatever shows is seen
    return skill[:, None, None].double() * share


def spotted(
    pixels: Int[Tensor, "b n"], workers: int, seed: int, rates: Rates = WORKER
) -> Bool[Tensor, "w b n"]:
    """Which objects each of some workers sees.

    Args:
        pixels: that each object shows.
        workers: how many look at each picture; the first k are the same for any number.
        seed: of their skills and of their looks.
        rates: of all of them.
    """
    rows = [_looks(pixels, seeded(1009 * seed + w), rates) for w in range(workers)]
    return torch.stack(rows)


def _looks(pixels: Tensor, random: torch.Generator, rates: Rates) -> Tensor:
    low, high = rates.skill
    skill = low + (high - low) * torch.rand(1, generator=random)
    chance = chances(pixels, skill, rates.half)[0]
    return torch.rand(chance.shape, generator=random) < chance


def labeled(
    pixels: Int[Tensor, "b n"],
    kind: Int[Tensor, "b n"],
    classes: int,
    *,
    workers: int,
    seed: int,
    rates: Rates = WORKER,
) -> Bool[Tensor, "w b k"]:
    """Category labeling: which categories each worker says are in each picture.

    Args:
        pixels: that each object shows; 0 where there is none.
        kind: category of each object, from 0.
        classes: how many categories there are.
        workers: how many look at each picture.
        seed: of their skills, looks and false alarms.
        rates: of all of them.

    Raises:
        ValueError: no workers, or a category beyond the classes.
    """
    check_number("workers", workers, 1, whole=True)
    if kind.numel() and not 0 <= int(kind.min()) <= int(kind.max()) < classes:
        raise ValueError(
            f"kinds expected numbers from 0 to {classes - 1}, got {int(kind.min())} to "
            f"{int(kind.max())}."
        )
    one = F.one_hot(kind, classes).bool()
    true = (one & (pixels > 0)[..., None]).any(1)
    seen = spotted(pixels, workers, seed, rates)
    hit = (one & seen[..., None]).any(2)
    random = [seeded(2003 * seed + 7919 + w) for w in range(workers)]
    noise = torch.stack([torch.rand(true.shape, generator=g) for g in random])
    return hit | (~true & (noise < rates.alarm))


def checked(
    claimed: Bool[Tensor, "b k"],
    true: Bool[Tensor, "b k"],
    *,
    seed: int,
    caught: float | int = 0.9,
    lost: float | int = 0.02,
) -> Bool[Tensor, "b k"]:
    """Claims after a later stage has looked at each: most false ones fall away.

    In COCO the worker who should draw an instance may say that there is none.

    Args:
        claimed, true: which categories are said to be there, and which are.
        seed: of the looks.
        caught: share of the false claims that are thrown out.
        lost: share of the right ones that are thrown out with them.
    """
    check_flags("claimed", claimed, true.shape)
    chance = torch.where(true, lost, caught)
    drop = torch.rand(claimed.shape, generator=seeded(seed)) < chance
    return claimed & ~drop


def promised(rate: float | int, workers: int) -> float:
    """Recall of the union of workers who err independently: 1 - (1 - rate) ** workers.

    Example:
        The paper's: whoever sees an object half of the time, eight times over.

        >>> round(1 - promised(0.5, 8), 4)
        0.0039
    """
    check_number("rate", rate, 0, 1)
    return 1 - (1 - rate) ** workers


def quality(said: Bool[Tensor, "*b k"], true: Bool[Tensor, "*b k"]) -> dict[str, float]:
    """Recall and precision over all pictures and categories.

    Raises:
        ValueError: nothing is there, or nothing was said.
    """
    check_flags("said", said, true.shape)
    hits = (said & true).sum().item()
    if not true.any() or not said.any():
        raise ValueError(
            f"recall and precision expected something there and something said, got "
            f"{int(true.sum())} and {int(said.sum())}."
        )
    return {
        "recall": hits / true.sum().item(),
        "precision": hits / said.sum().item(),
    }


def drawings(
    mask: Bool[Tensor, "n h w"],
    seed: int,
    *,
    hands: int = 1,
    blur: int = 5,
    shake: float | int = 0.25,
) -> Bool[Tensor, "a n h w"]:
    """Each mask as drawn by several hands.

    Args:
        mask: the true ones.
        seed: of the hands.
        hands: how many draw each mask, independently.
        blur: side of the window, in pixels, that a hand averages over; odd, 1 for none.
        shake: deviation of the smooth noise at the edge of a mask of zeros and ones.

    Raises:
        ValueError: no masks, an even blur, or a negative shake.
    """
    check_flags("masks", mask)
    check_number("shake", shake, 0)
    if blur < 1 or blur % 2 == 0:
        raise ValueError(f"blur expected an odd number from 1 on, got {blur}.")
    soft = mask[:, None].to(torch.float32)
    soft = F.avg_pool2d(soft, blur, 1, blur // 2, count_include_pad=False)[:, 0]
    n, (h, w) = len(mask), mask.shape[1:]
    coarse = torch.randn(hands * n, 1, h // 4 + 1, w // 4 + 1, generator=seeded(seed))
    noise = F.interpolate(coarse, (h, w), mode="bicubic")
    noise = rearrange(noise, "(a n) 1 h w -> a n h w", a=hands)
    # noise counts where the hand must decide, not far outside of the object
    near = 4 * soft * (1 - soft)
    return soft + shake * noise * near > 0.5


def overlaps(
    drawn: Bool[Tensor, "n h w"], mask: Bool[Tensor, "n h w"]
) -> Float[Tensor, " n"]:
    """IoU of each drawing with the mask of its own object, in [0, 1].

    Raises:
        ValueError: no masks, unequal shapes, or an object and a drawing without pixels.
    """
    check_flags("masks", mask)
    check_flags("drawings", drawn, mask.shape)
    union = (drawn | mask).sum((1, 2)).double()
    if not union.all():
        raise ValueError("each object expected a pixel, in its mask or drawing.")
    return (drawn & mask).sum((1, 2)).double() / union
