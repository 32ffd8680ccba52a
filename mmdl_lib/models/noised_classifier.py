"""A classifier that has seen noise: it says what a noisy picture is going to show.

**Paper** Dhariwal, Nichol, "Diffusion Models Beat GANs on Image Synthesis", NeurIPS
2021, arXiv 2105.05233, its part on classifier guidance.

**Book** `sec-glide`

**Symbols**
- `x (b, 3, h, w)` = x_t; `step (b,)` = t - 1
- `label (b, f)` = y: a class for each of f things, such as color and shape; or -1: not
  told
- `log_p` = log p(y | x_t)

**Start**
- As PyTorch does; residual blocks let all through.

**Differs from the paper**
- Three residual blocks and a mean over places; the paper takes the U-Net's lower half,
  with attention, and pools by attention.
- Several labels for each picture, one softmax each; log p(y | x_t) is their sum, as if
  they were independent given x_t. The paper has one label.

**Builds on** `ddpm` (`toward` takes the gradient), `nn.diffusion`, `nn.unet`
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from mmdl_lib.borders import check_image, check_integers
from mmdl_lib.core import Config, Model
from mmdl_lib.nn.diffusion import Diffusion, check_shape
from mmdl_lib.nn.unet import NoisedTower


@dataclass(frozen=True, kw_only=True)
class NoisedClassifierConfig(Config):
    """Hyperparameters; the chain must be that of the model which is guided."""

    image_size: int = 16
    patch: int = 2
    widths: tuple[int, ...] = (32, 48, 64)
    classes: tuple[int, ...] = (8, 8)  # of each thing that has a label
    kind: Literal["linear", "cosine"] = "cosine"
    steps: int = 1000
    shift: float = 0.5


class NoisedClassifier(Model):
    """A convnet that is told how noisy a picture is, with a head for each thing.

    Example:
        >>> model = NoisedClassifier.from_preset("tiny").eval()
        >>> batch = NoisedClassifier.example_batch(model.config, 2)
        >>> pull = model.log_p(batch["label"])
        >>> pull(batch["image"], torch.tensor([0, 9])).shape
        torch.Size([2])
    """

    PRESETS = {
        "tiny": NoisedClassifierConfig(
            image_size=8, widths=(16, 32), classes=(3, 2), steps=50, shift=1.0
        ),
        "large-object": NoisedClassifierConfig(),
    }
    LEARNED = {"main": 0.9}

    def __init__(self, config: NoisedClassifierConfig):
        super().__init__(config)
        c = config
        self.diffusion = Diffusion(c.kind, c.steps, shift=c.shift)
        self.tower = NoisedTower(c.patch, c.widths)
        self.heads = nn.Linear(c.widths[-1], sum(c.classes))

    def forward(
        self, x: Float[Tensor, "b 3 h w"], step: Int[Tensor, " b"]
    ) -> tuple[Float[Tensor, "b _"], ...]:
        """Scores of the classes of noisy pictures, at a step each: one part a head."""
        return self.heads(self.tower(x, step)).split(self.config.classes, 1)

    def loss(self, batch: dict, *, phase="main", generator=None) -> dict[str, Tensor]:
        """Cross-entropy of the labels of noisy pictures, summed over the heads.

        Args:
            batch: `image`, `label`; perhaps `step (b,)`, how noisy they are, which is
                drawn by default.
            phase: there is one.
            generator: of steps and noise.

        Raises:
            ValueError: no pictures in [-1, 1]; as `log_p`.
        """
        image = batch["image"]
        check_image(image)
        side = self.config.image_size
        check_shape("image", image, (len(batch["label"]), 3, side, side))
        how = {"generator": generator, "device": image.device}
        step = batch.get("step")
        if step is None:
            step = self.diffusion.draw(len(image), **how)
        noise = torch.randn(image.shape, **how).to(image.dtype)
        x = self.diffusion.q_sample(image, step, noise)
        return {"loss": -self.log_p(batch["label"])(x, step).mean()}

    def log_p(self, label: Int[Tensor, "b f"]) -> Callable[[Tensor, Tensor], Tensor]:
        """(x, step) -> log p(label | x) (b,), summed over what is told.

        What `GLIDE.sample` and `DDPM.sample` take as `pull`.

        Raises:
            ValueError: a label that is no class and not -1, or not one for each head.
        """
        classes = self.config.classes
        check_shape("label", label, (len(label), len(classes)))
        for i, (own, count) in enumerate(zip(label.T, classes, strict=True)):
            check_integers(f"label {i}", own, -1, count - 1)

        def pull(x, step):
            how = {"ignore_index": -1, "reduction": "none"}
            parts = zip(self(x, step), label.T.long(), strict=True)
            return -sum(F.cross_entropy(scores, own, **how) for scores, own in parts)

        return pull

    @classmethod
    def example_batch(
        cls, config: NoisedClassifierConfig, n: int, *, generator=None
    ) -> dict:
        """Random pictures, steps and labels."""
        size, how = config.image_size, {"generator": generator}
        told = [torch.randint(k, (n,), **how) for k in config.classes]
        return {
            "image": torch.rand(n, 3, size, size, **how) * 2 - 1,
            "step": torch.randint(config.steps, (n,), **how),
            "label": torch.stack(told, 1),
        }
