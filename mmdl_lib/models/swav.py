"""SwAV: sort a batch into clusters, and predict one view's cluster from another.

**Paper** Caron, Misra, Mairal, Goyal, Bojanowski, Joulin, "Unsupervised Learning of
Visual Features by Contrasting Cluster Assignments", NeurIPS 2020, arXiv 2006.09882.

**Book** `sec-byol`

**Symbols** (section 3 of the paper)
- `view1, view2, ... (b, 3, h, w)` = x_nt, views of a picture; the first two are large
- `z (b, d)` = z_nt, features of length one
- `prototypes (k, d)` = C, one row for each of K prototypes c_k, of length one
- `scores (b, k)` = z^T C, cosines; `codes (b, k)` = q_nt, clusters by Sinkhorn-Knopp
- `temperature` = tau, `epsilon` = the weight of the entropy in eq. (3)

**Start**
- As ResNet; the projector as PyTorch does. Prototypes are random directions.

**Differs from the paper**
- No queue of earlier features (the paper keeps one for batches smaller than K), and the
  prototypes are trained from the first step on.
- Sinkhorn-Knopp runs in log space, which is the same and cannot overflow.
- Every view is a batch of its own for BatchNorm; the released code joins views of one
  size.
- Trained by the book's recipe (`recipes/byol.py`) with AdamW on small nets.

**Builds on** `resnet`.
"""

from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from mmdl_lib.core import Config, Model
from mmdl_lib.models.resnet import ResNet, ResNetConfig


@dataclass(frozen=True, kw_only=True)
class SwAVConfig(Config):
    """Hyperparameters; the defaults are ResNet-50 with 2 x 224 + 6 x 96 pixels."""

    encoder: ResNetConfig = field(default_factory=ResNetConfig)
    hidden: int = 2048  # of the projection head
    projection: int = 128
    prototypes: int = 3000  # K
    temperature: float = 0.1
    epsilon: float = 0.05
    iterations: int = 3  # of Sinkhorn-Knopp
    small: int = 6  # views of lower resolution, beside the two large ones


@torch.no_grad()
def sinkhorn(
    scores: Float[Tensor, "b k"], *, epsilon: float = 0.05, iterations: int = 3
) -> Float[Tensor, "b k"]:
    """Soft clusters of equal size: each row sums to one, each column to about b / k.

    Args:
        scores: cosines of features and prototypes.
        epsilon: small is nearly hard assignment, large is uniform.
        iterations: columns, then rows, so many times; without any, a softmax.

    Raises:
        ValueError: epsilon is not above zero.
    """
    if epsilon <= 0:
        raise ValueError(f"expected epsilon above zero, got {epsilon}.")
    # eq. (5): Q = Diag(u) exp(C^T Z / epsilon) Diag(v), here transposed and as a log
    log_codes = scores / epsilon
    for _ in range(iterations):
        log_codes = log_codes - log_codes.logsumexp(0, keepdim=True)
        log_codes = log_codes - log_codes.logsumexp(1, keepdim=True)
    return log_codes.softmax(1)


def swapped_loss(
    scores: list[Float[Tensor, "b k"]],
    codes: list[Float[Tensor, "b k"]],
    *,
    temperature: float,
) -> Float[Tensor, ""]:
    """Mean cross-entropy of each code with all views but its own.

    Args:
        scores: of all views; the first ones belong to `codes`.
        codes: of the large views.
        temperature: of the softmax over prototypes.
    """
    terms = []
    for own, code in enumerate(codes):
        for other, score in enumerate(scores):
            if other != own:
                # eq. (2): l(z_t, q_s) = - sum_k q_s^(k) log p_t^(k)
                log_p = (score / temperature).log_softmax(1)
                terms.append(-(code * log_p).sum(1).mean())
    return torch.stack(terms).mean()


TINY = SwAVConfig(
    encoder=ResNetConfig(block="basic", stages=(1, 1, 1), width=16, stem="cifar"),
    hidden=128,
    projection=32,
    prototypes=32,
    epsilon=0.02,  # with 0.05 and few steps the loss stays at log K: see the chapter
    small=0,
)


class SwAV(Model):
    """Encoder, projection head, prototypes.

    Example:
        >>> model = SwAV.from_preset("tiny")
        >>> model(SwAV.example_batch(model.config, 2)["view1"]).shape
        torch.Size([2, 32])
    """

    PRESETS = {
        "tiny": TINY,
        "tiny-multi-crop": replace(TINY, small=2),
        "ResNet-50": SwAVConfig(),
        "ResNet-50, two views": SwAVConfig(small=0),
    }
    # the paper prints sizes of encoders only; tests/models/test_swav.py compares
    PAPER_PARAMS = {}

    def __init__(self, config: SwAVConfig):
        super().__init__(config)
        # linear, norm, ReLU, linear; the first is the linear layer on top of the ResNet
        self.encoder = ResNet(replace(config.encoder, classes=config.hidden))
        self.projector = nn.Sequential(
            *(nn.BatchNorm1d(config.hidden), nn.ReLU()),
            nn.Linear(config.hidden, config.projection),
        )
        self.prototypes = nn.Parameter(
            F.normalize(torch.randn(config.prototypes, config.projection), dim=1)
        )

    def encode_image(self, image: Tensor) -> Float[Tensor, "b d"]:
        """The representation that is kept, of (b, 3, h, w) in [-1, 1]."""
        return self.encoder.encode_image(image)

    def project(self, image: Tensor) -> Float[Tensor, "b p"]:
        """z, of length one."""
        return F.normalize(self.projector(self.encoder(image)), dim=1)

    def forward(self, image: Tensor) -> Float[Tensor, "b k"]:
        """Cosines with all prototypes."""
        return self.project(image) @ self.prototypes.T

    def codes(self, scores: Float[Tensor, "b k"]) -> Float[Tensor, "b k"]:
        """q: what the batch says about the clusters of a view, without gradient."""
        c = self.config
        return sinkhorn(scores, epsilon=c.epsilon, iterations=c.iterations)

    def loss(self, batch: dict, *, phase="main", generator=None) -> dict[str, Tensor]:
        """Swapped prediction, in nats.

        Args:
            batch: `view1` and `view2`, and `view3` ... for the small views; each
                (b, 3, h, w) in [-1, 1], with an h and w of its own, b > 1.
        """
        scores = [self(batch[f"view{i + 1}"]) for i in range(2 + self.config.small)]
        codes = [self.codes(x) for x in scores[:2]]
        return {
            "loss": swapped_loss(scores, codes, temperature=self.config.temperature)
        }

    @torch.no_grad()
    def after_step(self, step: int, *, phase="main") -> None:
        """Prototypes keep length one (section 3.1)."""
        self.prototypes.copy_(F.normalize(self.prototypes, dim=1))

    @classmethod
    def example_batch(cls, config: SwAVConfig, n: int, *, generator=None) -> dict:
        """Random pixels; `image` is for `encode_image`, the loss reads the views."""
        large, low = (16, 8) if config.encoder.stem == "cifar" else (224, 96)
        sizes = {"image": large, "view1": large, "view2": large}
        sizes |= {f"view{3 + i}": low for i in range(config.small)}
        return {
            name: torch.rand(n, 3, size, size, generator=generator) * 2 - 1
            for name, size in sizes.items()
        }
