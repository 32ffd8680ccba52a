"""Imagen: a frozen reader of text, a small picture, and nets that make it larger.

**Paper** Saharia, Chan, Saxena, Li, Whang, Denton, et al., "Photorealistic
Text-to-Image Diffusion Models with Deep Language Understanding", NeurIPS 2022,
arXiv 2205.11487.

**Book** `sec-imagen`

**Symbols**
- `image (b, 3, h, w)` = x_0 (x in the paper); `x` = its noisy form; `step (b,)` = t - 1
- `words (b, t, e)`, `mask (b, t)`: what the frozen text encoder says of each token; it
  is no part of this model, and nothing here changes it
- `low (b, 3, l, l)`: the small picture that an upsampler is given; `level (b,)`: after
  how many steps of noise, less one; -1 is without noise
- `scale` = w of the paper's guidance; `percentile` = p of dynamic thresholding

**Start**
- As `nn.unet`. What stands for no text: normal, 0.5.

**Differs from the paper**
- The nets are those of `nn.unet`, not the paper's Efficient U-Net: our counts of
  parameters are not the paper's.
- The level of the noise on a small picture is a step of the model's own chain.
- Noise is put on the small picture before it is made larger. Which comes first could
  not be checked against the paper.
- Our small nets say x_0 on patches; the paper's say the noise, or v.
- `pooled` is a mean over the words, then a linear layer; in the paper attention pools.

**Builds on** `nn.diffusion`, `nn.unet`; a `bert` of ours, or any encoder, reads.
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mmdl_lib.borders import (
    check_choice,
    check_image,
    check_integers,
    check_mask,
    check_number,
    check_numbers,
    check_same_length,
)
from mmdl_lib.core import Config, Model
from mmdl_lib.nn.diffusion import Diffusion, guided, times
from mmdl_lib.nn.unet import PatchUNetConfig, UNetConfig

PERCENTILE = 0.995


@dataclass(frozen=True, kw_only=True)
class ImagenConfig(Config):
    """Hyperparameters; the defaults are of the size of the paper's 64 x 64 model."""

    net: UNetConfig | PatchUNetConfig = UNetConfig(
        widths=(512, 1024, 1536, 2048), blocks=3, attention=(1, 2, 3), head_width=64,
        context=512, step="scale",
    )  # fmt: skip
    image_size: int = 64
    low: int | None = None  # side of the small picture; None: there is none
    reader: int = 4096  # width of the frozen encoder's words, that of T5-XXL
    empty: float = 0.1  # share of the texts that are left out in training
    noisy: float | int = 1.0  # share of the chain that `low` gets noise of
    kind: Literal["linear", "cosine"] = "cosine"
    steps: int = 1000
    shift: float = 1.0
    target: Literal["noise", "x0", "v"] = "noise"
    weight: Literal["simple", "min_snr", "capped"] = "simple"


def _object(size: int, low: int | None = None, **changes) -> ImagenConfig:
    """Our models of one large object."""
    net = PatchUNetConfig(
        inputs=3 if low is None else 6, side=size, patch=4, widths=(64, 96), context=64
    )
    sizes = {"net": net, "image_size": size, "low": low, "reader": 64, "shift": 0.5}
    return ImagenConfig(**sizes | {"target": "x0", "weight": "capped"} | changes)


def _tiny(low: int | None = None, **changes) -> ImagenConfig:
    net = UNetConfig(
        inputs=3 if low is None else 6, widths=(16, 32), blocks=1, head_width=16,
        context=32, step="scale", groups=8,
    )  # fmt: skip
    sizes = {"net": net, "image_size": 8, "low": low, "reader": 12, "steps": 50}
    return ImagenConfig(**sizes | {"empty": 0.5} | changes)


def static(x0: Float[Tensor, "b *shape"]) -> Float[Tensor, "b *shape"]:
    """What is believed of a picture, cut to [-1, 1]: static thresholding."""
    return x0.clamp(-1, 1)


def dynamic(
    x0: Float[Tensor, "b *shape"], percentile: float | int = PERCENTILE
) -> Float[Tensor, "b *shape"]:
    """Cut each picture to its own range [-s, s], and divide it by s.

    s is the percentile of the picture's absolute pixels, but at least 1: a picture
    within [-1, 1] stays as it is.

    Args:
        x0: what is believed.
        percentile: share of the pixels that are not cut.

    Raises:
        ValueError: a percentile outside of (0, 1].

    Source: section 2.3.
    """
    check_number("percentile", percentile, high=1, above=0)
    s = x0.abs().flatten(1).float().quantile(float(percentile), dim=1).clamp(min=1)
    s = s.to(x0.dtype).reshape(-1, *(1 for _ in x0.shape[1:]))
    return x0.clamp(-s, s) / s


SETTLE = {"static": static, "dynamic": dynamic, "none": lambda x0: x0}


class Heard(nn.Module):
    """What a net hears of a frozen encoder's words: some to read, and one for all.

    Args:
        reader: width of the encoder's words.
        context: width of those that attention reads.
        out: width of the vector that goes where the step goes.
    """

    def __init__(self, reader: int, context: int, out: int):
        super().__init__()
        self.norm, self.words = nn.LayerNorm(reader), nn.Linear(reader, context)
        self.pool = nn.Sequential(
            nn.LayerNorm(reader), nn.Linear(reader, out), nn.SiLU(), nn.Linear(out, out)
        )
        self.nothing = nn.Parameter(0.5 * torch.randn(context))
        self.no_pool = nn.Parameter(0.5 * torch.randn(out))

    def forward(
        self,
        words: Float[Tensor, "b t e"],
        mask: Bool[Tensor, "b t"],
        empty: Bool[Tensor, " b"] | None = None,
    ) -> tuple[Float[Tensor, "b t d"], Bool[Tensor, "b t"], Float[Tensor, "b o"]]:
        """Words to read, which of them are real, and one vector; rows of `empty` hear
        the learned vectors of no text instead."""
        y = self.words(self.norm(words))
        share = mask / mask.sum(1, keepdim=True).clamp(min=1)
        pooled = self.pool((words * share[..., None].to(words.dtype)).sum(1))
        if empty is None:
            return y, mask, pooled
        first = torch.arange(mask.shape[1], device=mask.device) == 0
        y = torch.where(empty[:, None, None], self.nothing, y)
        mask = torch.where(empty[:, None], first, mask)
        return y, mask, torch.where(empty[:, None], self.no_pool, pooled)


class Imagen(Model):
    """One net of the cascade: it draws a small picture, or makes one larger.

    Example:
        >>> base = Imagen.from_preset("tiny").eval()
        >>> larger = Imagen.from_preset("tiny-larger").eval()
        >>> said = Imagen.example_batch(base.config, 2)
        >>> low = base.sample(said["words"], said["mask"], steps=3)[..., ::2, ::2]
        >>> larger.sample(said["words"], said["mask"], low=low, steps=3).shape
        torch.Size([2, 3, 8, 8])
    """

    PRESETS = {
        "tiny": _tiny(),
        "tiny-larger": _tiny(4),
        "large-object": _object(16),
        "large-object-8": _object(
            8,
            net=PatchUNetConfig(
                side=8, patch=2, widths=(64, 96), context=64
            ),
        ),
        "large-object-8-to-16": _object(16, 8),
        "64": ImagenConfig(),
        "64-to-256": ImagenConfig(
            image_size=256, low=64,
            net=UNetConfig(
                inputs=6, widths=(128, 256, 512, 1024), blocks=2, attention=(3,),
                head_width=64, context=512, step="scale",
            ),
        ),
    }  # fmt: skip
    LEARNED = {"main": 0.9}

    def __init__(self, config: ImagenConfig):
        super().__init__(config)
        c = config
        check_number("noisy", c.noisy, 0, 1)
        self.diffusion = Diffusion(
            c.kind, c.steps, target=c.target, weight=c.weight, shift=c.shift
        )
        self.net = c.net.build()
        out = self.net.time[-1].out_features
        self.heard = Heard(c.reader, c.net.context, out)
        self.level = None
        if c.low is not None:
            self.level = nn.Sequential(
                nn.Linear(64, out), nn.SiLU(), nn.Linear(out, out)
            )

    # what is given

    def read(
        self,
        words: Float[Tensor, "b t e"],
        mask: Bool[Tensor, "b t"],
        empty: Bool[Tensor, " b"] | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """As `Heard`, after a look at what is given.

        Raises:
            ValueError: words of another width, NaN, a mask of another shape, no words.
        """
        check_numbers("words", words, "b t e")
        if words.shape[1] == 0 or words.shape[2] != self.config.reader:
            raise ValueError(
                f"words expected shape (b, t, {self.config.reader}) with t of at least "
                f"1, got {tuple(words.shape)}."
            )
        check_mask(mask, shape=words.shape[:2])
        return self.heard(words, mask, empty)

    def beside(
        self,
        low: Float[Tensor, "b 3 l l"] | None,
        level: Int[Tensor, " b"] | None = None,
        noise: Float[Tensor, "b 3 l l"] | None = None,
    ) -> tuple[Tensor, Tensor] | None:
        """The small picture with its noise, made larger, and a vector of the level.

        Args:
            low: in [-1, 1]; None for a model that has none.
            level: a step of the chain for each row, -1 = no noise, as is the default.
            noise: that is put on it; not needed without noise.

        Raises:
            ValueError: a picture missing, too much, or of another size; a level that
                the chain does not have.
        """
        c = self.config
        if (c.low is None) != (low is None):
            wanted, got = ("no", "one") if c.low is None else ("a", "none")
            raise ValueError(f"expected {wanted} small picture, got {got}.")
        if low is None:
            return None
        check_image(low, name="low")
        if low.shape[-2:] != (c.low, c.low):
            raise ValueError(f"low expected a side of {c.low}, got {low.shape[-1]}.")
        if level is None:
            level = torch.full((len(low),), -1, device=low.device)
        check_integers("level", level, -1, c.steps - 1)
        if noise is not None:
            signal, spread = self.diffusion.at(level.clamp(min=0), low)
            clean = (level < 0)[:, None, None, None]
            low = torch.where(clean, low, signal * low + spread * noise)
        size = c.image_size
        told = self.level(times(level + 1, 64).to(low.dtype))
        return F.interpolate(low, (size, size), mode="bilinear"), told

    # learning

    def forward(
        self,
        x: Float[Tensor, "b c h w"],
        step: Int[Tensor, " b"],
        read: tuple[Tensor, Tensor, Tensor],
        beside: tuple[Tensor, Tensor] | None = None,
    ) -> Float[Tensor, "b c h w"]:
        """What the net says of x, at a step, of what `read` and `beside` give."""
        words, mask, pooled = read
        if beside is not None:
            x, pooled = torch.cat([x, beside[0]], 1), pooled + beside[1]
        return self.net(x, step, words, mask, pooled=pooled)

    def loss(self, batch: dict, *, phase="main", generator=None) -> dict[str, Tensor]:
        """The weighed error of what the net says.

        A tenth of the texts is left out; the level of the noise on a small picture is
        drawn for each row, from none to the share `noisy` of the chain.

        Args:
            batch: `image`, `words (b, t, e)`, `mask (b, t)`; an upsampler's also has
                `low (b, 3, l, l)`.
            phase: there is one.
            generator: of steps, noise, levels and left out texts.
        """
        image, c = batch["image"], self.config
        how = {"generator": generator, "device": image.device}
        step = self.diffusion.draw(len(image), **how)
        noise = torch.randn(image.shape, **how).to(image.dtype)
        empty = torch.rand(len(image), **how) < c.empty
        beside = None
        if c.low is not None:
            most = round(c.noisy * c.steps)
            level = torch.randint(0, most + 1, (len(image),), **how) - 1
            dust = torch.randn(batch["low"].shape, **how).to(image.dtype)
            beside = self.beside(batch["low"], level, dust)
        read = self.read(batch["words"], batch["mask"], empty)
        x = self.diffusion.q_sample(image, step, noise)
        output = self(x, step, read, beside)
        return {"loss": self.diffusion.error(output, image, step, noise)}

    # drawing

    @torch.no_grad()
    def sample(
        self,
        words: Float[Tensor, "b t e"],
        mask: Bool[Tensor, "b t"],
        *,
        low: Float[Tensor, "b 3 l l"] | None = None,
        level: int = -1,
        scale: float | int = 3.0,
        steps: int = 20,
        eta: float | int = 0.0,
        threshold: str = "dynamic",
        watch=None,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "b c h w"]:
        """Random pictures for texts.

        Args:
            words, mask: as in `read`.
            low: small pictures of an upsampler, one a text; without any they are gray.
            level: noise that is put on them, a step of the chain; -1 is none.
            scale: of the guidance: 1 is the model itself, 0 hears no text.
            steps: of the chain that are taken.
            eta: 0 is DDIM, 1 DDPM's ancestral steps.
            threshold: what is done with a believed picture: "dynamic", "static" or
                "none".
            watch, generator: as in `Diffusion.sample`; the generator is of all noise.

        Raises:
            ValueError: a negative scale, another threshold; as `read`, `beside` and
                `Diffusion.sample`.
        """
        check_number("scale", scale, 0)
        check_choice("threshold", threshold, tuple(SETTLE))
        c, like = self.config, self.heard.nothing
        how = {"device": like.device, "dtype": like.dtype}
        if c.low is not None and low is None:
            low = torch.zeros(len(words), 3, c.low, c.low, **how)
        noisy, dust = level != -1, None
        if noisy and low is not None:
            dust = torch.randn(low.shape, generator=generator, **how)
        elif noisy:
            raise ValueError(f"level expected a small picture, got {level} and none.")
        row = torch.full((len(words),), level, device=like.device)
        if c.low is not None:
            check_same_length(low=low, words=words)
        say = self.guided(words, mask, scale, self.beside(low, row, dust))
        shape = len(words), c.net.outputs, c.image_size, c.image_size
        x = torch.randn(shape, generator=generator, **how)
        more = {"steps": steps, "eta": eta, "generator": generator, "watch": watch}
        return self.diffusion.sample(say, x, settle=SETTLE[threshold], **more)

    def guided(self, words, mask, scale: float | int, beside=None):
        """(x, step) -> what the net says, guided away from no text."""
        told = self.read(words, mask)
        if scale == 1:
            return partial(self._say, told, beside)
        everyone = torch.ones(len(words), dtype=torch.bool, device=words.device)
        empty = self.read(words, mask, everyone)

        # eq. (2): eps = w eps(z, c) + (1 - w) eps(z)
        def say(x, step):
            pair = self._say(told, beside, x, step), self._say(empty, beside, x, step)
            return guided(*pair, float(scale))

        return say

    def _say(self, read, beside, x, step):
        return self(x, step, read, beside)

    @classmethod
    def example_batch(cls, config: ImagenConfig, n: int, *, generator=None) -> dict:
        """Random pictures, words of unequal number, and small pictures if needed."""
        c, how = config, {"generator": generator}
        length = torch.randint(1, 7, (n, 1), **how)
        batch = {
            "image": torch.rand(n, c.net.outputs, c.image_size, c.image_size, **how),
            "words": torch.randn(n, 6, c.reader, **how),
            "mask": torch.arange(6) < length,
        }
        batch["image"] = 2 * batch["image"] - 1
        if c.low is not None:
            batch["low"] = torch.rand(n, 3, c.low, c.low, **how) * 2 - 1
        return batch
