"""DALL-E 2 (unCLIP): a decoder that turns CLIP's embedding of a picture into pixels.

**Paper** Ramesh, Dhariwal, Nichol, Chu, Chen, "Hierarchical Text-Conditional Image
Generation with CLIP Latents", 2022, arXiv 2204.06125.

**Book** `sec-dalle2`

**Symbols**
- `picture (b, d)`, `text (b, d)` = z_i, z_t: CLIP's embeddings, both of length one
- `image (b, 3, h, w)` = x, the picture; `x` = x_t, its noisy version; `step` = t - 1
- `share` = theta of an interpolation; `scale`: of the guidance

**Start**
- As its net starts; the embedding of nothing has deviation 1, as embeddings have that
  are multiplied by sqrt(d).

**Differs from the paper**
- The decoder reads no caption beside the embedding's four tokens; the paper's can.
- Our small one says x_0 on patches; the paper's net says the noise and a variance.
- One net at the size of our pictures; the paper adds two upsamplers, to 1024 x 1024.

**Builds on** `nn.diffusion` (the process, guidance), `nn.unet`, CLIP, GLIDE;
`dalle2_prior` stands before it
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mmdl_lib.borders import check_image, check_number, check_numbers
from mmdl_lib.core import Config, Model
from mmdl_lib.nn.diffusion import Diffusion, check_shape, guided
from mmdl_lib.nn.unet import PatchUNetConfig, UNetConfig

TOKENS = 4  # that the net reads of an embedding


@dataclass(frozen=True, kw_only=True)
class DecoderConfig(Config):
    """Sizes of the decoder; the defaults are those of GLIDE's base net."""

    net: UNetConfig | PatchUNetConfig = UNetConfig(
        widths=(512, 1024, 1536, 2048), blocks=3, attention=(1, 2, 3),
        head_width=64, context=2048, step="scale",
    )  # fmt: skip
    image_size: int = 64
    embed: int = 768
    empty: float = 0.1
    kind: Literal["linear", "cosine"] = "cosine"
    steps: int = 1000
    shift: float = 1.0
    target: Literal["noise", "x0", "v"] = "noise"
    weight: Literal["simple", "min_snr", "capped"] = "simple"


def slerp(
    one: Float[Tensor, "b d"], two: Float[Tensor, "b d"], share: float | int
) -> Float[Tensor, "b d"]:
    """On the shorter arc from `one` (share 0) to `two` (share 1), both of length one.

    A mean of the two would be shorter than both. Opposite vectors have no shorter arc.

    Source: the paper's interpolations, with theta = share.
    """
    cosine = (one * two).sum(-1, keepdim=True).clamp(-1, 1)
    angle = cosine.acos()
    # nearly the same direction: sin(angle) is 0 / 0, and a straight line is as good
    straight = angle < 1e-3
    safe = torch.where(straight, torch.ones_like(angle), angle)
    weights = [((1 - share) * safe).sin(), (share * safe).sin()]
    arc = (weights[0] * one + weights[1] * two) / safe.sin()
    line = F.normalize((1 - share) * one + share * two, dim=-1)
    return torch.where(straight, line, arc)


def text_difference(
    picture: Float[Tensor, "b d"],
    before: Float[Tensor, "b d"],
    after: Float[Tensor, "b d"],
    share: float | int,
) -> Float[Tensor, "b d"]:
    """A picture's embedding on its way to where the texts' difference points.

    Source: the paper's text differences: slerp from z_i to
    z_d = (z_t - z_t0) / |z_t - z_t0|.
    """
    return slerp(picture, F.normalize(after - before, dim=-1), share)


class Decoder(Model):
    """P(x | z_i): GLIDE's net, with an embedding where GLIDE has a caption.

    Example:
        >>> model = Decoder.from_preset("tiny").eval()
        >>> model.sample(torch.ones(2, 8) / 8**0.5, steps=3).shape
        torch.Size([2, 3, 8, 8])
    """

    PRESETS = {
        "tiny": DecoderConfig(
            net=UNetConfig(
                widths=(16, 32), blocks=1, head_width=16, context=32, step="scale",
                groups=8,
            ),
            image_size=8, embed=8, steps=50, empty=0.5,
        ),
        "shapes": DecoderConfig(
            net=PatchUNetConfig(context=64, side=16), image_size=16, embed=64,
            shift=0.5, target="x0", weight="capped",
        ),
        "base": DecoderConfig(),
    }  # fmt: skip
    LEARNED = {"main": 0.9}

    def __init__(self, config: DecoderConfig):
        super().__init__(config)
        c = config
        how = {"target": c.target, "weight": c.weight, "shift": c.shift}
        self.diffusion = Diffusion(c.kind, c.steps, **how)
        self.net = c.net.build()
        self.pooled = nn.Linear(c.embed, self.net.time[-1].out_features)
        self.tokens = nn.Linear(c.embed, TOKENS * c.net.context)
        self.nothing = nn.Parameter(torch.randn(c.embed))

    def forward(
        self,
        x: Float[Tensor, "b c h w"],
        step: Int[Tensor, " b"],
        picture: Float[Tensor, "b d"],
        empty: Bool[Tensor, " b"] | None = None,
    ) -> Float[Tensor, "b c h w"]:
        """What the net says of x, at a step, told an embedding.

        Raises:
            ValueError: embeddings of another width.
        """
        if picture.shape[1:] != (self.config.embed,):
            raise ValueError(
                f"picture expected (b, {self.config.embed}), got "
                f"{tuple(picture.shape)}."
            )
        z = picture * self.config.embed**0.5  # numbers near 1
        if empty is not None:
            z = torch.where(empty[:, None], self.nothing, z)
        # twice: beside the step, and as four more words
        words = self.tokens(z).unflatten(1, (TOKENS, -1))
        return self.net(x, step, words, pooled=self.pooled(z))

    def loss(self, batch: dict, *, phase="main", generator=None) -> dict[str, Tensor]:
        """The weighed error of what the net says, embeddings left out now and then.

        Args:
            batch: `image`, `picture`.
            phase: there is one.
            generator: of steps, noise and left out embeddings.
        """
        image = batch["image"]
        check_image(image)
        how = {"generator": generator, "device": image.device}
        step = self.diffusion.draw(len(image), **how)
        noise = torch.randn(image.shape, **how).to(image.dtype)
        empty = torch.rand(len(image), **how) < self.config.empty
        x = self.diffusion.q_sample(image, step, noise)
        output = self(x, step, batch["picture"], empty)
        return {"loss": self.diffusion.error(output, image, step, noise)}

    @torch.no_grad()
    def sample(
        self,
        picture: Float[Tensor, "b d"],
        *,
        scale: float | int = 2.0,
        steps: int = 20,
        eta: float | int = 0.0,
        noise: Float[Tensor, "b c h w"] | None = None,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "b c h w"]:
        """Pictures for embeddings.

        Args:
            picture: of length one.
            scale: of the guidance: 1 is the model itself, 0 hears no embedding.
            steps: of the chain that are taken.
            eta: 0 is DDIM, 1 DDPM's ancestral steps.
            noise: where each begins; None: drawn.
            generator: of all noise.

        Raises:
            ValueError: as `forward` and `Diffusion.sample`; a negative scale; NaN;
                noise of another shape.
        """
        check_number("scale", scale, 0)
        check_numbers("picture", picture, "b d")
        c = self.config
        shape = len(picture), c.net.outputs, c.image_size, c.image_size
        if noise is None:
            how = {"device": picture.device, "dtype": picture.dtype}
            noise = torch.randn(shape, generator=generator, **how)
        check_shape("noise", noise, shape)
        empty = torch.ones(len(picture), dtype=torch.bool, device=picture.device)

        def say(x, step):
            told = self(x, step, picture)
            if scale == 1:
                return told
            return guided(told, self(x, step, picture, empty), float(scale))

        how = {"steps": steps, "eta": eta, "generator": generator}
        return self.diffusion.sample(say, noise, **how)

    @classmethod
    def example_batch(cls, config: DecoderConfig, n: int, *, generator=None) -> dict:
        """Random pictures, and embeddings of length one."""
        c, how = config, {"generator": generator}
        size = n, c.net.outputs, c.image_size, c.image_size
        return {
            "image": torch.rand(size, **how) * 2 - 1,
            "picture": F.normalize(torch.randn(n, c.embed, **how), dim=-1),
        }
