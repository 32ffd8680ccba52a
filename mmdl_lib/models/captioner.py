"""A plain Transformer captioner: over the cells of a picture, or over its regions.

**Paper** Vaswani, Shazeer, Parmar, Uszkoreit, Jones, Gomez, Kaiser, Polosukhin,
"Attention Is All You Need", NeurIPS 2017, arXiv 1706.03762 (encoder and decoder);
Anderson, He, Buehler, Teney, Johnson, Gould, Zhang, "Bottom-Up and Top-Down Attention
for Image Captioning and Visual Question Answering", CVPR 2018, arXiv 1707.07998 (a set
of regions in the grid's place).

**Book** `sec-captioning`

**Symbols**
- `memory.values (b, n, d)`: what the encoder gives out for each cell or region; the
  keys and values of the decoder's cross-attention
- `memory.mask (b, n)`: True = a real region; it goes to every use of the memory
- `tokens (b, t)`: start token, words, end token

**Start**
- Layers as in torch, embeddings and places normal with deviation 0.02.

**Differs from the paper**
- Pre-norm with a last norm, GELU, learned positions; no label smoothing.
- `RegionCaptioner` takes regions that someone else has found, as the bottom-up model
  does, but its decoder is a Transformer's; that paper's two LSTMs are `up_down`.

**Builds on** `show_attend_tell` (its small convnet, training and decoding)
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mmdl_lib.borders import check_flags, check_numbers
from mmdl_lib.core import Config, Model
from mmdl_lib.models.seq2seq import check_tokens
from mmdl_lib.models.show_attend_tell import (
    Grid,
    ShowAttendTell,
    Teller,
    example_captions,
)
from mmdl_lib.nn import LearnedPositions, Transformer


@dataclass(frozen=True, kw_only=True)
class CaptionerConfig(Config):
    """Hyperparameters; the defaults are the base size of the Transformer paper."""

    image_size: int = 224
    stages: tuple[int, ...] = (64, 128, 256, 512)  # of the convnet, see `Grid`
    region: int = 2048  # numbers of a region, where regions are seen
    vocab: int = 10_000
    length: int = 32  # most tokens of a caption, start and end among them
    width: int = 512
    encoder: int = 6  # blocks
    decoder: int = 6
    heads: int = 8
    dropout: float = 0.1


class Seen(NamedTuple):
    """What the decoder may look at; `mask` is True where there is something."""

    values: Float[Tensor, "b n d"]
    mask: Bool[Tensor, "b n"]


class Decoded(NamedTuple):
    """What the decoder has read so far: a cache for each block, and how many tokens."""

    caches: list
    count: int


def _tiny(**changes) -> CaptionerConfig:
    sizes = {"image_size": 16, "stages": (8, 16), "region": 6, "vocab": 40}
    sizes |= {"width": 32, "encoder": 1, "decoder": 1, "heads": 2, "dropout": 0.0}
    return CaptionerConfig(**sizes | changes)


def _shapes(**changes) -> CaptionerConfig:
    sizes = {"image_size": 32, "stages": (32, 96), "region": 196, "vocab": 38}
    sizes |= {"width": 96, "encoder": 1, "decoder": 2, "heads": 4, "dropout": 0.0}
    return CaptionerConfig(**sizes | changes)


class Writer(Teller):
    """Encoder and decoder of both captioners of this file.

    A subclass makes in `see(config)` what turns its input into vectors.
    """

    def __init__(self, config: CaptionerConfig):
        super().__init__(config)
        c = config
        self.see(c)
        sizes = {"heads": c.heads, "dropout": c.dropout}
        self.encoder = Transformer(c.width, c.encoder, **sizes)
        self.encoder_norm = nn.LayerNorm(c.width)
        self.embedding = nn.Embedding(c.vocab, c.width)
        nn.init.normal_(self.embedding.weight, std=0.02)
        self.positions = LearnedPositions(c.length, c.width)
        self.decoder = Transformer(c.width, c.decoder, memory_width=c.width, **sizes)
        self.norm = nn.LayerNorm(c.width)
        self.out = nn.Linear(c.width, c.vocab)

    def encoded(self, x: Float[Tensor, "b n d"], mask: Bool[Tensor, "b n"]) -> Seen:
        """Each vector knows the others; what is no region is seen by none."""
        return Seen(self.encoder_norm(self.encoder(x, mask)), mask)

    def first(self, memory: Seen) -> Decoded:
        """Nothing read so far."""
        return Decoded(self.decoder.new_cache(), 0)

    def read(self, tokens: Int[Tensor, "b t"], state: Decoded, memory: Seen):
        """Logits after each token, and what was read until then."""
        x = self.embedded(tokens, state.count)
        given = {"memory": memory.values, "memory_mask": memory.mask}
        x = self.decoder(x, causal=True, cache=state.caches, **given)
        count = state.count + tokens.shape[1]
        return self.out(self.norm(x)), Decoded(state.caches, count)

    def embedded(self, tokens: Int[Tensor, "b t"], start: int = 0) -> Tensor:
        """Tokens with their positions."""
        places = self.positions(tokens.shape[1], start=start)
        return self.embedding(tokens) + places

    def looks(self, tokens: Int[Tensor, "b t"], memory: Seen) -> Tensor:
        """Cross-attention (b, layers, heads, t, n); row t chose token t + 1.

        Raises:
            ValueError: as `check_tokens`.
        """
        check_tokens(tokens, self.config.vocab)
        x, found = self.embedded(tokens), []
        given = {"memory": memory.values}
        for block in self.decoder.blocks:
            # what the block's own cross-attention is asked
            y = x + block.attention(block.norm1(x), causal=True)
            weights = block.cross.weights(block.norm_cross(y), memory.mask, **given)
            found.append(weights)
            x = block(x, causal=True, memory_mask=memory.mask, **given)
        return torch.stack(found, 1)


class Captioner(Writer, Model):
    """Cells of a small convnet, a Transformer encoder over them, a decoder that tells.

    Example:
        >>> model = Captioner.from_preset("tiny")
        >>> batch = Captioner.example_batch(model.config, 2)
        >>> model.logits(batch["tokens"], batch["image"]).shape
        torch.Size([2, 7, 40])
    """

    PRESETS = {"tiny": _tiny(), "shapes": _shapes(), "base": CaptionerConfig()}
    LEARNED = {"main": 0.9}

    def see(self, c: CaptionerConfig) -> None:
        """Make what turns a picture into a set of vectors."""
        self.cells = Grid(c.image_size, c.stages)
        self.project = nn.Linear(c.stages[-1], c.width)

    def memory(self, image: Float[Tensor, "b 3 h w"]) -> Seen:
        """What the encoder makes of the cells.

        Raises:
            ValueError: no pictures in [-1, 1] of the right size.
        """
        x = self.project(self.cells(image))
        return self.encoded(x, torch.ones_like(x[..., 0], dtype=torch.bool))

    def attention(
        self, tokens: Int[Tensor, "b t"], image: Float[Tensor, "b 3 h w"]
    ) -> Float[Tensor, "b layers heads t n"]:
        """Where each block of the decoder looked; row t chose token t + 1.

        Raises:
            ValueError: as `check_tokens` and `memory`.
        """
        return self.looks(tokens, self.memory(image))

    def encode_image(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b n d"]:
        """What the encoder makes of the cells, line by line.

        Raises:
            ValueError: no pictures in [-1, 1] of the right size.
        """
        return self.memory(image).values

    @classmethod
    def example_batch(cls, config, n: int, *, generator=None) -> dict[str, Tensor]:
        """Random pictures and captions."""
        return ShowAttendTell.example_batch(config, n, generator=generator)


def check_regions(regions: Tensor, mask: Tensor, width: int) -> None:
    """Check sets of regions.

    Raises:
        ValueError: no floats of shape (b, n, width), no region at all, a mask that is
            not bool or of another shape, or a picture whose regions are all masked.
    """
    check_numbers("regions", regions, "b n f")
    if regions.shape[1] == 0 or regions.shape[2] != width:
        raise ValueError(
            f"regions expected shape (b, n, {width}) with n of at least 1, got "
            f"{tuple(regions.shape)}."
        )
    check_flags("region_mask", mask, regions.shape[:2])
    if mask.is_meta:
        return
    empty = int((~mask.any(1)).sum())
    if empty:
        raise ValueError(
            f"region_mask expected a real region in each row, got {empty} rows "
            "without one."
        )


class OverRegions(Teller):
    """What captioners of a set of regions share; `memory` takes regions and mask."""

    SEEN = ("regions", "region_mask")

    def logits(
        self,
        tokens: Int[Tensor, "b t"],
        regions: Float[Tensor, "b n f"],
        region_mask: Bool[Tensor, "b n"],
    ) -> Float[Tensor, "b t k"]:
        """Scores of the token after each position, all earlier ones given.

        Raises:
            ValueError: as `check_tokens` and `check_regions`.
        """
        return self.told(tokens, self.memory(regions, region_mask))

    def generate(
        self,
        regions: Float[Tensor, "b n f"],
        region_mask: Bool[Tensor, "b n"],
        *,
        beams: int | None = None,
        max_length: int = 30,
    ) -> Int[Tensor, "b t"]:
        """The likeliest captions found, without their start; greedy without beams.

        Raises:
            ValueError: as `search` and `check_regions`.
        """
        memory = self.memory(regions, region_mask)
        return self.spoken(memory, beams=beams, max_length=max_length)

    @classmethod
    def example_batch(cls, config, n: int, *, generator=None) -> dict[str, Tensor]:
        """Random regions, two to five of them real, and captions."""
        regions = torch.randn(n, 5, config.region, generator=generator)
        count = torch.randint(2, 6, (n, 1), generator=generator)
        found = {"regions": regions, "region_mask": torch.arange(5) < count}
        return found | example_captions(config.vocab, n, generator)


class RegionCaptioner(OverRegions, Writer, Model):
    """The same, over a set of regions with a mask: bottom-up attention.

    Regions have no order. Those that are masked change nothing, whatever they hold.

    Example:
        >>> model = RegionCaptioner.from_preset("tiny")
        >>> batch = RegionCaptioner.example_batch(model.config, 2)
        >>> model.generate(batch["regions"], batch["region_mask"]).shape[0]
        2
    """

    PRESETS = {
        "tiny": _tiny(),
        "shapes": _shapes(),
        "bottom-up": CaptionerConfig(encoder=3, decoder=3),
    }
    LEARNED = {"main": 0.9}

    def see(self, c: CaptionerConfig) -> None:
        """Make what turns a region into a vector."""
        self.project = nn.Sequential(
            nn.Linear(c.region, c.width), nn.ReLU(), nn.Linear(c.width, c.width)
        )

    def memory(self, regions: Float[Tensor, "b n f"], region_mask: Tensor) -> Seen:
        """What the encoder makes of the regions.

        Raises:
            ValueError: as `check_regions`.
        """
        check_regions(regions, region_mask, self.config.region)
        return self.encoded(self.project(regions), region_mask)

    def attention(self, tokens, regions, region_mask):
        """Cross-attention (b, layers, heads, t, n) of the decoder on the regions.

        Raises:
            ValueError: as `check_tokens` and `check_regions`.
        """
        return self.looks(tokens, self.memory(regions, region_mask))

    def encode_regions(
        self, regions: Float[Tensor, "b n f"], region_mask: Bool[Tensor, "b n"]
    ) -> Float[Tensor, "b n d"]:
        """What the encoder makes of the regions, zero where there is none.

        Raises:
            ValueError: as `check_regions`.
        """
        values, mask = self.memory(regions, region_mask)
        return values * mask[..., None]
