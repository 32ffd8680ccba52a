"""GLIDE: a diffusion model that reads a text, and two ways to follow it more closely.

**Paper** Nichol, Dhariwal, Ramesh, Shyam, Mishkin, McGrew, Sutskever, Chen, "GLIDE:
Towards Photorealistic Image Generation and Editing with Text-Guided Diffusion Models",
ICML 2022, arXiv 2112.10741.

**Book** `sec-glide`

**Symbols**
- `image (b, 3, h, w)` = x_0; `x` = x_t; `step (b,)` = t - 1
- `tokens (b, t)`, `mask (b, t)` = the caption c; `words (b, t, d)` what its Transformer
  makes of it; `pooled (b, e)` goes where the step goes
- `beside (b, e, h, w)`: what an inpainting model or an upsampler is given: the known
  pixels and their mask, or the small picture
- `scale` = s of eq. (8)

**Start**
- The last layer of each residual block, of each attention and of the net are zero: it
  says "nothing" and lets all through. Words begin with deviation 0.5, positions too.

**Differs from the paper**
- Words are those of a small vocabulary, not byte pairs. Padding is masked; the paper
  learns an embedding for it.
- `pooled` is a mean over the words, in the paper the last token of the Transformer.
- `neighbors` words are mixed by one convolution before the Transformer of our small
  model: without it, it reads a caption as a bag of words for very long.
- Our small model has patches (`PatchUNet`) and says x_0; the paper's net says the noise
  and learns a variance between two bounds, which is not here.
- `facts`: heads that read from `pooled` what a caption says, learned beside, where a
  batch has such labels.
- An empty caption is one learned vector; in the paper it is a row of padding.

**Builds on** `ddpm` (a gradient as guide), `nn.diffusion` (the process), `nn.unet`
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mmdl_lib.borders import check_image, check_integers, check_mask, check_number
from mmdl_lib.core import Config, Model
from mmdl_lib.models.ddpm import toward
from mmdl_lib.nn import Transformer
from mmdl_lib.nn.diffusion import Diffusion, check_shape, guided, known
from mmdl_lib.nn.positions import LearnedPositions
from mmdl_lib.nn.unet import PatchUNetConfig, UNetConfig

BESIDE = {"base": 0, "inpaint": 4, "upsample": 3}  # channels
NEEDS = {"base": (), "inpaint": ("image", "known"), "upsample": ("low",)}


@dataclass(frozen=True, kw_only=True)
class GLIDEConfig(Config):
    """Hyperparameters; the defaults are the paper's base model, 64 x 64."""

    net: UNetConfig | PatchUNetConfig = UNetConfig(
        outputs=3, widths=(512, 1024, 1536, 2048), blocks=3, attention=(1, 2, 3),
        head_width=64, context=2048, step="scale",
    )  # fmt: skip
    role: Literal["base", "inpaint", "upsample"] = "base"
    image_size: int = 64
    vocab: int = 50_257
    text: int = 128  # places of the caption
    width: int = 2048  # of the caption's Transformer
    depth: int = 24
    heads: int = 32
    neighbors: int = 1  # words that a convolution mixes first; 1: none
    facts: tuple[int, ...] = ()  # classes of each thing that is read from `pooled`
    facts_weight: float = 0.02
    empty: float = 0.2  # share of the captions that are left out in training
    kind: Literal["linear", "cosine"] = "cosine"
    steps: int = 1000
    shift: float = 1.0
    target: Literal["noise", "x0", "v"] = "noise"
    weight: Literal["simple", "min_snr", "capped"] = "simple"


def _small(size=32, role="base", widths=(64, 96), **changes) -> GLIDEConfig:
    """Our model of the shapes world."""
    net = PatchUNetConfig(
        inputs=3 + BESIDE[role], side=size, patch=4, widths=widths, context=64
    )
    sizes = {"net": net, "role": role, "image_size": size, "vocab": 38, "text": 24}
    sizes |= {"width": 64, "depth": 2, "heads": 2, "neighbors": 9, "empty": 0.1}
    sizes |= {"shift": 0.5, "target": "x0", "weight": "capped"}
    return GLIDEConfig(**sizes | changes)


def _tiny(role: str = "base", **changes) -> GLIDEConfig:
    net = UNetConfig(
        inputs=3 + BESIDE[role], widths=(16, 32), blocks=1, head_width=16,
        context=32, step="scale", groups=8,
    )  # fmt: skip
    sizes = {"net": net, "role": role, "image_size": 8, "vocab": 26, "text": 6}
    sizes |= {"width": 32, "depth": 1, "heads": 2, "steps": 50, "empty": 0.5}
    return GLIDEConfig(**sizes | changes)


class Words(nn.Module):
    """A caption's Transformer: vectors for attention, and one for the whole.

    Args:
        vocab, length: known tokens, and the most of a caption.
        width, depth, heads: of the Transformer.
        out: width of the vector for the whole.
        neighbors: words that a convolution mixes before it.
    """

    def __init__(
        self,
        vocab: int,
        length: int,
        width: int,
        depth: int,
        heads: int,
        *,
        out: int,
        neighbors: int = 1,
    ):
        super().__init__()
        self.embedding = nn.Embedding(vocab, width)
        nn.init.normal_(self.embedding.weight, std=0.5)
        self.positions = LearnedPositions(length, width, std=0.5)
        self.near = None
        if neighbors > 1:
            self.near = nn.Conv1d(width, width, neighbors, padding=neighbors // 2)
        self.transformer = Transformer(width, depth, heads)
        self.norm = nn.LayerNorm(width)
        self.pool = nn.Linear(width, out)
        self.nothing = nn.Parameter(0.5 * torch.randn(width))

    def forward(
        self,
        tokens: Int[Tensor, "b t"],
        mask: Bool[Tensor, "b t"],
        empty: Bool[Tensor, " b"] | None = None,
    ) -> tuple[Float[Tensor, "b t d"], Bool[Tensor, "b t"], Float[Tensor, "b e"]]:
        """Vectors, which of them are real, and the whole.

        Args:
            tokens, mask: of the captions.
            empty: rows whose caption is left out: one learned vector stands for it.
        """
        x = self.embedding(tokens)
        y = x + self.positions(tokens.shape[1])
        if self.near is not None:
            x = (x * mask[..., None]).transpose(1, 2)
            y = y + self.near(x).transpose(1, 2)
        y = self.norm(self.transformer(y, mask))
        if empty is not None:
            y = torch.where(empty[:, None, None], self.nothing, y)
            first = torch.arange(tokens.shape[1], device=tokens.device) == 0
            mask = torch.where(empty[:, None], first, mask)
        share = mask[..., None] / mask.sum(1).clamp(min=1)[:, None, None]
        return y, mask, self.pool((y * share.to(y.dtype)).sum(1))


class GLIDE(Model):
    """A U-Net that hears a caption, trained to undo noise.

    Example:
        >>> model = GLIDE.from_preset("tiny").eval()
        >>> batch = GLIDE.example_batch(model.config, 2)
        >>> model.sample(batch["tokens"], batch["mask"], steps=3).shape
        torch.Size([2, 3, 8, 8])
    """

    PRESETS = {
        "tiny": _tiny(),
        "tiny-inpaint": _tiny("inpaint"),
        "tiny-upsample": _tiny("upsample"),
        "tiny-patches": _small(
            8, vocab=26, text=6, facts=(3, 2), steps=50, empty=0.5,
            net=PatchUNetConfig(
                side=8, patch=2, widths=(16, 32), head_width=16, context=64
            ),
        ),
        "large-object": _small(
            16, text=8, neighbors=1,
            net=PatchUNetConfig(side=16, patch=2, widths=(48, 64), context=64),
        ),
        "shapes": _small(facts=(8, 8, 8, 8, 2)),
        "shapes-inpaint": _small(32, "inpaint", (56, 96), facts=(8, 8, 8, 8, 2)),
        "base": GLIDEConfig(),
    }  # fmt: skip
    LEARNED = {"main": 0.9}

    def __init__(self, config: GLIDEConfig):
        super().__init__(config)
        c = config
        self.diffusion = Diffusion(
            c.kind, c.steps, target=c.target, weight=c.weight, shift=c.shift
        )
        self.net = c.net.build()
        out = self.net.time[-1].out_features
        sizes = c.vocab, c.text, c.width, c.depth, c.heads
        self.words = Words(*sizes, out=out, neighbors=c.neighbors)
        self.facts = nn.Linear(out, sum(c.facts)) if c.facts else None

    # reading

    def read(
        self,
        tokens: Int[Tensor, "b t"],
        mask: Bool[Tensor, "b t"],
        empty: Bool[Tensor, " b"] | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """`words`, `mask` and `pooled` of captions.

        Raises:
            ValueError: an unknown word, another mask, no caption, too many tokens.
        """
        check_integers("tokens", tokens, 0, self.config.vocab - 1)
        check_mask(mask, shape=tokens.shape)
        most, got = self.config.text, tokens.shape[1]
        if not 1 <= got <= most:
            raise ValueError(f"tokens expected from 1 to {most} a row, got {got}.")
        return self.words(tokens, mask, empty)

    def forward(
        self,
        x: Float[Tensor, "b c h w"],
        step: Int[Tensor, " b"],
        read: tuple[Tensor, Tensor, Tensor],
        beside: Float[Tensor, "b e h w"] | None = None,
    ) -> Float[Tensor, "b c h w"]:
        """What the net says of x, at a step, of captions that `read` has read."""
        words, mask, pooled = read
        x = x if beside is None else torch.cat([x, beside], 1)
        return self.net(x, step, words, mask, pooled=pooled)

    def loss(self, batch: dict, *, phase="main", generator=None) -> dict[str, Tensor]:
        """The weighed error of what the net says, captions left out now and then.

        Args:
            batch: `image`, `tokens`, `mask`; what the role asks for: `known (b, 1, h,
                w)` bool of an inpainting model, `low (b, 3, l, l)` of an upsampler; and
                perhaps `facts (b, f)`, classes with -1 = not told.
            phase: there is one.
            generator: of steps, noise and left out captions.
        """
        image, c = batch["image"], self.config
        self.fits(image, len(batch["tokens"]))
        how = {"generator": generator, "device": image.device}
        step = self.diffusion.draw(len(image), **how)
        noise = torch.randn(image.shape, **how).to(image.dtype)
        empty = torch.rand(len(image), **how) < c.empty
        read = self.read(batch["tokens"], batch["mask"], empty)
        x = self.diffusion.q_sample(image, step, noise)
        output = self(x, step, read, self.beside(batch))
        terms = {"picture": self.diffusion.error(output, image, step, noise)}
        if self.facts is not None and "facts" in batch:
            told = torch.where(empty[:, None], -1, batch["facts"])
            terms["facts"] = self._facts(read[2], told)
        facts = c.facts_weight * terms.get("facts", 0)
        return {"loss": terms["picture"] + facts, **terms}

    def _facts(self, pooled: Tensor, label: Int[Tensor, "b f"]) -> Tensor:
        how = {"ignore_index": -1, "reduction": "sum"}
        parts = self.facts(pooled).split(self.config.facts, 1)
        pairs = zip(parts, label.T, strict=True)
        sums = [F.cross_entropy(part.float(), told, **how) for part, told in pairs]
        return sum(sums) / (label >= 0).any(1).sum().clamp(min=1)

    def fits(self, image: Float[Tensor, "b c h w"], rows: int) -> None:
        """Check pictures: so many, of the model's size, in [-1, 1], else ValueError."""
        check_image(image)
        side = self.config.image_size
        check_shape("image", image, (rows, self.config.net.outputs, side, side))

    def beside(self, batch: dict, rows: int | None = None):
        """What stands beside the noisy picture, as channels (b, e, h, w), or None.

        Raises:
            ValueError: what the role needs is missing or of another shape, such as not
                for so many rows; without them, for each row of tokens.
        """
        role, size = self.config.role, self.config.image_size
        for key in NEEDS[role]:
            if key not in batch:
                raise ValueError(f"a {role} model expected a batch with {key}.")
        if role == "base":
            return None
        rows = len(batch["tokens"]) if rows is None else rows
        if role == "upsample":
            low = batch["low"]
            check_image(low, name="low")
            check_shape("low", low, (rows, 3, low.shape[-1], low.shape[-1]))
            return F.interpolate(low, (size, size), mode="bilinear")
        image, mask = batch["image"], batch["known"]
        self.fits(image, rows)
        known(image, mask)  # checks
        return torch.cat([image * mask, mask.to(image.dtype)], 1)

    # drawing

    def guided(
        self,
        tokens: Int[Tensor, "b t"],
        mask: Bool[Tensor, "b t"],
        scale: float | int = 3.0,
        beside: Float[Tensor, "b e h w"] | None = None,
    ):
        """(x, step) -> what the net says with classifier-free guidance.

        Raises:
            ValueError: as `read`; a negative scale.
        """
        check_number("scale", scale, 0)
        told = self.read(tokens, mask)
        if scale == 1:
            return partial(self._say, told, beside=beside)
        everyone = torch.ones(len(tokens), dtype=torch.bool, device=tokens.device)
        empty = self.read(tokens, mask, everyone)
        if scale == 0:
            return partial(self._say, empty, beside=beside)

        # eq. (8): eps(x | nothing) + s (eps(x | c) - eps(x | nothing))
        def say(x, step):
            pair = self._say(told, x, step, beside), self._say(empty, x, step, beside)
            return guided(*pair, scale)

        return say

    def _say(self, read, x, step, beside=None):
        return self(x, step, read, beside)

    @torch.no_grad()
    def sample(
        self,
        tokens: Int[Tensor, "b t"],
        mask: Bool[Tensor, "b t"],
        *,
        scale: float | int = 3.0,
        steps: int = 20,
        eta: float | int = 0.0,
        beside: dict | None = None,
        pull: Callable[[Tensor, Tensor], Tensor] | None = None,
        pull_scale: float | int = 1.0,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "b c h w"]:
        """Random pictures for captions.

        Args:
            tokens, mask: as in `read`.
            scale: of the guidance: 1 is the model itself, 0 listens to no caption.
            steps: of the chain that are taken.
            eta: 0 is DDIM, 1 DDPM's ancestral steps.
            beside: what the role needs, as in a batch: `image` and `known` of an
                inpainting model (known pixels come back as they are), `low`. Without
                it, nothing is known.
            pull, pull_scale: guidance by a gradient, such as `NoisedCLIP.liking`.
            generator: of all noise.

        Raises:
            ValueError: as `guided`, `beside` and `Diffusion.sample`.
        """
        size, role = self.config.image_size, self.config.role
        like, settled = self.words.nothing, {}
        how = {"device": like.device, "dtype": like.dtype}
        extra = torch.zeros(len(tokens), BESIDE[role], size, size, **how)
        if beside is not None:
            if role == "base":
                raise ValueError("a base model expected nothing beside the captions.")
            extra = self.beside(beside, len(tokens))
            if role == "inpaint":
                settled["settle"] = known(beside["image"], beside["known"])
        say = self.guided(tokens, mask, scale, extra)
        if pull is not None:
            say = toward(say, pull, self.diffusion, pull_scale)
        shape = len(tokens), self.config.net.outputs, size, size
        x = torch.randn(shape, generator=generator, **how)
        how = {"steps": steps, "eta": eta, "generator": generator}
        return self.diffusion.sample(say, x, **how, **settled)

    @classmethod
    def example_batch(cls, config: GLIDEConfig, n: int, *, generator=None) -> dict:
        """Random pictures, captions of unequal length, and what the role asks for."""
        t, size = config.text, config.image_size
        how = {"generator": generator}
        length = torch.randint(1, t + 1, (n, 1), **how)
        batch = {
            "image": torch.rand(n, config.net.outputs, size, size, **how) * 2 - 1,
            "tokens": torch.randint(config.vocab, (n, t), **how),
            "mask": torch.arange(t) < length,
        }
        if config.role == "inpaint":
            batch["known"] = torch.rand(n, 1, size, size, **how) < 0.5
        if config.role == "upsample":
            batch["low"] = torch.rand(n, 3, size // 2, size // 2, **how) * 2 - 1
        if config.facts:
            told = [torch.randint(k, (n,), **how) for k in config.facts]
            batch["facts"] = torch.stack(told, 1)
        return batch
