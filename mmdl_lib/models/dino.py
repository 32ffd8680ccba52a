"""DINO: a student that imitates the opinions of its own slow average, without labels.

**Paper** Caron, Touvron, Misra, Jegou, Mairal, Bojanowski, Joulin, "Emerging Properties
in Self-Supervised Vision Transformers", ICCV 2021, arXiv 2104.14294.

**Book** `sec-byol`

**Symbols** (section 3.1 of the paper)
- `view1, view2, ... (b, 3, h, w)` = the views V; the first two are the global ones
- `student`, `teacher` = g with weights theta_s and theta_t; g = h . f, the
  backbone f and the head h
- `scores (b, k)` = g(x), K numbers; softmax makes P_s and P_t of them
- `center (k,)` = c, `center_rate` = m; `momentum` = lambda
- `student_temperature`, `teacher_temperature` = tau_s, tau_t

**Start**
- Teacher and student start equal, the center at zero. The head starts as PyTorch does;
  the released code draws from a normal of 0.02. Rows of the last layer are random
  directions.

**Differs from the paper**
- The presets named tiny have our small ResNet as backbone, so that they compare with
  the other models of the chapter; "ViT-XS/4" and the paper's main sizes have the ViT.
- The head has BatchNorm where the backbone has it, an option of the released code.
- The teacher's temperature is constant: the paper raises it from 0.04 to 0.07 in the
  first 30 epochs. No weight decay schedule, no stochastic depth.
- Constants of the optimizer are those of the book's recipe (`recipes/byol.py`).

**Builds on** `resnet`, `vit`.
"""

import math
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from mmdl_lib.core import Config, Model
from mmdl_lib.models.resnet import ResNet, ResNetConfig
from mmdl_lib.models.vit import ViT, ViTConfig
from mmdl_lib.nn.average import follow


@dataclass(frozen=True, kw_only=True)
class DINOConfig(Config):
    """Hyperparameters; the defaults are ViT-S/16 with eight local views."""

    backbone: ResNetConfig | ViTConfig = field(
        default_factory=lambda: ViTConfig(width=384, heads=6)
    )
    hidden: int = 2048  # of the head
    bottleneck: int = 256
    outputs: int = 65_536  # K
    student_temperature: float = 0.1
    teacher_temperature: float = 0.04
    center_rate: float = 0.9  # 1 keeps the center at zero, that is, no centering
    momentum: float = 0.996
    steps: int | None = 125_000  # of the cosine that takes momentum to one; None: none
    local: int = 8  # small views, beside the two global ones


class Center(nn.Module):
    """Subtract the teacher's running mean, kept as BatchNorm keeps its own.

    In training, each batch first is centered with what was known before it, and then
    moves the center.
    """

    def __init__(self, outputs: int, rate: float):
        super().__init__()
        self.rate = rate
        self.register_buffer("center", torch.zeros(outputs))

    @torch.no_grad()
    def forward(self, scores: Float[Tensor, "b k"]) -> Float[Tensor, "b k"]:
        centered = scores - self.center
        if self.training:
            # eq. (4): c <- m c + (1 - m) mean_i g_theta_t(x_i)
            mean = scores.mean(0).to(self.center)  # under autocast it has half
            self.center.lerp_(mean, 1 - self.rate)
        return centered


class Network(nn.Module):
    """g = h . f: backbone, three layers, length one, weight-normalized last layer."""

    def __init__(self, config: DINOConfig):
        super().__init__()
        kind, norm = ResNet, nn.BatchNorm1d
        if isinstance(config.backbone, ViTConfig):
            # section 3.1: with a ViT the system is free of BatchNorm
            kind, norm = ViT, nn.Identity
        hidden = config.hidden
        # the head's first layer is the linear layer on top of the backbone
        self.backbone = kind(replace(config.backbone, classes=hidden))
        self.head = nn.Sequential(
            *(norm(hidden), nn.GELU(), nn.Linear(hidden, hidden)),
            *(norm(hidden), nn.GELU(), nn.Linear(hidden, config.bottleneck)),
        )
        self.last = nn.Parameter(torch.randn(config.outputs, config.bottleneck))

    def forward(self, image: Tensor) -> Float[Tensor, "b k"]:
        x = F.normalize(self.head(self.backbone(image)), dim=1)
        # weight norm with gains fixed at one: each row of the last layer has length one
        return x @ F.normalize(self.last, dim=1).T


def opinions(scores: Float[Tensor, "b k"], temperature: float) -> Float[Tensor, "b k"]:
    """log P. Eq. (1): P = softmax(g(x) / tau); the lower tau, the sharper."""
    return (scores / temperature).log_softmax(1)


def cross_entropy(
    log_teacher: Float[Tensor, "b k"], log_student: Float[Tensor, "b k"]
) -> Float[Tensor, ""]:
    """Mean of H(P_t, P_s) = - sum P_t log P_s over rows, in nats (eq. 2)."""
    return -(log_teacher.exp() * log_student).sum(1).mean()


TINY = DINOConfig(
    backbone=ResNetConfig(block="basic", stages=(1, 1, 1), width=16, stem="cifar"),
    hidden=128,
    bottleneck=32,
    outputs=64,
    momentum=0.99,
    steps=None,
    local=0,
)
SMALL_VIT = ViTConfig(image_size=(16, 16), patch=4, width=64, depth=3, heads=4)


class DINO(Model):
    """A student, and the teacher that follows it.

    Example:
        >>> model = DINO.from_preset("tiny")
        >>> model.encode_image(DINO.example_batch(model.config, 2)["image"]).shape
        torch.Size([2, 64])
    """

    PRESETS = {
        "tiny": TINY,
        "tiny-multi-crop": replace(TINY, local=2),
        "ViT-XS/4": replace(TINY, backbone=SMALL_VIT),
        "ViT-S/16": DINOConfig(),
        "ViT-S/8": DINOConfig(backbone=ViTConfig(patch=8, width=384, heads=6)),
        "ViT-B/16": DINOConfig(backbone=ViTConfig()),
        "ViT-B/8": DINOConfig(backbone=ViTConfig(patch=8)),
        "ResNet-50": DINOConfig(backbone=ResNetConfig()),
    }
    # Table 1 counts the backbone only; tests/models/test_dino.py compares
    PAPER_PARAMS = {}

    def __init__(self, config: DINOConfig):
        super().__init__(config)
        self.student = Network(config)
        self.teacher = Network(config).requires_grad_(False)
        # section 3.1, as in the released code: both start with the same weights
        self.teacher.load_state_dict(self.student.state_dict())
        self.center = Center(config.outputs, config.center_rate)

    def encode_image(self, image: Tensor) -> Float[Tensor, "b d"]:
        """The representation f of the teacher, which the paper evaluates.

        Args:
            image: (b, 3, h, w) in [-1, 1].

        Raises:
            ValueError: what the backbone does not take.
        """
        return self.teacher.backbone.encode_image(image)

    def project(self, image: Tensor) -> Float[Tensor, "b k"]:
        """What the student says before the softmax."""
        return self.student(image)

    def loss(self, batch: dict, *, phase="main", generator=None) -> dict[str, Tensor]:
        """Cross-entropy of teacher and student, and the teacher's share of it, in nats.

        Args:
            batch: `view1`, `view2`, and `view3` ... for the local views; each
                (b, 3, h, w) in [-1, 1], with an h and w of its own, b > 1.

        Returns:
            `loss` = `entropy` + `divergence`, H = h(P_t) + KL(P_t | P_s) of eq. (5).
        """
        c = self.config
        views = [batch[f"view{i + 1}"] for i in range(2 + c.local)]
        students = [opinions(self.student(x), c.student_temperature) for x in views]
        with torch.no_grad():
            scores = torch.cat([self.teacher(x) for x in views[:2]])
            teachers = opinions(self.center(scores), c.teacher_temperature).chunk(2)
        # eq. (3): each global view of the teacher against all other views
        terms = [
            cross_entropy(teacher, student)
            for i, teacher in enumerate(teachers)
            for j, student in enumerate(students)
            if i != j
        ]
        loss = torch.stack(terms).mean()
        entropy = torch.stack([cross_entropy(t, t) for t in teachers]).mean()
        return {"loss": loss, "entropy": entropy, "divergence": loss - entropy}

    def after_step(self, step: int, *, phase="main") -> None:
        """theta_t <- lambda theta_t + (1 - lambda) theta_s; lambda rises to one."""
        rate, steps = self.config.momentum, self.config.steps
        if steps is not None:
            turn = math.cos(math.pi * min(step, steps) / steps)
            rate = 1 - (1 - rate) * (turn + 1) / 2
        follow(self.teacher, self.student, rate)

    @classmethod
    def example_batch(cls, config: DINOConfig, n: int, *, generator=None) -> dict:
        """Random pixels; `image` is for `encode_image`, the loss reads the views."""
        tiny = config.hidden < 1000
        large, low = (16, 8) if tiny else (224, 96)
        sizes = {"image": large, "view1": large, "view2": large}
        sizes |= {f"view{3 + i}": low for i in range(config.local)}
        return {
            name: torch.rand(n, 3, size, size, generator=generator) * 2 - 1
            for name, size in sizes.items()
        }
