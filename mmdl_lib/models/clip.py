"""CLIP: one space for pictures and sentences, learned from pairs.

**Paper** Radford, Kim, Hallacy, et al., "Learning Transferable Visual Models From
Natural Language Supervision", ICML 2021, arXiv 2103.00020.

**Book** `sec-clip`

**Symbols** (names of the paper's Figure 3)
- `image (b, d)`, `text (b, d)` = I_e, T_e, both of length one
- `log_scale ()` = t, the learned log of the factor on the cosines (the inverse of a
  temperature); the factor itself is `exp(log_scale)`
- `logits (b, b)` = np.dot(I_e, T_e.T) * np.exp(t); row = picture, column = sentence

**Start**
- As the released code, but for blocks, pool and convolutions, which start as PyTorch
  does. There the text blocks are scaled (attention width^-0.5, residual projections by
  (2 depth)^-0.5 more) and the last BatchNorm of a bottleneck starts at zero.

**Differs from the paper**
- The end of a sentence is found through `mask` (the last real token). The original
  takes the largest token id, which is its end-of-text token: the same place.
- Attention is one call (`scaled_dot_product_attention`); the values agree with the
  original code to float32 rounding (`tests/parity/test_clip.py`).
- `tiny` and `tiny-vit` are ours, for 32 x 32 pictures; the others are released.

**Builds on** nothing (the ResNet with the paper's three changes is written here).
"""

import math
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mmdl_lib.borders import check_image, check_integers, check_mask
from mmdl_lib.core import Config, Model
from mmdl_lib.nn import Transformer, quick_gelu


@dataclass(frozen=True, kw_only=True)
class ViTConfig(Config):
    """Vision Transformer tower (paper, section 2.4 and Table 20)."""

    patch: int = 32
    width: int = 768
    depth: int = 12
    heads: int = 12


@dataclass(frozen=True, kw_only=True)
class ResNetConfig(Config):
    """Modified ResNet tower (paper, section 2.4 and Table 19)."""

    blocks: tuple[int, ...] = (3, 4, 6, 3)
    width: int = 64
    heads: int = 32


@dataclass(frozen=True, kw_only=True)
class CLIPConfig(Config):
    """Hyperparameters; the defaults are ViT-B/32, the smallest released ViT."""

    embed: int = 512
    image_size: int = 224
    vision: ViTConfig | ResNetConfig = ViTConfig()
    context: int = 77
    vocab: int = 49408
    text_width: int = 512
    text_depth: int = 12
    text_heads: int = 8
    # "gelu" in the models that OpenCLIP trained
    activation: Literal["quick_gelu", "gelu"] = "quick_gelu"


ACTIVATIONS = {"quick_gelu": quick_gelu, "gelu": F.gelu}


def _resnet(embed, image_size, blocks, width, heads, text_width):
    text = {"text_width": text_width, "text_heads": text_width // 64}
    vision = ResNetConfig(blocks=blocks, width=width, heads=heads)
    return CLIPConfig(embed=embed, image_size=image_size, vision=vision, **text)


B32 = CLIPConfig()
LARGE = ViTConfig(patch=14, width=1024, depth=24, heads=16)
L14 = CLIPConfig(embed=768, vision=LARGE, text_width=768, text_heads=12)
TINY = CLIPConfig(
    embed=64,
    image_size=32,
    vision=ResNetConfig(blocks=(1, 1, 1), width=20, heads=8),
    context=24,
    vocab=128,
    text_width=64,
    text_depth=2,
    text_heads=4,
)
TINY_TOWER = ViTConfig(patch=4, width=96, depth=3, heads=4)


class Bottleneck(nn.Module):
    """Residual block whose stride is an average pool ("anti-aliased rect-2 blur")."""

    def __init__(self, inputs: int, width: int, stride: int):
        super().__init__()
        outputs = 4 * width
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.pool = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.norm3 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Identity()
        if stride > 1 or inputs != outputs:
            conv = nn.Conv2d(inputs, outputs, 1, bias=False)
            norm = nn.BatchNorm2d(outputs)
            self.shortcut = nn.Sequential(self.pool, conv, norm)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h2 w2"]:
        y = F.relu(self.norm1(self.conv1(x)))
        y = F.relu(self.norm2(self.conv2(y)))
        y = self.norm3(self.conv3(self.pool(y)))
        return F.relu(y + self.shortcut(x))


class AttentionPool(nn.Module):
    """One attention layer whose only query is the mean of all positions."""

    def __init__(self, width: int, heads: int, embed: int, *, positions: int):
        super().__init__()
        self.heads = heads
        self.positions = nn.Parameter(torch.randn(positions + 1, width) / width**0.5)
        self.q = nn.Linear(width, width)
        self.k = nn.Linear(width, width)
        self.v = nn.Linear(width, width)
        self.out = nn.Linear(width, embed)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d"]:
        x = rearrange(x, "b c h w -> b (h w) c")
        x = torch.cat([x.mean(1, keepdim=True), x], dim=1) + self.positions
        q, k, v = self.q(x[:, :1]), self.k(x), self.v(x)
        q, k, v = (
            rearrange(y, "b n (heads d) -> b heads n d", heads=self.heads)
            for y in (q, k, v)
        )
        y = F.scaled_dot_product_attention(q, k, v)
        return self.out(rearrange(y, "b heads 1 d -> b (heads d)"))


class ResNetTower(nn.Module):
    """ResNet with a stem of three, average pools for strides, and attention pooling."""

    def __init__(self, config: CLIPConfig):
        super().__init__()
        vision, width = config.vision, config.vision.width
        half = width // 2
        self.stem = nn.Sequential(
            *(nn.Conv2d(3, half, 3, 2, 1, bias=False), nn.BatchNorm2d(half), nn.ReLU()),
            *(nn.Conv2d(half, half, 3, 1, 1, bias=False), nn.BatchNorm2d(half)),
            *(nn.ReLU(), nn.Conv2d(half, width, 3, 1, 1, bias=False)),
            *(nn.BatchNorm2d(width), nn.ReLU(), nn.AvgPool2d(2)),
        )
        stages, channels = [], width
        for i, depth in enumerate(vision.blocks):
            for j in range(depth):
                stride = 2 if i > 0 and j == 0 else 1
                stages.append(Bottleneck(channels, width * 2**i, stride))
                channels = 4 * width * 2**i
        self.stages = nn.Sequential(*stages)
        n = (config.image_size // (4 * 2 ** (len(vision.blocks) - 1))) ** 2
        self.pool = AttentionPool(channels, vision.heads, config.embed, positions=n)

    def feature_map(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c u v"]:
        """The last spatial features, before attention pooling (Grad-CAM reads them)."""
        return self.stages(self.stem(image))

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b d"]:
        return self.pool(self.feature_map(image))


class ViTTower(nn.Module):
    """Vision Transformer with one more LayerNorm, before the first block."""

    def __init__(self, config: CLIPConfig):
        super().__init__()
        vision, width = config.vision, config.vision.width
        patches = (config.image_size // vision.patch) ** 2
        std = width**-0.5
        self.patchify = nn.Conv2d(3, width, vision.patch, vision.patch, bias=False)
        self.class_token = nn.Parameter(std * torch.randn(width))
        self.positions = nn.Parameter(std * torch.randn(patches + 1, width))
        self.norm_pre = nn.LayerNorm(width)
        sizes, act = (width, vision.depth, vision.heads), ACTIVATIONS[config.activation]
        self.transformer = Transformer(*sizes, activation=act)
        self.norm_post = nn.LayerNorm(width)
        self.project = nn.Linear(width, config.embed, bias=False)
        nn.init.normal_(self.project.weight, std=std)

    def embed_patches(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b n d"]:
        """Class token and patches with their positions, ready for the first block."""
        x = rearrange(self.patchify(image), "b d h w -> b (h w) d")
        start = self.class_token.expand(len(x), 1, -1)
        return self.norm_pre(torch.cat([start, x], dim=1) + self.positions)

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b d"]:
        x = self.transformer(self.embed_patches(image))
        return self.project(self.norm_post(x[:, 0]))


class TextTower(nn.Module):
    """Causal Transformer; the state at the end-of-text token is the sentence."""

    def __init__(self, config: CLIPConfig):
        super().__init__()
        width = config.text_width
        self.tokens = nn.Embedding(config.vocab, width)
        self.positions = nn.Parameter(0.01 * torch.randn(config.context, width))
        sizes, act = (
            (config.text_depth, config.text_heads),
            ACTIVATIONS[config.activation],
        )
        self.transformer = Transformer(width, *sizes, activation=act)
        self.norm = nn.LayerNorm(width)
        self.project = nn.Linear(width, config.embed, bias=False)
        nn.init.normal_(self.tokens.weight, std=0.02)
        nn.init.normal_(self.project.weight, std=width**-0.5)

    def hidden(self, tokens: Int[Tensor, "b t"]) -> Float[Tensor, "b t d"]:
        """States of all positions; each has seen only itself and the tokens before."""
        x = self.tokens(tokens) + self.positions[: tokens.shape[1]]
        return self.norm(self.transformer(x, causal=True))

    def forward(
        self, tokens: Int[Tensor, "b t"], mask: Bool[Tensor, "b t"]
    ) -> Float[Tensor, "b d"]:
        end = mask.sum(1) - 1
        x = self.hidden(tokens)
        return self.project(x[torch.arange(len(x), device=x.device), end])


class CLIPOutput(NamedTuple):
    """What `CLIP.forward` returns."""

    image: Float[Tensor, "b d"]
    text: Float[Tensor, "m d"]
    logits: Float[Tensor, "b m"]


def contrastive_loss(logits: Float[Tensor, "b b"]) -> dict[str, Float[Tensor, ""]]:
    """Symmetric cross-entropy over a batch of pairs (paper, Figure 3).

    Args:
        logits: similarities; row i is picture i, column j is sentence j, and the true
            pairs lie on the diagonal.

    Returns:
        `loss`, the mean of `image_to_text` (each row picks its sentence) and
        `text_to_image` (each column picks its picture), in nats.

    Raises:
        ValueError: a single pair, which has nothing to be compared with.
    """
    if len(logits) < 2:
        raise ValueError("contrastive_loss expected two pairs or more, got one.")
    target = torch.arange(len(logits), device=logits.device)
    image_to_text = F.cross_entropy(logits, target)
    text_to_image = F.cross_entropy(logits.T, target)
    terms = {"image_to_text": image_to_text, "text_to_image": text_to_image}
    return {"loss": (image_to_text + text_to_image) / 2} | terms


class CLIP(Model):
    """Two towers and one learned scale.

    Example:
        >>> model = CLIP(CLIP.PRESETS["tiny"])
        >>> batch = CLIP.example_batch(model.config, 4)
        >>> model(batch["image"], batch["tokens"], batch["mask"]).logits.shape
        torch.Size([4, 4])
    """

    PRESETS = {
        "tiny": TINY,
        "tiny-vit": replace(TINY, vision=TINY_TOWER),
        "ViT-B/32": B32,
        "ViT-B/32-OpenCLIP": replace(B32, activation="gelu"),
        "ViT-B/16": replace(B32, vision=ViTConfig(patch=16)),
        "ViT-L/14": L14,
        "ViT-L/14@336px": replace(L14, image_size=336),
        "RN50": _resnet(1024, 224, (3, 4, 6, 3), 64, 32, 512),
        "RN101": _resnet(512, 224, (3, 4, 23, 3), 64, 32, 512),
        "RN50x4": _resnet(640, 288, (4, 6, 10, 6), 80, 40, 640),
        "RN50x16": _resnet(768, 384, (6, 8, 18, 8), 96, 48, 768),
        "RN50x64": _resnet(1024, 448, (3, 15, 36, 10), 128, 64, 1024),
    }
    # The paper prints no totals; these are the sizes of the released checkpoints.
    PAPER_PARAMS = {
        "ViT-B/32": 151_277_313,
        "ViT-B/16": 149_620_737,
        "ViT-L/14": 427_616_513,
        "ViT-L/14@336px": 427_944_193,
        "RN50": 102_007_137,
        "RN101": 119_688_033,
        "RN50x4": 178_300_601,
        "RN50x16": 290_979_217,
        "RN50x64": 623_258_305,
    }

    def __init__(self, config: CLIPConfig):
        super().__init__(config)
        tower = ViTTower if isinstance(config.vision, ViTConfig) else ResNetTower
        self.vision = tower(config)
        self.text = TextTower(config)
        # "initialized to the equivalent of 0.07" (section 2.5)
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    @property
    def logit_scale(self) -> Float[Tensor, ""]:
        """The factor on the cosines, exp(t): the inverse of the temperature."""
        return self.log_scale.clamp(max=math.log(100)).exp()

    def encode_image(self, image: Tensor) -> Float[Tensor, "b d"]:
        """Picture features of length one.

        Args:
            image: (b, 3, h, w) in [-1, 1], of the size the config names. The shape is
                checked here, in words, and not by an annotation.

        Raises:
            ValueError: another size, channel count or range.
        """
        check_image(image)
        return self.features(image)

    def features(self, image: Tensor) -> Float[Tensor, "b d"]:
        """As `encode_image`, whatever the range of the pixels."""
        size = self.config.image_size
        if image.shape[1:] != (3, size, size):
            raise ValueError(
                f"CLIP expected pictures of shape (b, 3, {size}, {size}), got "
                f"{tuple(image.shape)}: resize them first."
            )
        # I_e = l2_normalize(np.dot(I_f, W_i), axis=1)
        return F.normalize(self.vision(image), dim=-1)

    def encode_text(
        self, tokens: Int[Tensor, "m t"], mask: Bool[Tensor, "m t"]
    ) -> Float[Tensor, "m d"]:
        """Sentence features of length one; `mask` is True on real tokens.

        Raises:
            ValueError: more tokens than the context, unknown ones, or a mask that is no
                beginning.
        """
        check_integers("tokens", tokens, 0, self.config.vocab - 1)
        if tokens.shape[1] > self.config.context:
            raise ValueError(
                f"CLIP expected at most {self.config.context} tokens a caption, got "
                f"{tokens.shape[1]}: shorten the caption."
            )
        check_mask(mask, shape=tokens.shape)
        return F.normalize(self.text(tokens, mask), dim=-1)

    def forward(
        self,
        image: Float[Tensor, "b 3 h w"],
        tokens: Int[Tensor, "m t"],
        mask: Bool[Tensor, "m t"],
    ) -> CLIPOutput:
        """Every picture against every sentence; the two counts may differ."""
        image_features = self.features(image)
        # T_e = l2_normalize(np.dot(T_f, W_t), axis=1)
        text_features = F.normalize(self.text(tokens, mask), dim=-1)
        # logits = np.dot(I_e, T_e.T) * np.exp(t)
        logits = self.logit_scale * image_features @ text_features.T
        return CLIPOutput(image_features, text_features, logits)

    def loss(self, batch: dict, *, phase="main", generator=None) -> dict[str, Tensor]:
        """Contrastive loss of a batch with `image`, `tokens` and `mask`."""
        out = self(batch["image"], batch["tokens"], batch["mask"])
        return contrastive_loss(out.logits)

    def after_step(self, step: int, *, phase="main") -> None:
        # "clipped to prevent scaling the logits by more than 100" (section 2.5)
        self.log_scale.data.clamp_(max=math.log(100))

    @classmethod
    def example_batch(cls, config: CLIPConfig, n: int, *, generator=None) -> dict:
        """Random pixels and tokens in the right shapes; captions of mixed length."""
        size, t = config.image_size, min(config.context, 12)
        length = torch.randint(3, t + 1, (n, 1), generator=generator)
        return {
            "image": torch.rand(n, 3, size, size, generator=generator) * 2 - 1,
            "tokens": torch.randint(config.vocab, (n, t), generator=generator),
            "mask": torch.arange(t) < length,
        }
