"""A CLIP that has seen noise: it says how well a noisy picture fits a caption.

**Paper** Nichol, Dhariwal, Ramesh, Shyam, Mishkin, McGrew, Sutskever, Chen, "GLIDE:
Towards Photorealistic Image Generation and Editing with Text-Guided Diffusion Models",
ICML 2022, arXiv 2112.10741, its part on CLIP guidance.

**Book** `sec-glide`

**Symbols**
- `x (b, 3, h, w)` = x_t; `step (b,)` = t - 1
- `encode_image`, `encode_text` = f(x_t), g(c), both (b, e), of length one
- `log_scale ()`: learned log of the factor on the cosines

**Start**
- As PyTorch does; residual blocks let all through; the factor is 1 / 0.07.

**Differs from the paper**
- The image tower is three residual blocks of a U-Net, which hear of the step; the
  paper's is a Vision Transformer.
- The caption's Transformer is that of our GLIDE, for the small vocabulary.

**Builds on** `clip` (the loss), `glide` (the reader), `nn.diffusion`, `nn.unet`
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mmdl_lib.borders import check_integers, check_mask
from mmdl_lib.core import Config, Model
from mmdl_lib.models.clip import contrastive_loss
from mmdl_lib.models.glide import Words
from mmdl_lib.nn.diffusion import Diffusion
from mmdl_lib.nn.unet import NoisedTower


@dataclass(frozen=True, kw_only=True)
class NoisedCLIPConfig(Config):
    """Hyperparameters; the chain must be that of the model which is guided."""

    image_size: int = 16
    patch: int = 2
    widths: tuple[int, ...] = (32, 48, 64)
    embed: int = 32
    vocab: int = 38
    text: int = 8
    width: int = 48
    depth: int = 1
    heads: int = 2
    kind: Literal["linear", "cosine"] = "cosine"
    steps: int = 1000
    shift: float = 0.5


class NoisedCLIP(Model):
    """Two towers; the one for pictures is told how noisy they are.

    Example:
        >>> model = NoisedCLIP.from_preset("tiny").eval()
        >>> batch = NoisedCLIP.example_batch(model.config, 2)
        >>> liking = model.liking(batch["tokens"], batch["mask"])
        >>> liking(batch["image"], torch.tensor([0, 9])).shape
        torch.Size([2])
    """

    PRESETS = {
        "tiny": NoisedCLIPConfig(
            image_size=8, widths=(16, 32), embed=16, vocab=26, text=6, width=32,
            steps=50, shift=1.0,
        ),
        "large-object": NoisedCLIPConfig(),
    }  # fmt: skip
    LEARNED = {"main": 0.9}

    def __init__(self, config: NoisedCLIPConfig):
        super().__init__(config)
        c = config
        self.diffusion = Diffusion(c.kind, c.steps, shift=c.shift)
        self.tower = NoisedTower(c.patch, c.widths)
        self.project = nn.Linear(c.widths[-1], c.embed)
        sizes = c.vocab, c.text, c.width, c.depth, c.heads
        self.words = Words(*sizes, out=c.embed)
        self.words.nothing.requires_grad_(False)  # no caption is left out here
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def encode_image(
        self, image: Float[Tensor, "b 3 h w"], step: Int[Tensor, " b"]
    ) -> Float[Tensor, "b e"]:
        """Noisy pictures, at a step each, as vectors of length one."""
        return F.normalize(self.project(self.tower(image, step)), dim=-1)

    def encode_text(
        self, tokens: Int[Tensor, "b t"], mask: Bool[Tensor, "b t"]
    ) -> Float[Tensor, "b e"]:
        """Captions as vectors of length one.

        Raises:
            ValueError: an unknown word, a mask of another shape, an empty caption.
        """
        check_integers("tokens", tokens, 0, self.config.vocab - 1)
        check_mask(mask, shape=tokens.shape)
        return F.normalize(self.words(tokens, mask)[2], dim=-1)

    def forward(
        self,
        x: Float[Tensor, "b 3 h w"],
        step: Int[Tensor, " b"],
        tokens: Int[Tensor, "b t"],
        mask: Bool[Tensor, "b t"],
    ) -> Float[Tensor, "b b"]:
        """Scaled cosines: row = picture, column = caption."""
        cosines = self.encode_image(x, step) @ self.encode_text(tokens, mask).T
        return self.log_scale.exp() * cosines

    def loss(self, batch: dict, *, phase="main", generator=None) -> dict[str, Tensor]:
        """CLIP's loss on noisy pictures.

        Args:
            batch: `image`, `tokens`, `mask`; perhaps `step (b,)`, how noisy they are,
                which is drawn by default.
            phase: there is one.
            generator: of steps and noise.
        """
        image = batch["image"]
        how = {"generator": generator, "device": image.device}
        step = batch.get("step")
        if step is None:
            step = self.diffusion.draw(len(image), **how)
        noise = torch.randn(image.shape, **how).to(image.dtype)
        x = self.diffusion.q_sample(image, step, noise)
        return contrastive_loss(self(x, step, batch["tokens"], batch["mask"]))

    def liking(
        self, tokens: Int[Tensor, "b t"], mask: Bool[Tensor, "b t"]
    ) -> Callable[[Tensor, Tensor], Tensor]:
        """(x, step) -> scaled cosine (b,) of each picture and its own caption.

        What `GLIDE.sample` and `DDPM.sample` take as `pull`.
        """
        text = self.encode_text(tokens, mask).detach()

        def pull(x, step):
            # GLIDE's f(x_t) . g(c), with the factor that the model has learned
            return self.log_scale.exp() * (self.encode_image(x, step) * text).sum(1)

        return pull

    @classmethod
    def example_batch(cls, config: NoisedCLIPConfig, n: int, *, generator=None) -> dict:
        """Random pictures, steps, and captions of unequal length."""
        t, size, how = config.text, config.image_size, {"generator": generator}
        length = torch.randint(1, t + 1, (n, 1), **how)
        return {
            "image": torch.rand(n, 3, size, size, **how) * 2 - 1,
            "step": torch.randint(config.steps, (n,), **how),
            "tokens": torch.randint(config.vocab, (n, t), **how),
            "mask": torch.arange(t) < length,
        }
