"""Parti: a picture as a translation of its caption, token by token.

**Paper** Yu, Xu, Koh, Luong, Baid, Wang, et al., "Scaling Autoregressive Models for
Content-Rich Text-to-Image Generation", TMLR 2022, arXiv 2206.10789.

**Book** `sec-imagen`

**Symbols**
- `tokens (b, t)`, `mask (b, t)` = the caption y; `codes (b, n)` = the picture's tokens
  in reading order, n = grid x grid
- `memory (b, t, d)` what the encoder makes of the caption
- `scores (b, n, k)`, logits: row i is about code i

**Start**
- As `dalle`: matrices normal, 0.02, biases zero.

**Differs from the paper**
- The encoder of texts starts at random; the paper's has learned from texts before.
- Words are not pieces of words; each picture place has a vector for its row and one
  for its column. Rows and columns of the paper's net could not be checked.
- The printed 350 M, 750 M, 3 B and 20 B are the blocks; tables and heads come on top.
- Our pictures have the codes of a `dvae`, `vqvae` or of a small `vit_vqgan`.

**Builds on** `dalle`, `vit_vqgan` (codes)
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mmdl_lib.borders import check_integers, check_mask, check_number
from mmdl_lib.core import Config, Model
from mmdl_lib.nn import Transformer, decode
from mmdl_lib.nn.positions import LearnedPositions
from mmdl_lib.nn.transformer import BlockCache


@dataclass(frozen=True, kw_only=True)
class PartiConfig(Config):
    """Hyperparameters; the defaults are the paper's largest model."""

    vocab: int = 16_000
    text: int = 128
    codes: int = 8192
    grid: int = 32
    width: int = 4096
    encoder: int = 16  # blocks
    decoder: int = 64
    heads: int = 64
    empty: float = 0.1  # share of captions that are left out in training


def _full(width: int, encoder: int, decoder: int, heads: int) -> PartiConfig:
    sizes = {"width": width, "encoder": encoder, "decoder": decoder}
    return PartiConfig(**sizes, heads=heads)


def _small(**changes) -> PartiConfig:
    sizes = {"vocab": 38, "text": 8, "codes": 256, "grid": 8, "width": 64}
    return PartiConfig(**sizes | {"encoder": 1, "decoder": 3, "heads": 2} | changes)


class Drawn(NamedTuple):
    """What a row has read so far.

    Attributes:
        cache, memory, mask: of the decoder, and what it asks.
        alone: the same three behind an empty caption, for guidance, or None.
        count: how many codes have been read; -1 before the begin.
    """

    cache: list[BlockCache]
    memory: Tensor
    mask: Tensor
    alone: "Drawn | None"
    count: int


class Parti(Model):
    """An encoder for the caption, a causal decoder for the codes of its picture.

    Example:
        >>> model = Parti.from_preset("tiny").eval()
        >>> batch = Parti.example_batch(model.config, 2)
        >>> model.scores(batch["tokens"], batch["mask"], batch["codes"]).shape
        torch.Size([2, 16, 12])
    """

    PRESETS = {
        "tiny": _small(
            vocab=26, text=6, codes=12, grid=4, width=32, heads=2, empty=0.5
        ),
        "large-object": _small(),
        "350M": _full(1024, 12, 12, 16),
        "750M": _full(1024, 12, 36, 16),
        "3B": _full(2048, 12, 36, 32),
        "20B": PartiConfig(),
    }
    LEARNED = {"main": 0.9}

    def __init__(self, config: PartiConfig):
        super().__init__(config)
        c = config
        self.words = nn.Embedding(c.vocab, c.width)
        self.places = LearnedPositions(c.text, c.width)
        self.encoder = Transformer(c.width, c.encoder, c.heads)
        self.norm_text = nn.LayerNorm(c.width)
        self.codes = nn.Embedding(c.codes, c.width)
        self.begin = nn.Parameter(0.02 * torch.randn(c.width))
        self.nothing = nn.Parameter(0.02 * torch.randn(c.width))
        self.rows = LearnedPositions(c.grid, c.width)
        self.columns = LearnedPositions(c.grid, c.width)
        self.decoder = Transformer(c.width, c.decoder, c.heads, memory_width=c.width)
        self.norm = nn.LayerNorm(c.width)
        self.guess = nn.Linear(c.width, c.codes, bias=False)
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

    # reading

    def read(
        self,
        tokens: Int[Tensor, "b t"],
        mask: Bool[Tensor, "b t"],
        empty: Bool[Tensor, " b"] | None = None,
    ) -> tuple[Float[Tensor, "b t d"], Bool[Tensor, "b t"]]:
        """What the decoder asks: a vector for each word, or one for no caption.

        Raises:
            ValueError: an unknown word, a mask of another shape, no words, too many.
        """
        c = self.config
        check_integers("tokens", tokens, 0, c.vocab - 1)
        check_mask(mask, shape=tokens.shape)
        if not 1 <= tokens.shape[1] <= c.text:
            raise ValueError(
                f"tokens expected from 1 to {c.text} a row, got {tokens.shape[1]}."
            )
        x = self.words(tokens) + self.places(tokens.shape[1])
        x = self.norm_text(self.encoder(x, mask))
        if empty is not None:
            x = torch.where(empty[:, None, None], self.nothing, x)
            first = torch.arange(x.shape[1], device=x.device) == 0
            mask = torch.where(empty[:, None], first, mask)
        return x, mask

    def placed(self, codes: Int[Tensor, "b m"], start: int) -> Float[Tensor, "b m d"]:
        """Codes with the vectors of their rows and columns, from a place on."""
        place = torch.arange(start, start + codes.shape[1], device=codes.device)
        y, x = place // self.config.grid, place % self.config.grid
        return self.codes(codes) + self.rows.table[y] + self.columns.table[x]

    def told(
        self, memory: Tensor, mask: Tensor, codes: Int[Tensor, "b n"]
    ) -> Float[Tensor, "b n k"]:
        """What may stand at each place of the picture, knowing those before it."""
        begin = self.begin.expand(len(codes), 1, -1)
        x = torch.cat([begin, self.placed(codes[:, :-1], 0)], 1)
        x = self.decoder(x, causal=True, memory=memory, memory_mask=mask)
        return self.guess(self.norm(x))

    def scores(
        self,
        tokens: Int[Tensor, "b t"],
        mask: Bool[Tensor, "b t"],
        codes: Int[Tensor, "b n"],
        *,
        scale: float | int = 1.0,
    ) -> Float[Tensor, "b n k"]:
        """Logits of all codes at once; with guidance, those that `sample` draws from.

        Raises:
            ValueError: as `read`; another number of codes, an unknown one, a negative
                scale.
        """
        check_number("scale", scale, 0)
        self._check_codes(codes)
        found = self.told(*self.read(tokens, mask), codes)
        if scale == 1:
            return found
        return mixed(found, self.told(*self.read_nothing(tokens), codes), scale)

    def _check_codes(self, codes: Tensor) -> None:
        check_integers("codes", codes, 0, self.config.codes - 1)
        n = self.config.grid**2
        if codes.ndim != 2 or codes.shape[1] != n:
            raise ValueError(
                f"codes expected shape (b, {n}), got {tuple(codes.shape)}."
            )

    def read_nothing(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """As `read` with empty captions."""
        memory = self.nothing.expand(len(tokens), 1, -1)
        return memory, torch.ones(memory.shape[:2], dtype=torch.bool).to(tokens.device)

    def loss(self, batch: dict, *, phase="main", generator=None) -> dict[str, Tensor]:
        """Nats of a code, a mean over all places; the caption is not learned.

        Args:
            batch: `tokens (b, t)`, `mask (b, t)`, `codes (b, n)`.
            phase: there is one.
            generator: of the captions that are left out.

        Raises:
            ValueError: as `scores`.
        """
        tokens, codes = batch["tokens"], batch["codes"]
        self._check_codes(codes)
        dice = torch.rand(len(tokens), generator=generator, device=tokens.device)
        read = self.read(tokens, batch["mask"], dice < self.config.empty)
        logits = self.told(*read, codes)
        return {"loss": F.cross_entropy(logits.flatten(0, 1), codes.flatten())}

    # drawing

    def step(
        self, code: Int[Tensor, " b"], state: Drawn, *, scale: float = 1.0
    ) -> tuple[Float[Tensor, "b k"], Drawn]:
        """Read the begin (its number does not matter) or a code: what may follow."""
        logits, alone = self._next(code, state), state.alone
        if alone is not None:
            logits = mixed(logits, self._next(code, alone), scale)
            alone = alone._replace(count=alone.count + 1)
        return logits, state._replace(alone=alone, count=state.count + 1)

    def _next(self, code: Tensor, state: Drawn) -> Float[Tensor, "b k"]:
        if state.count < 0:
            x = self.begin.expand(len(code), 1, -1)
        else:
            x = self.placed(code[:, None], state.count)
        how = {"memory": state.memory, "memory_mask": state.mask}
        x = self.decoder(x, causal=True, cache=state.cache, **how)
        return self.guess(self.norm(x))[:, 0]

    @torch.no_grad()
    def sample(
        self,
        tokens: Int[Tensor, "b t"],
        mask: Bool[Tensor, "b t"],
        *,
        scale: float | int = 1.0,
        temperature: float | int = 1.0,
        top_k: int | None = None,
        generator: torch.Generator | None = None,
    ) -> Int[Tensor, "b n"]:
        """The codes of random pictures for captions.

        Args:
            tokens, mask: as in `read`.
            scale: of the guidance: 1 draws from the model, 0 hears no caption.
            temperature: below 1 likelier codes.
            top_k: how many codes may be drawn at a place.
            generator: of the draws.

        Raises:
            ValueError: as `read` and `mmdl_lib.nn.decode.sample`; a negative scale.
        """
        check_number("scale", scale, 0)
        state, alone = self.read(tokens, mask), None
        if scale != 1:
            empty = self.read_nothing(tokens)
            alone = Drawn(self.decoder.new_cache(), *empty, None, -1)
        found = decode.sample(
            partial(self.step, scale=float(scale)),
            torch.zeros_like(tokens[:, 0]),
            Drawn(self.decoder.new_cache(), *state, alone, -1),
            end=None,
            max_length=self.config.grid**2,
            temperature=temperature,
            top_k=top_k,
            generator=generator,
        )
        return found.tokens

    @classmethod
    def example_batch(cls, config: PartiConfig, n: int, *, generator=None) -> dict:
        """Random captions of unequal length and codes."""
        c, how = config, {"generator": generator}
        length = torch.randint(1, c.text + 1, (n, 1), **how)
        return {
            "tokens": torch.randint(c.vocab, (n, c.text), **how),
            "mask": torch.arange(c.text) < length,
            "codes": torch.randint(c.codes, (n, c.grid**2), **how),
        }


def mixed(told: Tensor, alone: Tensor, scale: float | int) -> Tensor:
    """Guidance on logits: away from what is said behind an empty caption."""
    # paper's section 2: unconditional + scale (conditional - unconditional)
    return alone + scale * (told - alone)
