"""BYOL: predict your own slower self, without a single negative pair.

**Paper** Grill, Strub, Altche, Tallec, Richemond, et al., "Bootstrap Your Own Latent: A
New Approach to Self-Supervised Learning", NeurIPS 2020, arXiv 2006.07733.

**Book** `sec-byol`

**Symbols** (section 3.1 of the paper)
- `view1, view2 (b, 3, h, w)` = v = t(x) and v' = t'(x), from distributions T and T'
- `online`, `target` = the weights theta and xi; each is an encoder f and a projector g
- `y (b, d)` = y_theta = f(v), the representation; `z (b, p)` = z_theta = g(y)
- `predictor` = q, on the online side only; `prediction (b, p)` = q(z)
- `tau`, `steps` = tau_base and K, the decay rate of the target and its schedule

**Start**
- As ResNet, linear layers as PyTorch does. The target starts from other random weights
  than the online net, as in the released code.

**Differs from the paper**
- Nothing in the loss, the heads and the target's update. The weights are trained by
  the book's recipe (`recipes/byol.py`): AdamW, small nets, a constant tau.
- The target's BatchNorm uses, and keeps, the statistics of its own forward passes.
- `target="shared"` is no variant of the paper: the net predicts itself and gradients
  flow on both sides, to show what the stop-gradient is for.

**Builds on** `resnet`.
"""

import math
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from mmdl_lib.core import Config, Model
from mmdl_lib.models.resnet import ResNet, ResNetConfig
from mmdl_lib.nn.average import follow


@dataclass(frozen=True, kw_only=True)
class BYOLConfig(Config):
    """Hyperparameters; the defaults are ResNet-50, 1000 epochs (section 3.3)."""

    encoder: ResNetConfig = field(default_factory=ResNetConfig)
    hidden: int = 4096  # of projector and predictor
    projection: int = 256
    predictor: Literal["mlp", "none"] = "mlp"  # Table 5b
    # moving average of the online net, or that net itself
    target: Literal["average", "shared"] = "average"
    tau: float = 0.996
    steps: int | None = 312_783  # K; None keeps tau constant
    symmetric: bool = True  # both views are predicted, or only the second


class Output(NamedTuple):
    """What both networks say about a batch of two views."""

    prediction: Float[Tensor, "b p"]  # q(z_theta) of view1
    projection: Float[Tensor, "b p"]  # z_xi of view2, without gradient


def regression_loss(
    prediction: Float[Tensor, "b p"], projection: Float[Tensor, "b p"]
) -> Float[Tensor, " b"]:
    """Squared distance of two directions, in [0, 4]."""
    # eq. (2): || q_bar - z_bar ||^2 = 2 - 2 <q, z> / (|q| |z|)
    return 2 - 2 * F.cosine_similarity(prediction, projection, dim=-1)


def decay_rate(step: int, tau: float, steps: int | None) -> float:
    """tau at a step: from tau_base up to one, along half a cosine (section 3.3)."""
    if steps is None:
        return tau
    # tau = 1 - (1 - tau_base) (cos(pi k / K) + 1) / 2
    return 1 - (1 - tau) * (math.cos(math.pi * min(step, steps) / steps) + 1) / 2


class Network(nn.Module):
    """Encoder f and projector g: what online and target have in common."""

    def __init__(self, config: BYOLConfig):
        super().__init__()
        # linear, norm, ReLU, linear; the first is the linear layer on top of the ResNet
        self.encoder = ResNet(replace(config.encoder, classes=config.hidden))
        self.projector = nn.Sequential(
            *(nn.BatchNorm1d(config.hidden), nn.ReLU()),
            nn.Linear(config.hidden, config.projection),
        )

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b p"]:
        return self.projector(self.encoder(image))


def make_predictor(config: BYOLConfig) -> nn.Module:
    """q, built as g is; "none" leaves z as it is."""
    if config.predictor == "none":
        return nn.Identity()
    return nn.Sequential(
        nn.Linear(config.projection, config.hidden),
        *(nn.BatchNorm1d(config.hidden), nn.ReLU()),
        nn.Linear(config.hidden, config.projection),
    )


TINY = BYOLConfig(
    encoder=ResNetConfig(block="basic", stages=(1, 1, 1), width=16, stem="cifar"),
    hidden=128,
    projection=32,
    tau=0.99,
    steps=None,
)


def _imagenet(stages: tuple[int, ...], width: int) -> BYOLConfig:
    return BYOLConfig(encoder=ResNetConfig(stages=stages, width=width))


class BYOL(Model):
    """An online network that predicts a target network, its own moving average.

    Example:
        >>> model = BYOL.from_preset("tiny")
        >>> model.encode_image(BYOL.example_batch(model.config, 2)["image"]).shape
        torch.Size([2, 64])
    """

    PRESETS = {
        "tiny": TINY,
        "tiny-one-sided": replace(TINY, symmetric=False),
        "tiny-no-predictor": replace(TINY, predictor="none"),
        "tiny-shared": replace(TINY, target="shared"),
        "ResNet-50": BYOLConfig(),
        "ResNet-50 (2x)": _imagenet((3, 4, 6, 3), 128),
        "ResNet-50 (4x)": _imagenet((3, 4, 6, 3), 256),
        "ResNet-200 (2x)": _imagenet((3, 24, 36, 3), 128),
    }
    # The paper's Table 1 counts the encoder alone (24, 94, 375 and 250 million), which
    # is all that is kept; tests/models/test_byol.py compares.
    PAPER_PARAMS = {}

    def __init__(self, config: BYOLConfig):
        super().__init__(config)
        if not 0 <= config.tau <= 1:
            raise ValueError(f"expected tau from 0 to 1, got {config.tau}.")
        self.online = Network(config)
        self.predictor = make_predictor(config)
        self.target = None
        if config.target == "average":
            self.target = Network(config).requires_grad_(False)

    def encode_image(self, image: Tensor) -> Float[Tensor, "b d"]:
        """The representation y_theta, all that is kept after training.

        Args:
            image: (b, 3, h, w) in [-1, 1].

        Raises:
            ValueError: what ResNet does not take.
        """
        return self.online.encoder.encode_image(image)

    def encode_target(self, image: Tensor) -> Float[Tensor, "b d"]:
        """The representation y_xi of the target; the online one where it is shared."""
        network = self.online if self.target is None else self.target
        return network.encoder.encode_image(image)

    def project(self, image: Tensor) -> Float[Tensor, "b p"]:
        """z_theta, what the loss sees: its spread tells whether it collapsed."""
        return self.online(image)

    def forward(self, view1: Tensor, view2: Tensor) -> Output:
        """Prediction from the first view, and what is to be predicted: the second."""
        prediction = self.predictor(self.online(view1))
        if self.target is None:
            return Output(prediction, self.online(view2))
        with torch.no_grad():
            return Output(prediction, self.target(view2))

    def loss(self, batch: dict, *, phase="main", generator=None) -> dict[str, Tensor]:
        """Mean over rows of L, or of L + L~ where both views are predicted.

        Args:
            batch: `view1` and `view2`, each (b, 3, h, w) in [-1, 1], b > 1.
        """
        forth = regression_loss(*self(batch["view1"], batch["view2"])).mean()
        if not self.config.symmetric:
            return {"loss": forth}
        back = regression_loss(*self(batch["view2"], batch["view1"])).mean()
        return {"loss": forth + back, "view1_to_view2": forth, "view2_to_view1": back}

    def after_step(self, step: int, *, phase="main") -> None:
        """The target follows; with tau = 1 it never moves, with 0 it is a copy."""
        if self.target is not None:
            # eq. (1): xi <- tau xi + (1 - tau) theta
            tau = decay_rate(step, self.config.tau, self.config.steps)
            follow(self.target, self.online, tau)

    def bootstrap_from(self, other: "BYOL") -> None:
        """Take the online net of another model as the target (section 3).

        With tau = 1 it stays what it is: a sequence of such models, each started from
        the one before, is iterated bootstrapping.

        Raises:
            ValueError: the target is shared, so there is none to replace.
        """
        if self.target is None:
            raise ValueError('expected target="average", got one that is shared.')
        self.target.load_state_dict(other.online.state_dict())

    @classmethod
    def example_batch(cls, config: BYOLConfig, n: int, *, generator=None) -> dict:
        """Random pixels; `image` is for `encode_image`, the loss reads two views."""
        size = 16 if config.encoder.stem == "cifar" else 224
        shape = n, 3, size, size
        return {
            name: torch.rand(shape, generator=generator) * 2 - 1
            for name in ("view1", "view2", "image")
        }
