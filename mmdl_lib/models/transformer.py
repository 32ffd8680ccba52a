"""The Transformer: translation by attention alone, without recurrence or convolution.

**Paper** Vaswani, Shazeer, Parmar, Uszkoreit, Jones, Gomez, Kaiser, Polosukhin,
"Attention Is All You Need", NIPS 2017, arXiv 1706.03762.

**Book** `sec-transformer`

**Symbols** (section 3 of the paper)
- `width` = d_model, `depth` = N, `heads` = h; d_k = d_v = d_model / h, d_ff = 4 d_model
- `source (b, n)` = x_1 ... x_n; `tokens (b, t)` = y_1 ... y_m, behind a start token
- `memory (b, n, d)` = z, what the encoder makes of the source
- `embedding (k, d)`, one matrix for source, target and the last layer

**Start**
- Linear layers: Xavier uniform, biases of zero; q, k and v each by itself. The paper
  names no initialization.
- Embeddings: normal with variance 1 / d_model. Times sqrt(d_model) a vector then has
  the size of a position (variance 1 beside 1/2), and the first logits variance one.

**Differs from the paper**
- Dropout also acts on attention weights, as in all blocks of `mmdl_lib.nn`.
- LayerNorm's epsilon is torch's 1e-5; the paper names none.
- One beam is greedy decoding, without length penalty.
- No averaging of the last checkpoints (section 6.1): `fit(ema=)` is at hand.

**Builds on** nothing; what translated before it is `bahdanau`.
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mmdl_lib.borders import (
    check_integers,
    check_mask,
    check_number,
    check_same_length,
    check_some,
)
from mmdl_lib.core import Config, Model, seeded
from mmdl_lib.nn import PostNormBlock, sinusoidal
from mmdl_lib.nn import Transformer as Stack
from mmdl_lib.nn.decode import beam_search, gnmt, greedy

KEYS = ("tokens", "mask", "source", "source_mask")  # of a batch, as `logits` takes them


@dataclass(frozen=True, kw_only=True)
class TransformerConfig(Config):
    """Hyperparameters; the defaults are the base model for English to German."""

    vocab: int = 37_000  # shared by both languages (section 5.1)
    width: int = 512
    depth: int = 6  # of the encoder and of the decoder
    heads: int = 8
    dropout: float = 0.1
    smoothing: float = 0.1  # epsilon_ls (section 5.4)
    positions: Literal["sinusoidal", "none"] = "sinusoidal"
    start: int = 0  # number of the token that begins a target
    end: int = 1  # number of the token that ends it


class Attention(NamedTuple):
    """Who looks at whom: query before key; rows sum to one, those of padding too.

    Attributes:
        encoder: among source tokens.
        decoder: among target tokens, none later than the query.
        cross: from each target token to the source.
    """

    encoder: Float[Tensor, "b layers heads n n"]
    decoder: Float[Tensor, "b layers heads t t"]
    cross: Float[Tensor, "b layers heads t n"]


def noam(step: int, *, width: int, warmup: int = 4000) -> float:
    """The learning rate of a step, counted from one.

    Linear up to step `warmup`, then falling with the root of the step. In `fit` it is
    the whole rate: `lr=1.0, schedule=lambda step, _: noam(step + 1, width=512)`.

    Raises:
        ValueError: step 0, which has no rate; no width or no warmup.
    """
    check_number("step", step, 1, whole=True)
    check_number("width", width, 1, whole=True)
    check_number("warmup", warmup, 1)
    # eq. (3): d_model^-0.5 min(step^-0.5, step warmup^-1.5)
    return width**-0.5 * min(step**-0.5, step * warmup**-1.5)


def smoothed_nats(
    log_p: Float[Tensor, "*b k"], target: Int[Tensor, "*b"], *, smoothing: float
) -> Float[Tensor, "*b"]:
    """Cross-entropy with a target that keeps `smoothing` for all k tokens alike.

    The truth gets 1 - e + e / k and every other token e / k (Szegedy et al. 2016,
    1512.00567, section 7, which the paper cites), as in `F.cross_entropy`. The smallest
    value is the entropy of that target, not zero. The Annotated Transformer instead
    gives 1 - e to the truth, e / (k - 2) to the others and nothing to padding.
    """
    nats = -log_p.gather(-1, target[..., None])[..., 0]
    return (1 - smoothing) * nats - smoothing * log_p.mean(-1)


class Transformer(Model):
    """Embedding, positions, encoder, decoder, and the embedding once more.

    Example:
        >>> model = Transformer.from_preset("tiny")
        >>> batch = Transformer.example_batch(model.config, 2)
        >>> model.logits(**batch).shape
        torch.Size([2, 7, 64])
    """

    PRESETS = {
        "tiny": TransformerConfig(vocab=64, width=64, depth=2, heads=4),
        "tiny-none": TransformerConfig(
            vocab=64, width=64, depth=2, heads=4, positions="none"
        ),
        "base": TransformerConfig(),
        "big": TransformerConfig(width=1024, heads=16, dropout=0.3),
    }
    # base is printed as 65 M in Table 3, but counts 63.1 M with 37,000 rows of
    # embedding: 65 M would need about 40,700 rows, 213 M of big only 35,800
    PAPER_PARAMS = {"big": 213_000_000}

    def __init__(self, config: TransformerConfig):
        super().__init__(config)
        width, drop = config.width, config.dropout
        self.embedding = nn.Embedding(config.vocab, width)
        stack = partial(
            *(Stack, width, config.depth, config.heads),
            block=PostNormBlock,
            activation=F.relu,
            dropout=drop,
        )
        self.encoder, self.decoder = stack(), stack(memory_width=width)
        self.drop = nn.Dropout(drop)
        nn.init.normal_(self.embedding.weight, std=width**-0.5)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        for block in (*self.encoder.blocks, *self.decoder.blocks):
            for layer in (block.attention, block.cross):
                for weight in () if layer is None else layer.projections():
                    nn.init.xavier_uniform_(weight)

    def embed(
        self, tokens: Int[Tensor, "b t"], *, start: int = 0
    ) -> Float[Tensor, "b t d"]:
        """Tokens and their places as vectors; the first one stands at `start`."""
        width = self.config.width
        # section 3.4: the weights times sqrt(d_model); 3.5: positions are added
        x = self.embedding(tokens) * width**0.5
        if self.config.positions == "sinusoidal":
            place = torch.arange(start, start + tokens.shape[1], device=x.device)
            x = x + sinusoidal(place, width).to(x.dtype)
        return self.drop(x)

    def encode(
        self, source: Int[Tensor, "b n"], source_mask: Bool[Tensor, "b n"]
    ) -> Float[Tensor, "b n d"]:
        """The memory: a vector for each source token, which has seen all others."""
        return self.encoder(self.embed(source), source_mask)

    def encode_source(
        self, source: Tensor, source_mask: Tensor
    ) -> Float[Tensor, "b n d"]:
        """As `encode`, with a check at the border.

        Raises:
            ValueError: no tokens, unknown tokens, a mask of another type or shape, a
                row of padding only, or padding before real tokens.
        """
        self._check(source, source_mask)
        return self.encode(source, source_mask)

    def _check(self, source: Tensor, source_mask: Tensor, tokens=None, mask=None):
        """The border of all that takes sentences."""
        last = self.config.vocab - 1
        check_integers("source", source, 0, last)
        check_mask(source_mask, name="source_mask", shape=source.shape)
        if tokens is not None:
            check_integers("tokens", tokens, 0, last)
            check_mask(mask, shape=tokens.shape)
            check_same_length(tokens=tokens, source=source)

    def read_out(self, x: Float[Tensor, "b t d"]) -> Float[Tensor, "b t k"]:
        """Logits: the product with each token's own embedding (section 3.4)."""
        return F.linear(x, self.embedding.weight)

    def logits(
        self,
        tokens: Int[Tensor, "b t"],
        mask: Bool[Tensor, "b t"],
        source: Int[Tensor, "b n"],
        source_mask: Bool[Tensor, "b n"],
    ) -> Float[Tensor, "b t k"]:
        """What may follow each target token, known the source and all tokens so far.

        Raises:
            ValueError: unknown tokens, padding in front of real ones, another number of
                targets than of sources; as `encode_source`.
        """
        self._check(source, source_mask, tokens, mask)
        memory = self.encode(source, source_mask)
        given = {"memory": memory, "memory_mask": source_mask}
        return self.read_out(
            self.decoder(self.embed(tokens), mask, causal=True, **given)
        )

    forward = logits

    def loss(self, batch: dict, *, phase="main", generator=None) -> dict[str, Tensor]:
        """Smoothed cross-entropy of each next token, and the plain one as `nats`.

        Args:
            batch: as of `example_batch`; targets begin with the start token and end
                with the end token, padding behind it.
            phase: "main".
            generator: of the dropout.
        """
        tokens, mask = batch["tokens"], batch["mask"]
        source = batch["source"], batch["source_mask"]
        with seeded(generator):
            logits = self.logits(tokens[:, :-1], mask[:, :-1], *source)
        log_p, target, real = logits.log_softmax(-1), tokens[:, 1:], mask[:, 1:]
        check_some("mask behind the start", real)
        found = {"loss": self.config.smoothing, "nats": 0.0}
        return {
            name: (smoothed_nats(log_p, target, smoothing=e) * real).sum() / real.sum()
            for name, e in found.items()
        }

    def step(self, token: Int[Tensor, " b"], state: tuple) -> tuple[Tensor, tuple]:
        """One more target token, for `mmdl_lib.nn.decode`; the state is `begin`'s."""
        place, cache, memory, source_mask = state
        x = self.embed(token[:, None], start=place)
        x = self.decoder(x, memory=memory, memory_mask=source_mask, cache=cache)
        return self.read_out(x)[:, 0], (place + 1, cache, memory, source_mask)

    def begin(self, source: Tensor, source_mask: Tensor) -> tuple:
        """The state before the first target token; errors as in `encode_source`."""
        memory = self.encode_source(source, source_mask)
        return 0, self.decoder.new_cache(), memory, source_mask

    @torch.no_grad()
    def generate(
        self,
        source: Tensor,
        source_mask: Tensor,
        *,
        beams: int = 1,
        alpha: float = 0.6,
        max_length: int | None = None,
    ) -> Int[Tensor, "b t"]:
        """Translate: tokens without the start, filled with end tokens.

        Args:
            source: tokens (b, n); padding behind them.
            source_mask: True on real ones (b, n).
            beams: 4 in the paper; one is greedy.
            alpha: of the length penalty ((5 + length) / 6)^alpha; for several beams.
            max_length: most tokens; None: 50 more than the source (section 6.1).

        Raises:
            ValueError: as `encode_source`; no beam, a length below one, or an `alpha`
                that is no finite number.
        """
        check_number("beams", beams, 1, whole=True)
        state = self.begin(source, source_mask)
        start = source.new_full((len(source),), self.config.start)
        longest = source.shape[1] + 50 if max_length is None else max_length
        options = {"end": self.config.end, "max_length": longest}
        if beams == 1:
            return greedy(self.step, start, state, **options).tokens
        options |= {"beams": beams, "penalty": gnmt(alpha)}
        return beam_search(self.step, start, state, **options).tokens[:, 0]

    @torch.no_grad()
    def attention(
        self,
        tokens: Int[Tensor, "b t"],
        mask: Bool[Tensor, "b t"],
        source: Int[Tensor, "b n"],
        source_mask: Bool[Tensor, "b n"],
    ) -> Attention:
        """All attention weights for a given target, in evaluation mode.

        Raises:
            ValueError: as `logits`.
        """
        self._check(source, source_mask, tokens, mask)
        x, found = self.embed(source), Attention([], [], [])
        for block in self.encoder.blocks:
            found.encoder.append(block.attention.weights(x, source_mask))
            x = block(x, source_mask)
        memory, x = x, self.embed(tokens)
        given = {"memory": memory, "memory_mask": source_mask}
        for block in self.decoder.blocks:
            own = block.attention.weights(x, mask, causal=True)
            y = block.norm1(x + block.attention(x, mask, causal=True))
            found.decoder.append(own)
            found.cross.append(block.cross.weights(y, source_mask, memory=memory))
            x = block(x, mask, causal=True, **given)
        return Attention(*(torch.stack(parts, 1) for parts in found))

    @classmethod
    def example_batch(cls, config: TransformerConfig, n: int, *, generator=None):
        """Random tokens in rows of different lengths."""
        draw = partial(torch.randint, generator=generator)
        last = max(config.start, config.end)
        tokens = draw(last + 1, config.vocab, (n, 7))
        length, source_length = draw(4, 8, (n, 1)), draw(3, 6, (n, 1))
        tokens[:, 0] = config.start
        tokens = tokens.scatter(1, length - 1, config.end)
        return {
            "tokens": tokens,
            "mask": torch.arange(7) < length,
            "source": draw(last + 1, config.vocab, (n, 5)),
            "source_mask": torch.arange(5) < source_length,
        }
