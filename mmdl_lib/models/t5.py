"""T5: every task is a text that is turned into a text.

**Paper** Raffel, Shazeer, Roberts, et al., "Exploring the Limits of Transfer Learning
with a Unified Text-to-Text Transformer", JMLR 2020, arXiv 1910.10683.

**Book** `sec-bert`

**Symbols** (sections 2.1 and 3.1.4 of the paper)
- `tokens (b, t)` = inputs; `target (b, u)` = targets, with an end token
- `width` = d_model, `inner` = d_ff, `head_width` = d_kv, `depth` = layers of each stack
- a sentinel is the token that stands for a span, <X>, <Y>, ... in Figure 2

**Start**
- Normal distributions as in the released code, so that scores need no 1 / sqrt(d_kv):
  queries (d d_kv)^-0.5, keys, values, relative terms and the first layer of the mlp
  d^-0.5, outputs by their number of inputs, the table of tokens 1.

**Differs from the paper**
- Nothing in the model: it is version 1.0, with one table for inputs and outputs.
- Lengths and number of spans are those of the released code.
- 770 M (Large) and 3 B are printed where the sizes have 737.7 M and 2.85 B.

**Builds on** nothing.
"""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mmdl_lib.borders import (
    check_choice,
    check_integers,
    check_mask,
    check_number,
    check_some,
)
from mmdl_lib.core import Config, Model, seeded
from mmdl_lib.nn import Cache, MultiHeadAttention, RelativeBias, decode

PAD, END = 0, 1  # the decoder starts with padding


@dataclass(frozen=True, kw_only=True)
class T5Config(Config):
    """Hyperparameters; the defaults are T5-Base."""

    vocab: int = 32_128  # with the sentinels, which are its last tokens
    width: int = 768
    inner: int = 3072
    depth: int = 12
    heads: int = 12
    head_width: int = 64
    buckets: int = 32
    farthest: int = 128
    dropout: float = 0.1
    epsilon: float = 1e-6  # of the norm


def visible(
    kind: Literal["full", "causal", "prefix"], n: int, *, prefix: int = 0
) -> Bool[Tensor, "n n"]:
    """Which token (column) each token (row) may see: the masks of Figure 3.

    Args:
        kind: "full" as in BERT and in T5's encoder, "causal" as in GPT and in T5's
            decoder, or "prefix": full within the prefix, causal after it.
        n: how many tokens there are.
        prefix: length of the prefix.

    Raises:
        ValueError: another kind, no token, or a prefix longer than the text.

    Source: section 3.2.1.
    """
    check_choice("kind", kind, ("full", "causal", "prefix"))
    check_number("n", n, 1, whole=True)
    check_number("prefix", prefix, 0, n, whole=True)
    seen = torch.ones(n, n, dtype=torch.bool)
    if kind == "full":
        return seen
    return seen.tril() | (torch.arange(n) < (prefix if kind == "prefix" else 0))


class Spans(NamedTuple):
    """A text as a task: spans stand as one sentinel each, and are to be written.

    Attributes:
        inputs: the text with sentinels, and an end token.
        targets: each sentinel and its span, and an end token.
    """

    inputs: list[int]
    targets: list[int]


def span_counts(
    n: int, *, share: float | int = 0.15, mean: float | int = 3.0
) -> tuple[int, int]:
    """How many tokens of n are taken out, and in how many spans.

    Raises:
        ValueError: fewer than two tokens, a share outside of (0, 1], a mean below one.

    Source: section 3.3.4, with the rounding of the released code.
    """
    check_number("n", n, 2, whole=True)
    check_number("share", share, high=1, above=0)
    check_number("mean", mean, 1)
    noise = min(max(round(n * share), 1), n - 1)
    return noise, min(max(round(noise / mean), 1), n - noise)


def corrupt(
    tokens: list[int],
    *,
    vocab: int,
    share: float | int = 0.15,
    mean: float | int = 3.0,
    generator: torch.Generator | None = None,
) -> Spans:
    """Take spans out of a text.

    Kept and taken spans alternate, a kept one first, each at least one token long; the
    first sentinel is the last token of the vocabulary, the second the one before it.

    Args:
        tokens: at least two, none of them a sentinel.
        vocab: number of tokens.
        share: of the tokens that are taken out, rounded.
        mean: mean length of a span.
        generator: where the randomness comes from.

    Raises:
        ValueError: a text of one token, a share outside of (0, 1], a mean below one, or
            a token that is needed as a sentinel.

    Source: section 3.1.4, Figure 2, and the released code.
    """
    if len(tokens) < 2:
        raise ValueError(f"corrupt expected at least two tokens, got {len(tokens)}.")
    noise, count = span_counts(len(tokens), share=share, mean=mean)
    check_integers("tokens", torch.tensor(tokens), 0, vocab - count - 1)
    kept = _pieces(len(tokens) - noise, count, generator)
    taken = _pieces(noise, count, generator)
    inputs, targets, place = [], [], 0
    for i, (keep, take) in enumerate(zip(kept, taken, strict=True)):
        sentinel = vocab - 1 - i
        inputs += [*tokens[place : place + keep], sentinel]
        place += keep
        targets += [sentinel, *tokens[place : place + take]]
        place += take
    return Spans([*inputs, END], [*targets, END])


def _pieces(n: int, count: int, generator) -> list[int]:
    """Cut n into `count` random lengths of at least one each."""
    cuts = torch.randperm(n - 1, generator=generator)[: count - 1] + 1
    ends = [0, *sorted(cuts.tolist()), n]
    return [b - a for a, b in zip(ends, ends[1:], strict=False)]


def restore(inputs: list[int], targets: list[int], *, vocab: int) -> list[int]:
    """The text that `corrupt` was given: each span back in its sentinel's place.

    The token below the last sentinel in use must not be a word of the text: after the
    last span it would read as one sentinel more.
    """
    spans: dict[int, list[int]] = {}
    for token in targets[:-1]:
        sentinel = vocab - len(spans)  # that of the span which is being read
        if token == sentinel - 1:
            spans[token] = []
        elif spans:
            spans[sentinel].append(token)
    text = [spans.get(token, [token]) for token in inputs[:-1]]
    return [token for part in text for token in part]


class T5Block(nn.Module):
    """Attention, in the decoder cross-attention, and an mlp, each normed before."""

    def __init__(self, config: T5Config, *, decoder: bool):
        super().__init__()
        width, how = config.width, {"head_width": config.head_width, "bias": False}
        # no 1 / sqrt(d_kv): the start of the queries has it
        how |= {"scale": 1.0, "dropout": config.dropout}
        self.norm1 = nn.RMSNorm(width, config.epsilon)
        self.attention = MultiHeadAttention(width, config.heads, **how)
        self.cross = None
        if decoder:
            self.norm_cross = nn.RMSNorm(width, config.epsilon)
            how["memory_width"] = width
            self.cross = MultiHeadAttention(width, config.heads, **how)
        self.norm2 = nn.RMSNorm(width, config.epsilon)
        self.fc1 = nn.Linear(width, config.inner, bias=False)
        self.fc2 = nn.Linear(config.inner, width, bias=False)
        self.drop = nn.Dropout(config.dropout)

    def forward(self, x, mask, relative, *, memory=None, memory_mask=None, cache=None):
        """One block; it is a decoder's where there is a memory."""
        past, kept = (None, None) if cache is None else cache
        how = {"relative": relative, "causal": memory is not None, "cache": past}
        x = x + self.drop(self.attention(self.norm1(x), mask, **how))
        if self.cross is not None:
            # no relative terms here: places of two texts have no distance
            y = self.norm_cross(x)
            y = self.cross(y, memory_mask, memory=memory, cache=kept)
            x = x + self.drop(y)
        y = self.drop(F.relu(self.fc1(self.norm2(x))))
        return x + self.drop(self.fc2(y))


class Stack(nn.Module):
    """The encoder or the decoder: blocks that share one table of relative terms."""

    def __init__(self, config: T5Config, *, decoder: bool):
        super().__init__()
        sizes = {"buckets": config.buckets, "farthest": config.farthest}
        self.relative = RelativeBias(config.heads, **sizes, both_sides=not decoder)
        self.blocks = nn.ModuleList(
            T5Block(config, decoder=decoder) for _ in range(config.depth)
        )
        self.norm = nn.RMSNorm(config.width, config.epsilon)
        self.drop = nn.Dropout(config.dropout)

    def forward(self, x, mask=None, *, cache=None, **memory):
        """Vectors of tokens in, vectors out; `memory` as in `T5Block`."""
        caches = [None] * len(self.blocks) if cache is None else cache
        earlier = 0 if cache is None else len(cache[0][0])
        relative, x = self.relative(x.shape[1], earlier + x.shape[1]), self.drop(x)
        for block, kept in zip(self.blocks, caches, strict=True):
            x = block(x, mask, relative, cache=kept, **memory)
        return self.drop(self.norm(x))


class T5(Model):
    """An encoder reads a text, a decoder writes another one.

    Example:
        >>> model = T5.from_preset("tiny").eval()
        >>> batch = T5.example_batch(model.config, 3)
        >>> model(batch["tokens"], batch["mask"], batch["target"]).shape
        torch.Size([3, 6, 60])
    """

    PRESETS = {
        "tiny": T5Config(vocab=60, width=32, inner=64, depth=2, heads=4, head_width=8),
        "small": T5Config(width=512, inner=2048, depth=6, heads=8),
        "base": T5Config(),
        "large": T5Config(width=1024, inner=4096, depth=24, heads=16),
        "3B": T5Config(width=1024, inner=16_384, depth=24, heads=32, head_width=128),
        "11B": T5Config(width=1024, inner=65_536, depth=24, heads=128, head_width=128),
    }
    # rounded as printed; of Large and 3B the docstring speaks
    PAPER_PARAMS = {"small": 60_000_000}
    LEARNED = {"main": 0.7}

    def __init__(self, config: T5Config):
        super().__init__(config)
        self.tokens = nn.Embedding(config.vocab, config.width)
        self.encoder = Stack(config, decoder=False)
        self.decoder = Stack(config, decoder=True)
        for stack in (self.encoder, self.decoder):
            nn.init.normal_(stack.relative.table.weight, std=config.width**-0.5)
            for block in stack.blocks:
                self._start(block)

    def _start(self, block: T5Block) -> None:
        """The released code's deviations; see **Start**."""
        config = self.config
        inner = config.heads * config.head_width
        stds = [(config.width * config.head_width) ** -0.5]
        stds += [config.width**-0.5, config.width**-0.5, inner**-0.5]
        layers = [block.attention] + ([block.cross] if block.cross is not None else [])
        for layer in layers:
            for weight, std in zip(layer.projections(), stds, strict=True):
                nn.init.normal_(weight, std=std)
        nn.init.normal_(block.fc1.weight, std=config.width**-0.5)
        nn.init.normal_(block.fc2.weight, std=config.inner**-0.5)

    def encode_text(
        self, tokens: Int[Tensor, "b t"], mask: Bool[Tensor, "b t"]
    ) -> Float[Tensor, "b t d"]:
        """What the decoder looks at: a vector for each real token, zeros elsewhere.

        Raises:
            ValueError: ids outside of the vocabulary, padding that is not at the end.
        """
        check_integers("tokens", tokens, 0, self.config.vocab - 1)
        check_mask(mask, shape=tokens.shape)
        return self.encoder(self.tokens(tokens), mask) * mask[..., None]

    def guess(self, x: Float[Tensor, "b u d"]) -> Float[Tensor, "b u k"]:
        """Logits: the table of the tokens once more; d^-0.5 since its spread is one."""
        return x * self.config.width**-0.5 @ self.tokens.weight.T

    def forward(
        self,
        tokens: Int[Tensor, "b t"],
        mask: Bool[Tensor, "b t"],
        target: Int[Tensor, "b u"],
    ) -> Float[Tensor, "b u k"]:
        """Logits of each token of the target, from the inputs and those before it.

        Raises:
            ValueError: as `encode_text`; an unknown token in the target, a target of
                another shape.
        """
        check_integers("target", target, 0, self.config.vocab - 1)
        if target.ndim != 2 or len(target) != len(tokens) or not target.shape[1]:
            raise ValueError(
                f"target expected shape ({len(tokens)}, u) with u of at least 1, got "
                f"{tuple(target.shape)}."
            )
        memory = {"memory": self.encode_text(tokens, mask), "memory_mask": mask}
        # the decoder reads what has been written so far, and padding at first
        read = F.pad(target[:, :-1], (1, 0), value=PAD)
        return self.guess(self.decoder(self.tokens(read), **memory))

    def loss(self, batch: dict, *, phase="main", generator=None) -> dict[str, Tensor]:
        """Cross-entropy of the target's real tokens, in nats.

        Args:
            batch: `tokens`, `mask`, `target (b, u)`, `target_mask`.

        Raises:
            ValueError: as the forward pass, or a target without a real token.
        """
        check_some("target_mask", batch["target_mask"])
        with seeded(generator):
            logits = self(batch["tokens"], batch["mask"], batch["target"])
        each = F.cross_entropy(logits.mT, batch["target"], reduction="none")
        real = batch["target_mask"]
        return {"loss": (each * real).sum() / real.sum()}

    @torch.no_grad()
    def generate(
        self,
        tokens: Int[Tensor, "b t"],
        mask: Bool[Tensor, "b t"],
        *,
        max_length: int = 20,
        beams: int | None = None,
        **search,
    ) -> Int[Tensor, "b u"]:
        """Write a text; rows that have ended are filled with end tokens.

        Args:
            tokens: the inputs.
            mask: True on their real tokens.
            max_length: most tokens, the end token among them.
            beams: of the search; None: greedy.
            search: more options of `mmdl_lib.nn.decode.beam_search`, or of `greedy`.
        """
        memory = self.encode_text(tokens, mask)
        start = torch.full_like(tokens[:, 0], PAD)
        caches = [(Cache(), Cache()) for _ in self.decoder.blocks]
        given = {"end": END, "max_length": max_length}
        state = caches, memory, mask
        if beams is None:
            return decode.greedy(self._step, start, state, **given, **search).tokens
        options = given | {"beams": beams} | search
        return decode.beam_search(self._step, start, state, **options).tokens[:, 0]

    def _step(self, token: Int[Tensor, " b"], state: Any):
        """Read one token of each row, and say what may come next."""
        caches, memory, mask = state
        known = {"memory": memory, "memory_mask": mask, "cache": caches}
        x = self.decoder(self.tokens(token[:, None]), **known)
        return self.guess(x)[:, 0], state

    @classmethod
    def example_batch(cls, config: T5Config, n: int, *, generator=None) -> dict:
        """Random inputs of 12 tokens at most and targets of six."""
        length = torch.randint(6, 13, (n, 1), generator=generator)
        out = torch.randint(3, 7, (n, 1), generator=generator)
        mask, target_mask = torch.arange(12) < length, torch.arange(6) < out
        tokens = torch.randint(2, config.vocab, (n, 12), generator=generator)
        target = torch.randint(2, config.vocab, (n, 6), generator=generator)
        target = torch.where(torch.arange(6) == out - 1, END, target)
        return {
            "tokens": torch.where(mask, tokens, PAD),
            "mask": mask,
            "target": torch.where(target_mask, target, PAD),
            "target_mask": target_mask,
        }
