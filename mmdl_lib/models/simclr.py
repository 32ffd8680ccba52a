"""SimCLR: two views of a picture should meet, views of different pictures should part.

**Paper** Chen, Kornblith, Norouzi, Hinton, "A Simple Framework for Contrastive Learning
of Visual Representations", ICML 2020, arXiv 2002.05709.

**Book** `sec-simclr`

**Symbols** (section 2.1 of the paper)
- `view1, view2 (b, 3, h, w)` = x_i and x_j, two views of each of N = b pictures
- `representation (n, d)` = h = f(x), the encoder's mean over positions
- `projection (n, p)` = z = g(h) = W2 relu(W1 h)
- `positive (m,)` = sim(z_i, z_j) for each of the m = 2N views and its partner
- `negative (m, m - 2)` = sim(z_i, z_k) for the 2(N - 1) views of other pictures
- `temperature` = tau; `margin` = m of Table 2

**Start**
- As ResNet; the head as PyTorch does.

**Differs from the paper**
- W1 and W2 have a bias and no BatchNorm; the released code has BatchNorm in the head.
- The paper writes the losses of Table 2 for one negative. We take the mean over the
  negatives for the logistic and the margin loss; a semi-hard loss looks at one.
- "Semi-hard" is here: the most similar negative among those less similar than the
  partner, by less than the margin. The paper says so in words only.
- The weights are trained by the book's recipe (`recipes/simclr.py`), with AdamW.

**Builds on** `resnet`.
"""

from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from mmdl_lib.borders import check_choice
from mmdl_lib.core import Config, Model
from mmdl_lib.models.resnet import BLOCKS, ResNet, ResNetConfig

Loss = Literal[
    "nt-xent", "nt-logistic", "margin", "nt-logistic-semi-hard", "margin-semi-hard"
]
LOSSES = get_args(Loss)


@dataclass(frozen=True, kw_only=True)
class SimCLRConfig(Config):
    """Hyperparameters; the defaults are the paper's ResNet-50 (section 2.3)."""

    encoder: ResNetConfig = field(default_factory=ResNetConfig)
    head: Literal["nonlinear", "linear", "none"] = "nonlinear"  # section 4.2
    outputs: int = 128  # width of z
    loss: Loss = "nt-xent"  # Table 2
    # "dot" is without normalization (Table 5)
    similarity: Literal["cosine", "dot"] = "cosine"
    temperature: float = 0.1
    margin: float = 0.5  # of the margin loss, and of what counts as semi-hard


class Pairs(NamedTuple):
    """How similar each of the 2N views is to its partner and to all strangers."""

    positive: Float[Tensor, " m"]
    negative: Float[Tensor, "m n"]


def pairs(first: Tensor, second: Tensor, *, similarity: str = "cosine") -> Pairs:
    """Compare 2N views with each other.

    Args:
        first: (N, p) projections of one view of each picture.
        second: (N, p) projections of the other views, in the same order.
        similarity: "cosine", or "dot" for the plain dot product.

    Raises:
        ValueError: other shapes, views that do not pair up, a single picture, another
            similarity.
    """
    check_choice("similarity", similarity, ("cosine", "dot"))
    if first.ndim != 2 or first.shape != second.shape or len(first) < 2:
        raise ValueError(
            "expected two views of at least two pictures, (N, p) each, got "
            f"{tuple(first.shape)} and {tuple(second.shape)}."
        )
    z, n = torch.cat([first, second]), len(first)
    if similarity == "cosine":
        # sim(u, v) = u.v / |u| |v|
        z = F.normalize(z, dim=1)
    table = z @ z.T
    # seen from view i, its partner is N places away and itself none: the rest are
    # negatives, counted round the circle of 2N views
    view = torch.arange(2 * n, device=z.device)
    others = torch.cat([view[1:n], view[n + 1 :]])
    negative = table.gather(1, (view[:, None] + others) % (2 * n))
    return Pairs(table.diagonal(n).repeat(2), negative)


def nt_xent(
    positive: Float[Tensor, " m"],
    negative: Float[Tensor, "m n"],
    *,
    temperature: float = 0.1,
) -> Float[Tensor, ""]:
    """Normalized temperature-scaled cross-entropy, the mean over the 2N views."""
    # eq. (1): l_ij = -log exp(s_ij / tau) / sum_{k != i} exp(s_ik / tau)
    logits = torch.cat([positive[:, None], negative], 1) / temperature
    return -logits.log_softmax(1)[:, 0].mean()


def nt_logistic(
    positive: Float[Tensor, " m"],
    negative: Float[Tensor, "m n"],
    *,
    temperature: float = 0.1,
) -> Float[Tensor, ""]:
    """Each pair is classified by itself: same picture or not."""
    # Table 2: -log sigmoid(u.v+ / tau) - log sigmoid(-u.v- / tau)
    same = F.logsigmoid(positive / temperature).mean()
    return -same - F.logsigmoid(-negative / temperature).mean()


def margin_loss(
    positive: Float[Tensor, " m"], negative: Float[Tensor, "m n"], *, margin: float
) -> Float[Tensor, ""]:
    """The partner should be more similar than a stranger, by a margin."""
    # Table 2: max(u.v- - u.v+ + m, 0)
    return F.relu(negative - positive[:, None] + margin).mean()


def semi_hard(
    positive: Float[Tensor, " m"], negative: Float[Tensor, "m n"], *, margin: float
) -> Pairs:
    """The semi-hard negative of each view that has one (section 5.1).

    It is less similar than the partner, within the margin, and of these the most
    similar. Views without any get a negative of -infinity, which costs nothing.
    """
    gap = positive[:, None] - negative
    allowed = (gap > 0) & (gap < margin)
    nearest = negative.masked_fill(~allowed, -torch.inf).amax(1, keepdim=True)
    return Pairs(positive, nearest)


def contrastive_accuracy(
    positive: Float[Tensor, " m"], negative: Float[Tensor, "m n"]
) -> Float[Tensor, ""]:
    """Share of views that are more similar to their partner than to any stranger."""
    return (positive > negative.amax(1)).float().mean()


def entropy(
    positive: Float[Tensor, " m"],
    negative: Float[Tensor, "m n"],
    *,
    temperature: float = 0.1,
) -> Float[Tensor, ""]:
    """Of the softmax of NT-Xent, in nats: from 0 to log(2N - 1)."""
    logits = torch.cat([positive[:, None], negative], 1) / temperature
    return torch.distributions.Categorical(logits=logits).entropy().mean()


class Output(NamedTuple):
    """What the model says about a batch of views."""

    representation: Float[Tensor, "n d"]  # h
    projection: Float[Tensor, "n p"]  # z


def make_head(kind: str, width: int, outputs: int) -> nn.Module:
    """g, whose hidden layer is as wide as h; `kind` as in `SimCLRConfig`."""
    check_choice("kind", kind, ("none", "linear", "nonlinear"))
    if kind == "none":
        return nn.Identity()
    if kind == "linear":
        return nn.Linear(width, outputs)
    # section 2.1: z = W2 relu(W1 h)
    return nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, outputs))


TINY = SimCLRConfig(
    encoder=ResNetConfig(block="basic", stages=(1, 1, 1), width=16, stem="cifar"),
    outputs=32,
    temperature=0.2,
)


def _wider(times: int) -> SimCLRConfig:
    return SimCLRConfig(encoder=ResNetConfig(width=64 * times))


def _head_params(width: int) -> int:
    return width * (width + 1) + 128 * (width + 1)


class SimCLR(Model):
    """Encoder f, projection head g, and a loss over all pairs of views.

    Example:
        >>> model = SimCLR.from_preset("tiny")
        >>> model.encode_image(SimCLR.example_batch(model.config, 2)["image"]).shape
        torch.Size([2, 64])
    """

    PRESETS = {
        "tiny": TINY,
        "tiny-linear": replace(TINY, head="linear"),
        "tiny-none": replace(TINY, head="none"),
        "tiny-dot": replace(TINY, similarity="dot", temperature=10.0),
        **{f"tiny-{loss}": replace(TINY, loss=loss) for loss in LOSSES[1:]},
        "ResNet-50 (1x)": SimCLRConfig(),
        "ResNet-50 (2x)": _wider(2),
        "ResNet-50 (4x)": _wider(4),
    }
    # The paper counts the encoder alone: 24, 94 and 375 M. 23.5 M, which it rounds to
    # 24, are more than one percent away: a test of this file counts all three.
    PAPER_PARAMS = {
        "ResNet-50 (2x)": 94_000_000 + _head_params(4096),
        "ResNet-50 (4x)": 375_000_000 + _head_params(8192),
    }

    def __init__(self, config: SimCLRConfig):
        super().__init__(config)
        net = config.encoder
        width = net.width * 2 ** (len(net.stages) - 1) * BLOCKS[net.block].expansion
        self.encoder = ResNet(net)
        # h is the mean over positions: the layer that names classes goes
        self.encoder.classifier = nn.Identity()
        self.head = make_head(config.head, width, config.outputs)

    def encode_image(self, image: Tensor) -> Float[Tensor, "n d"]:
        """h, what downstream tasks use; takes pictures as `ResNet` does."""
        return self.encoder.encode_image(image)

    def project(self, representation: Float[Tensor, "n d"]) -> Float[Tensor, "n p"]:
        """z = g(h), what the loss compares; not normalized."""
        return self.head(representation)

    def forward(self, image: Tensor) -> Output:
        """h and z; errors as in `ResNet.feature_map`."""
        representation = self.encoder.features(image)
        return Output(representation, self.project(representation))

    def loss(self, batch: dict, *, phase="main", generator=None) -> dict[str, Tensor]:
        """The loss over two views of each picture, and the contrastive accuracy.

        Args:
            batch: `view1` and `view2`, (b, 3, h, w) in [-1, 1].

        Raises:
            ValueError: a batch of one picture, or views that do not pair up.
        """
        c = self.config
        # one pass, so that BatchNorm sees all 2N views ("global BN", section 2.2)
        views = torch.cat([batch["view1"], batch["view2"]])
        first, second = self(views).projection.split(len(batch["view1"]))
        found = pairs(first, second, similarity=c.similarity)
        accuracy = contrastive_accuracy(*found)
        if c.loss.endswith("semi-hard"):
            found = semi_hard(*found, margin=c.margin)
        if c.loss.startswith("margin"):
            loss = margin_loss(*found, margin=c.margin)
        elif c.loss.startswith("nt-logistic"):
            loss = nt_logistic(*found, temperature=c.temperature)
        else:
            loss = nt_xent(*found, temperature=c.temperature)
        return {"loss": loss, "accuracy": accuracy}

    @classmethod
    def example_batch(cls, config: SimCLRConfig, n: int, *, generator=None) -> dict:
        """Random pictures, each seen twice under noise; sizes as ResNet takes them."""
        image = ResNet.example_batch(config.encoder, n, generator=generator)["image"]
        view1, view2 = (
            0.9 * image + 0.1 * (torch.rand(image.shape, generator=generator) * 2 - 1)
            for _ in range(2)
        )
        return {"image": image, "view1": view1, "view2": view2}
