"""data2vec: one loss for patches, words and sounds: say what a teacher sees there.

**Paper** Baevski, Hsu, Xu, Babu, Gu, Auli, "data2vec: A General Framework for
Self-supervised Learning in Speech, Vision and Language", ICML 2022, arXiv 2202.03555.

**Book** `sec-data2vec`

**Symbols** (section 3 of the paper)
- `hidden (b, n)` = which places the student does not see
- `student`, `teacher` = weights theta and Delta of the Transformer; `front` is shared
- `tau` = how much of itself the teacher keeps, from `tau_start` to `tau_end`
- `layers`, `k` = a_t^l, what block l says at place t, and K, the last blocks averaged
- `target (b, n, d)` = y_t; `prediction (b, n, d)` = f_t(x)
- `beta` = where the loss turns from squares to distances; 0: squares everywhere

**Start**
- See `data2vec_encoders.py`; the teacher starts as a copy of the student.

**Differs from the paper**
- Each row of a batch hides exactly `share` of its places. The released code draws
  blocks that overlap, so that texts and sounds hide somewhat less than was asked for.
- The loss sums over features and divides by sqrt(d), as the released code does for
  sounds; for texts it only sums, for pictures it takes the mean: a factor for the rate.
- The front is shared by student and teacher, as for texts and sounds; the released code
  for pictures averages it, too, and normalizes the average of its layers once more.
- `norm="none"` and `target="end"` for sounds and texts are no variants of the paper's
  main models: they are there to show what norms and sources of targets are for.
- The numbers for pictures are the paper's (60 % as 120 of 196 patches); the public file
  of settings holds defaults only.
- Encoders: see `data2vec_encoders.py`.

**Builds on** `vit`, `bert`, `byol`.
"""

import copy
import math
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mmdl_lib.borders import check_flags, check_number, check_some
from mmdl_lib.core import Config, Model
from mmdl_lib.models.data2vec_encoders import (
    FRONTS,
    Layer,
    PatchConfig,
    SoundConfig,
    Stack,
    TokenConfig,
    start,
)
from mmdl_lib.nn.average import follow


@dataclass(frozen=True, kw_only=True)
class Data2VecConfig(Config):
    """Hyperparameters; the defaults are ViT-B for pictures."""

    front: PatchConfig | TokenConfig | SoundConfig = field(default_factory=PatchConfig)
    width: int = 768
    depth: int = 12
    heads: int = 12
    share: float = 120 / 196  # of the places that are hidden
    block: int = 16  # least area of a block of patches, or the length of a span
    k: int = 6
    target: Literal["fed", "end"] = "end"  # of each block: see `Layer`
    norm: Literal["layer", "instance", "none"] = "layer"
    beta: float = 2.0
    head: Literal["linear", "mlp"] = "linear"
    tau_start: float = 0.9998
    tau_end: float = 0.9998
    tau_steps: int = 1  # in which tau rises from start to end


def first_covered(
    cover: Bool[Tensor, "b m n"],
    real: Bool[Tensor, "b n"],
    *,
    share: float | int,
    generator: torch.Generator | None = None,
) -> Bool[Tensor, "b n"]:
    """The first blocks of each row that together cover a share of its real places.

    The last of them is cut: which of its places are left out is drawn by lot.

    Args:
        cover: which places each of m blocks covers.
        real: where something may be hidden.
        share: of the real places, rounded, but at least one.
        generator: where the randomness comes from.
    """
    number = torch.arange(cover.shape[1], device=cover.device)[:, None]
    first = torch.where(cover, number, cover.shape[1]).amin(1)
    lot = torch.rand(first.shape, generator=generator, device=cover.device)
    order = (first + lot).masked_fill(~real, math.inf)
    count = (share * real.sum(1, keepdim=True)).round().clamp(min=1)
    return (order.argsort(1).argsort(1) < count) & real


def spans(
    real: Bool[Tensor, "b n"],
    *,
    share: float | int,
    length: int,
    generator: torch.Generator | None = None,
) -> Bool[Tensor, "b n"]:
    """Hide spans of neighbors in texts and sounds; length 1 hides single places.

    Args, errors: as in `blocks`, and `length` of a span.
    """
    check_number("share", share, 0, 1, above=0)
    check_number("length", length, 1, whole=True)
    check_flags("real", real)
    b, n = real.shape
    lot = torch.rand(b, n, generator=generator, device=real.device)
    # each place is where one span begins, in an order that is drawn
    begin = lot.masked_fill(~real, math.inf).argsort(1)[..., None]
    place = torch.arange(n, device=real.device)
    cover = (place >= begin) & (place < begin + length)
    return first_covered(cover, real, share=share, generator=generator)


def blocks(
    real: Bool[Tensor, "b n"],
    grid: tuple[int, int],
    *,
    share: float | int,
    least: int,
    generator: torch.Generator | None = None,
) -> Bool[Tensor, "b n"]:
    """Hide rectangles of patches, as BEiT does (2106.08254, algorithm 1).

    Args:
        real: where something may be hidden.
        grid: rows and columns of patches.
        share: of the places that are hidden in the end, in (0, 1].
        least: area of the smallest rectangle; 1 hides single patches. The largest is as
            large as all that is to be hidden.
        generator: where the randomness comes from.

    Raises:
        ValueError: a share outside of (0, 1], a `least` below 1.
    """
    if least == 1:
        return spans(real, share=share, length=1, generator=generator)
    check_number("share", share, 0, 1, above=0)
    check_number("least", least, 1, whole=True)
    rows, columns = grid
    many = 4 * math.ceil(rows * columns / least)
    size = (4, len(real), many, 1)
    lot = torch.rand(size, generator=generator, device=real.device)
    area = least + lot[0] * max(0, share * rows * columns - least)
    # log of the ratio of the sides: uniform from log 0.3 to -log 0.3
    ratio = ((2 * lot[1] - 1) * math.log(0.3)).exp()
    height = (area * ratio).sqrt().round().clamp(1, rows)
    width = (area / ratio).sqrt().round().clamp(1, columns)
    top = (lot[2] * (rows - height + 1)).floor()
    left = (lot[3] * (columns - width + 1)).floor()
    place = torch.arange(rows * columns, device=real.device)
    down, right = place // columns, place % columns
    cover = (down >= top) & (down < top + height)
    cover &= (right >= left) & (right < left + width)
    return first_covered(cover, real, share=share, generator=generator)


def normalized(
    layer: Float[Tensor, "b n d"], norm: Literal["layer", "instance", "none"]
) -> Float[Tensor, "b n d"]:
    """Mean 0 and variance 1, with nothing learned.

    Args:
        layer: what a block says.
        norm: "layer": over the features of each place; "instance": over the places of
            each row, for each feature; "none": as it is.
    """
    if norm == "layer":
        return F.layer_norm(layer, layer.shape[2:])
    return F.instance_norm(layer.mT).mT if norm == "instance" else layer


def average_top(
    layers: list[Float[Tensor, "b n d"]], *, k: int, norm: str
) -> Float[Tensor, "b n d"]:
    """The target: the mean of what the last k blocks say, each one normalized first."""
    # section 3.3: y_t = 1/K sum over l = L-K+1 ... L of a_hat_t^l
    kept = [normalized(layer, norm) for layer in layers[-k:]]
    return torch.stack(kept).mean(0)


def smooth_l1(
    prediction: Float[Tensor, "*n d"],
    target: Float[Tensor, "*n d"],
    *,
    beta: float | int,
) -> Float[Tensor, "*n d"]:
    """Half a square over beta where the gap is at most beta, else the gap less beta/2.

    With beta = 0 the whole square without a half, as in the released code for sounds.
    """
    gap = (prediction - target).abs()
    if beta == 0:
        return gap.square()
    # eq. (1), both branches meet in value and slope at a gap of beta
    return torch.where(gap <= beta, 0.5 * gap.square() / beta, gap - 0.5 * beta)


def decay_rate(step: int, first: float | int, last: float | int, steps: int) -> float:
    """tau at a step: from first to last along a line, then constant (section 3.2)."""
    return first + (last - first) * min(1.0, step / steps)


TINY = Data2VecConfig(
    front=PatchConfig(image_size=(16, 16), patch=4, scale=0.5),
    **{"width": 32, "depth": 3, "heads": 2, "k": 2, "block": 4},
    **{"tau_start": 0.9, "tau_end": 0.99, "tau_steps": 100},
)
TEXT = {"target": "fed", "share": 0.35, "block": 4, "beta": 4.0, "head": "mlp", "k": 10}
SOUND = {"target": "fed", "share": 0.49, "block": 10, "beta": 0.0, "norm": "instance"}
RISING = {"tau_start": 0.999, "tau_end": 0.9999}
TINY_TEXT = TokenConfig(vocab=40, positions=24, mask_token=39)
TINY_SOUND = SoundConfig(
    **{"channels": 16, "kernels": (10, 8, 4, 4), "strides": (5, 4, 4, 4)},
    **{"place_layers": 2, "place_kernel": 5, "place_groups": 4},
)
LARGE = {"width": 1024, "depth": 24, "heads": 16}


class Data2Vec(Model):
    """A student that hears part of the input, and a teacher that hears all of it.

    Example:
        >>> model = Data2Vec.from_preset("tiny-text")
        >>> batch = Data2Vec.example_batch(model.config, 2)
        >>> model.represent(batch).shape
        torch.Size([2, 32])
    """

    PRESETS = {
        "tiny-image": TINY,
        "tiny-text": replace(TINY, **TEXT | {"front": TINY_TEXT, "k": 2}),
        "tiny-sound": replace(TINY, **SOUND | {"front": TINY_SOUND, "k": 2}),
        "vision-base": Data2VecConfig(),
        "vision-large": Data2VecConfig(front=PatchConfig(scale=1e-5), **LARGE),
        "text-base": Data2VecConfig(
            front=TokenConfig(), **TEXT, **RISING, tau_steps=300_000
        ),
        "speech-base": Data2VecConfig(
            front=SoundConfig(), **SOUND, **RISING, tau_steps=30_000, k=8
        ),
    }
    # Sizes are given for the encoder alone; tests/models/test_data2vec.py compares.
    PAPER_PARAMS = {}
    LEARNED = {"main": 0.9}

    def __init__(self, config: Data2VecConfig):
        super().__init__(config)
        check_number("k", config.k, 1, config.depth, whole=True)
        width, heads = config.width, config.heads
        self.front = FRONTS[type(config.front)](config.front, width, heads)
        self.student = Stack(config.front, width, config.depth, heads)
        self.head = nn.Sequential(nn.Linear(width, width))
        if config.head == "mlp":
            wide = nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
            self.head = nn.Sequential(*wide)
        start([self.front, self.student, self.head], width)
        self.teacher = copy.deepcopy(self.student).requires_grad_(False)

    def hide(self, batch: dict, *, generator=None) -> Bool[Tensor, "b n"]:
        """Draw which places of a batch the student will not see."""
        real, config = self.front.places(batch), self.config
        how = {"share": config.share, "generator": generator}
        if isinstance(config.front, PatchConfig):
            return blocks(real, config.front.grid, least=config.block, **how)
        return spans(real, length=config.block, **how)

    def layers(self, batch: dict, hidden: Tensor | None = None) -> list[Layer]:
        """What each of the student's blocks says of a batch, class token included."""
        return self.student(self.front(batch, hidden))

    def hear(self, batch: dict, hidden: Tensor | None = None) -> Float[Tensor, "b n d"]:
        """What the student knows at each place in the end, without the class token."""
        last = self.student.norm(self.layers(batch, hidden)[-1].end)
        return last[:, self.front.extra :]

    def represent(self, batch: dict) -> Float[Tensor, "b d"]:
        """A vector of each row: the mean over the places, with nothing hidden."""
        heard, real = self.hear(batch), self.front.places(batch)[..., None]
        return (heard * real).sum(1) / real.sum(1)

    @torch.no_grad()
    def targets(self, batch: dict) -> Float[Tensor, "b n d"]:
        """y_t: what the teacher, which sees everything, says at each place."""
        layers = [
            getattr(a, self.config.target) for a in self.teacher(self.front(batch))
        ]
        kept = [layer[:, self.front.extra :] for layer in layers]
        return average_top(kept, k=self.config.k, norm=self.config.norm)

    def forward(self, batch: dict, hidden: Tensor) -> Float[Tensor, "b n d"]:
        """f_t(x): what the student, which sees only part, makes of each place."""
        return self.head(self.hear(batch, hidden))

    def loss(self, batch: dict, *, phase="main", generator=None) -> dict[str, Tensor]:
        """Distance of prediction and target at the hidden places.

        Args:
            batch: `image`, or `tokens` and `mask`, or `sound`, as the front reads.

        Returns:
            `loss`, and the deviations of target and prediction between hidden places: a
            collapsed net says the same everywhere, so that both are zero.

        Raises:
            ValueError: nothing that may be hidden, or what the front cannot read.
        """
        hidden = self.hide(batch, generator=generator)
        check_some("places that are hidden", hidden)
        target, prediction = self.targets(batch), self(batch, hidden)
        each = smooth_l1(prediction, target, beta=self.config.beta).sum(-1)
        each = each / math.sqrt(self.config.width)
        found = {"loss": (each * hidden).sum() / hidden.sum()}
        said = {"target_deviation": target, "prediction_deviation": prediction.detach()}
        return found | {name: deviation(x, hidden) for name, x in said.items()}

    def after_step(self, step: int, *, phase="main") -> None:
        """The teacher follows; with tau = 1 it never moves, with 0 it is a copy."""
        # section 3.2: Delta <- tau Delta + (1 - tau) theta
        config = self.config
        tau = decay_rate(step, config.tau_start, config.tau_end, config.tau_steps)
        follow(self.teacher, self.student, tau)

    @classmethod
    def example_batch(cls, config: Data2VecConfig, n: int, *, generator=None) -> dict:
        """Random pixels, texts of 16 tokens at most, or noise."""
        front = config.front
        if isinstance(front, PatchConfig):
            size = (n, 3, *front.image_size)
            return {"image": torch.rand(size, generator=generator) * 2 - 1}
        if isinstance(front, SoundConfig):
            return {"sound": torch.rand(n, 6400, generator=generator) * 2 - 1}
        size = (n, min(16, front.positions))
        tokens = torch.randint(3, front.mask_token, size, generator=generator)
        length = torch.randint(8, size[1] + 1, (n, 1), generator=generator)
        place = torch.arange(size[1])
        tokens[:, 0] = front.start_token
        tokens = torch.where(place == length - 1, front.end_token, tokens)
        mask = place < length
        return {"tokens": torch.where(mask, tokens, 1), "mask": mask}


def deviation(vectors: Float[Tensor, "b n d"], hidden: Bool[Tensor, "b n"]) -> Tensor:
    """Mean over features of the deviation between hidden places.

    The released code stops a training in which that of targets or predictions is below
    a floor after 5,000 updates.
    """
    weight = (hidden / hidden.sum())[..., None]
    mean = (vectors * weight).sum((0, 1))
    return ((vectors - mean).square() * weight).sum((0, 1)).sqrt().mean()
