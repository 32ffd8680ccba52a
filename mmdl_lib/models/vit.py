"""ViT: a picture is a sequence of patches, read by a plain Transformer.

**Paper** Dosovitskiy, Beyer, Kolesnikov, et al., "An Image is Worth 16x16 Words:
Transformers for Image Recognition at Scale", ICLR 2021, arXiv 2010.11929.

**Book** `sec-vit`

**Symbols** (section 3.1 of the paper)
- `patches(image, P) (b, n, p)` = x_p, each patch flattened; n = N = HW / P^2
- `projection` = E; `class_token (d,)` = x_class; `positions` = E_pos
- `x (b, n, d)` = z_l, the tokens after l of L blocks; the class token comes first
- `encode_image(image) (b, d)` = y = LN(z_L^0)

**Start**
- Linear layers: Xavier uniform, biases of zero, as in the released code; q, k and v lie
  in one matrix here, and each starts by itself, as there.
- The last layer starts at 0.02 and not at zero, except in `with_head`. Positions start
  at 0.02, the class token at zero.

**Differs from the paper**
- A patch is flattened channel by channel, so E is a public checkpoint's kernel as it
  lies in memory. Any order is the same model.
- No dropout (the paper has none on JFT-300M, and 0.1 on its smaller sets), no hybrid.
- Positions of another resolution are interpolated bicubically, as `transformers` does;
  the paper only says "2D interpolation".

**Builds on** nothing.
"""

import copy
from dataclasses import dataclass, replace
from typing import Literal

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor, nn

from mmdl_lib.borders import check_image, check_labels
from mmdl_lib.core import Config, Model
from mmdl_lib.nn import Transformer


@dataclass(frozen=True, kw_only=True)
class ViTConfig(Config):
    """Hyperparameters; the defaults are ViT-B/16 (Table 1) for ImageNet."""

    image_size: tuple[int, int] = (224, 224)  # height, width
    patch: int = 16
    width: int = 768
    depth: int = 12
    heads: int = 12
    classes: int = 1000
    positions: Literal["1d", "2d", "none"] = "1d"  # appendix D.4
    pool: Literal["token", "mean"] = "token"  # the mean has no class token (D.3)
    head: Literal["linear", "mlp"] = "linear"  # one hidden layer to pre-train (3.1)
    epsilon: float = 1e-6  # of LayerNorm, as in the released code

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches at the size that the positions are made for."""
        return self.image_size[0] // self.patch, self.image_size[1] // self.patch


def patches(image: Float[Tensor, "b c h w"], patch: int) -> Float[Tensor, "b n p"]:
    """Cut pictures into squares of `patch` pixels and flatten each, in reading order.

    Raises:
        ValueError: a height or width that `patch` does not divide.
    """
    h, w = image.shape[2:]
    if h % patch or w % patch or not h * w:
        raise ValueError(f"expected sides that {patch} divides, got {h} x {w} pixels.")
    pattern = "b c (rows p) (columns q) -> b (rows columns) (c p q)"
    return rearrange(image, pattern, p=patch, q=patch)


def interpolate(
    table: Float[Tensor, "n d"], grid: tuple[int, int], new: tuple[int, int]
) -> Float[Tensor, "m d"]:
    """Position embeddings of a grid, read at the places of another grid (3.2)."""
    field = rearrange(table, "(h w) d -> 1 d h w", h=grid[0])
    field = F.interpolate(field, new, mode="bicubic", align_corners=False)
    return rearrange(field, "1 d h w -> (h w) d")


class Positions1D(nn.Module):
    """E_pos of eq. (1): a learned vector for each token, in reading order."""

    def __init__(self, grid: tuple[int, int], width: int, extra: int):
        super().__init__()
        self.grid, self.extra = grid, extra
        count = extra + grid[0] * grid[1]
        self.table = nn.Parameter(0.02 * torch.randn(count, width))

    def at(self, grid: tuple[int, int]) -> Float[Tensor, "n d"]:
        """The table for a grid of patches; interpolated where it is another one."""
        if grid == self.grid:
            return self.table
        start, table = self.table[: self.extra], self.table[self.extra :]
        return torch.cat([start, interpolate(table, self.grid, grid)])

    def resize_(self, grid: tuple[int, int]) -> None:
        """Make the interpolated table the learned one, to go on training."""
        self.table, self.grid = nn.Parameter(self.at(grid).detach().clone()), grid


class Positions2D(nn.Module):
    """Half of a position's vector belongs to its row, half to its column (D.4)."""

    def __init__(self, grid: tuple[int, int], width: int, extra: int):
        super().__init__()
        self.extra = extra
        self.rows = nn.Parameter(0.02 * torch.randn(grid[0], width // 2))
        self.columns = nn.Parameter(0.02 * torch.randn(grid[1], width // 2))

    def at(self, grid: tuple[int, int]) -> Float[Tensor, "n d"]:
        """As above; zero for the class token, which is a learned vector anyway."""
        rows, columns = self.rows, self.columns
        if grid != (len(rows), len(columns)):
            rows = interpolate(rows, (len(rows), 1), (grid[0], 1))
            columns = interpolate(columns, (1, len(columns)), (1, grid[1]))
        rows = repeat(rows, "h d -> (h w) d", w=grid[1])
        columns = repeat(columns, "w d -> (h w) d", h=grid[0])
        return F.pad(torch.cat([rows, columns], -1), (0, 0, self.extra, 0))

    def resize_(self, grid: tuple[int, int]) -> None:
        """As above."""
        half = self.at(grid).detach()[self.extra :].chunk(2, -1)
        rows, columns = (rearrange(x, "(h w) d -> h w d", h=grid[0]) for x in half)
        self.rows = nn.Parameter(rows[:, 0].clone())
        self.columns = nn.Parameter(columns[0].clone())


class NoPositions(nn.Module):
    """No word about the place: the patches are a bag."""

    def __init__(self, grid: tuple[int, int], width: int, extra: int):
        super().__init__()

    def at(self, grid: tuple[int, int]) -> float:
        """Nothing to add."""
        return 0.0

    def resize_(self, grid: tuple[int, int]) -> None:
        """Nothing to do."""


POSITIONS = {"1d": Positions1D, "2d": Positions2D, "none": NoPositions}


def _tiny(**changes) -> ViTConfig:
    small = {"patch": 4, "width": 64, "depth": 4, "heads": 4, "classes": 64}
    return ViTConfig(image_size=(32, 32), **small, **changes)


def _large(patch: int) -> ViTConfig:
    return ViTConfig(patch=patch, width=1024, depth=24, heads=16)


class ViT(Model):
    """Patches, class token, positions, Transformer, norm, classifier.

    Example:
        >>> model = ViT.from_preset("tiny")
        >>> model(ViT.example_batch(model.config, 2)["image"]).shape
        torch.Size([2, 64])
    """

    PRESETS = {
        "tiny": _tiny(),
        "tiny-mean": _tiny(pool="mean"),
        "tiny-2d": _tiny(positions="2d"),
        "tiny-none": _tiny(positions="none"),
        "tiny-mlp": _tiny(head="mlp"),
        "B/16": ViTConfig(),
        "B/32": ViTConfig(patch=32),
        "L/16": _large(16),
        "L/32": _large(32),
        "H/14": ViTConfig(patch=14, width=1280, depth=32, heads=16),
    }
    # Table 1 gives one count for each size, whatever the patch
    PAPER_PARAMS = {"B/16": 86_000_000, "L/16": 307_000_000, "H/14": 632_000_000}

    def __init__(self, config: ViTConfig):
        super().__init__(config)
        width, self.extra = config.width, int(config.pool == "token")
        self.projection = nn.Linear(3 * config.patch**2, width)
        if self.extra:
            self.class_token = nn.Parameter(torch.zeros(width))
        self.positions = POSITIONS[config.positions](config.grid, width, self.extra)
        self.transformer = Transformer(width, config.depth, config.heads)
        self.norm = nn.LayerNorm(width)
        hidden = [nn.Linear(width, width), nn.Tanh()] if config.head == "mlp" else []
        self.head = nn.Sequential(*hidden, nn.Linear(width, config.classes))
        for module in self.modules():
            if isinstance(module, nn.LayerNorm):
                module.eps = config.epsilon
            if isinstance(module, nn.Linear):
                # as the released code does; the paper names no initialization
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        for block in self.transformer.blocks:
            for weight in block.attention.projections():
                nn.init.xavier_uniform_(weight)
        nn.init.normal_(self.head[-1].weight, std=0.02)

    def embed(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b n d"]:
        """The tokens that enter the first block; sides that the patch divides."""
        h, w = image.shape[2:]
        # eq. (1): z_0 = [x_class; x_p^1 E; ...; x_p^N E] + E_pos
        x = self.projection(patches(image, self.config.patch))
        if self.extra:
            x = torch.cat([self.class_token.expand(len(x), 1, -1), x], 1)
        return x + self.positions.at((h // self.config.patch, w // self.config.patch))

    def hidden(self, image: Tensor) -> Float[Tensor, "b n d"]:
        """The tokens after the last block and its norm.

        Args:
            image: (b, 3, h, w) in [-1, 1]; sides that the patch divides, also other
                ones than `config.image_size`.

        Raises:
            ValueError: another channel count or size.
        """
        if image.shape[1] != 3:
            raise ValueError(
                f"ViT expected pictures of three channels, got {tuple(image.shape)}."
            )
        # eq. (2) and (3) are `mmdl_lib.nn.Block`
        return self.norm(self.transformer(self.embed(image)))

    def encode_image(self, image: Tensor) -> Float[Tensor, "b d"]:
        """`features` of pictures in [-1, 1]; another range is a ValueError, too."""
        check_image(image)
        return self.features(image)

    def features(self, image: Tensor) -> Float[Tensor, "b d"]:
        """What the head sees of a picture; errors as in `hidden`."""
        # eq. (4): y = LN(z_L^0)
        x = self.hidden(image)
        return x[:, 0] if self.extra else x.mean(1)

    def forward(self, image: Tensor) -> Float[Tensor, "b k"]:
        """Logits of the classes; errors as in `hidden`."""
        return self.head(self.features(image))

    def loss(self, batch: dict, *, phase="main", generator=None) -> dict[str, Tensor]:
        """Cross-entropy of a batch with `image` and `label (b,)`, in nats.

        Raises:
            ValueError: a label that is no class.
        """
        logits, label = self(batch["image"]), batch["label"]
        check_labels("label", label, logits.shape[1])
        return {"loss": F.cross_entropy(logits, label)}

    def attention(self, image: Tensor) -> Float[Tensor, "b layers heads n n"]:
        """Who looks at whom: query before key, each row sums to one."""
        x, found = self.embed(image), []
        for block in self.transformer.blocks:
            found.append(block.attention.weights(block.norm1(x)))
            x = block(x)
        return torch.stack(found, 1)

    def resized(self, image_size: tuple[int, int]) -> "ViT":
        """A copy whose positions belong to another resolution, to be fine-tuned (3.2).

        Raises:
            ValueError: a side that the patch does not divide.
        """
        if any(side < 1 or side % self.config.patch for side in image_size):
            raise ValueError(
                f"expected sides that {self.config.patch} divides, got {image_size}."
            )
        model = copy.deepcopy(self)
        model.config = replace(self.config, image_size=tuple(image_size))
        model.positions.resize_(model.config.grid)
        return model

    def with_head(self, classes: int) -> "ViT":
        """A copy with a linear head of zeros for other classes, to be fine-tuned."""
        model = copy.deepcopy(self)
        model.config = replace(self.config, classes=classes, head="linear")
        model.head = nn.Sequential(nn.Linear(self.config.width, classes))
        model.head.to(self.norm.weight)
        for parameter in model.head.parameters():
            nn.init.zeros_(parameter)
        return model

    @classmethod
    def example_batch(cls, config: ViTConfig, n: int, *, generator=None) -> dict:
        """Random pixels and labels."""
        size = (n, 3, *config.image_size)
        return {
            "image": torch.rand(size, generator=generator) * 2 - 1,
            "label": torch.randint(config.classes, (n,), generator=generator),
        }


def rollout(
    attention: Float[Tensor, "b layers heads n n"],
) -> Float[Tensor, "b n n"]:
    """How much each last token drew from each first one, through all layers (D.8).

    Attention rollout (Abnar and Zuidema 2020): the mean over heads, half of it replaced
    by the identity for the residual connection, multiplied layer by layer. Rows sum to
    one. It ignores the values and the MLP, so it is a hint and no proof.
    """
    mean = attention.mean(2)
    mixing = 0.5 * mean + 0.5 * torch.eye(mean.shape[-1]).to(mean)
    total = mixing[:, 0]
    for layer in mixing.unbind(1)[1:]:
        total = layer @ total
    return total


def attention_distance(
    attention: Float[Tensor, "b layers heads n n"], grid: tuple[int, int], patch: int
) -> Float[Tensor, "layers heads"]:
    """Mean distance in pixels between a patch and what it attends to (Figure 7).

    Args:
        attention: of `ViT.attention`; a class token in front is left out.
        grid: rows and columns of patches.
        patch: side of a patch in pixels.
    """
    count = grid[0] * grid[1]
    weights = attention[..., -count:, -count:]
    weights = weights / weights.sum(-1, keepdim=True)
    place = torch.arange(count).to(weights.device)
    place = torch.stack([place // grid[1], place % grid[1]], -1).to(weights)
    distance = patch * torch.cdist(place, place)
    return (weights * distance).sum(-1).mean((0, -1))
