"""Attention: the decoder looks at every state of the encoder, each time anew.

**Paper** Bahdanau, Cho, Bengio, "Neural Machine Translation by Jointly Learning to
Align and Translate", ICLR 2015, arXiv 1409.0473 (score "additive"); Luong, Pham,
Manning, "Effective Approaches to Attention-based Neural Machine Translation", EMNLP
2015, arXiv 1508.04025 (scores "dot" and "general").

**Book** `sec-seq2seq`

**Symbols**
- `memory.values (b, n, d)` = h_j, the encoder's state at each source token
- `state (b, d)` = s_i of the decoder; Luong et al. write h_t, and h-bar for the source
- `scores (b, n)` = e_ij, `weights (b, n)` = alpha_ij = softmax of them over j
- `context (b, d)` = c_i = sum_j alpha_ij h_j
- `looked` = Luong's h-tilde, from context and state

**Start**
- As in `seq2seq`; v of the additive score uniform within 1 / sqrt(d), the paper's zero.

**Differs from the paper**
- Both papers' decoders read the same encoder here. With `encoder="both"`, each of two
  directions has half the width in small presets; Luong et al. read forward only, in
  four layers.
- The reset gate acts as in torch (see `seq2seq`). One tanh layer in place of maxout.
- Luong's decoder is one layer of GRU here, four of LSTM there. No local attention.

**Builds on** `seq2seq`
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mmdl_lib.core import Config, Model
from mmdl_lib.models.seq2seq import (
    GRU,
    Translator,
    backwards,
    check_source,
    check_tokens,
)


@dataclass(frozen=True, kw_only=True)
class BahdanauConfig(Config):
    """Hyperparameters; the defaults are RNNsearch, the model of Bahdanau et al."""

    vocab_source: int = 30_000
    vocab: int = 30_000
    width: int = 1000
    half: int = 1000  # width of one direction of the encoder
    embed: int = 620
    score: Literal["additive", "dot", "general"] = "additive"
    encoder: Literal["both", "forward"] = "both"

    @property
    def memory(self) -> int:
        """Width of an encoder's state."""
        return self.half * (2 if self.encoder == "both" else 1)


class Memory(NamedTuple):
    """What the decoder may look at.

    Attributes:
        values: states of the encoder.
        keys: what the scores compare the decoder's state with, computed once.
        mask: True = real.
    """

    values: Float[Tensor, "b n d"]
    keys: Float[Tensor, "b n k"]
    mask: Bool[Tensor, "b n"]


class Additive(nn.Module):
    """Bahdanau: e_ij = v . tanh(W s_{i-1} + U h_j)."""

    def __init__(self, width: int, memory: int):
        super().__init__()
        self.query = nn.Linear(width, width, bias=False)  # W
        self.key = nn.Linear(memory, width)  # U; one bias is enough
        self.v = nn.Linear(width, 1, bias=False)

    def forward(self, state: Float[Tensor, "b d"], keys: Float[Tensor, "b n k"]):
        """Scores (b, n)."""
        return self.v((self.query(state)[:, None] + keys).tanh())[..., 0]


class Dot(nn.Module):
    """Luong: s_i . h_j, without a parameter and without a scale."""

    def __init__(self, width: int, memory: int):
        super().__init__()
        if width != memory:
            raise ValueError(
                f"the dot score expected states of one width, got {width} of the "
                f"decoder and {memory} of the encoder."
            )
        self.key = nn.Identity()

    def forward(self, state: Float[Tensor, "b d"], keys: Float[Tensor, "b n d"]):
        """Scores (b, n)."""
        return (keys @ state[..., None])[..., 0]


class General(Dot):
    """Luong: s_i . W h_j, so the widths may differ."""

    def __init__(self, width: int, memory: int):
        nn.Module.__init__(self)
        self.key = nn.Linear(memory, width, bias=False)


SCORES = {"additive": Additive, "dot": Dot, "general": General}


def attend(
    scores: Float[Tensor, "b n"], memory: Memory
) -> tuple[Float[Tensor, "b d"], Float[Tensor, "b n"]]:
    """Context and weights; padding gets the weight zero, a row of padding too."""
    # not -inf: a row of padding alone would give NaN
    lowest = torch.finfo(scores.dtype).min
    weights = scores.masked_fill(~memory.mask, lowest).softmax(-1) * memory.mask
    return (weights[:, None] @ memory.values)[:, 0], weights


def _tiny(**changes) -> BahdanauConfig:
    sizes = {"vocab_source": 50, "vocab": 50, "width": 32, "half": 16, "embed": 32}
    return BahdanauConfig(**sizes | changes)


class Bahdanau(Translator, Model):
    """An encoder, attention, and a decoder that asks before or after its own step.

    Example:
        >>> model = Bahdanau.from_preset("tiny")
        >>> batch = Bahdanau.example_batch(model.config, 2)
        >>> pair = batch["tokens"], batch["source"], batch["source_mask"]
        >>> model.attention(*pair).shape
        torch.Size([2, 7, 6])
    """

    PRESETS = {
        "tiny": _tiny(),
        "tiny-dot": _tiny(score="dot"),
        "tiny-general": _tiny(score="general"),
        "tiny-forward": _tiny(score="dot", half=32, encoder="forward"),
        "RNNsearch": BahdanauConfig(),
        "Luong": BahdanauConfig(
            vocab_source=50_000,
            vocab=50_000,
            embed=1000,
            score="general",
            encoder="forward",
        ),
    }
    LEARNED = {"main": 0.9}

    def __init__(self, config: BahdanauConfig):
        super().__init__(config)
        c = config
        self.source_embedding = nn.Embedding(c.vocab_source, c.embed)
        self.embedding = nn.Embedding(c.vocab, c.embed)
        self.ahead = GRU(c.embed, c.half)
        if c.encoder == "both":
            self.back = GRU(c.embed, c.half)
        self.score = SCORES[c.score](c.width, c.memory)
        self.bridge = nn.Linear(c.half, c.width)
        if c.score == "additive":
            self.decoder = GRU(c.embed + c.memory, c.width)
            self.readout = nn.Linear(c.width + c.embed + c.memory, c.width)
        else:
            # input feeding: the decoder reads what it last looked at
            self.decoder = GRU(c.embed + c.width, c.width)
            self.readout = nn.Linear(c.width + c.memory, c.width)
        self.out = nn.Linear(c.width, c.vocab)

    def memory(self, source: Tensor, source_mask: Tensor) -> Memory:
        """States of the encoder, in the source's order.

        Raises:
            ValueError: as `check_source`.
        """
        check_source(source, source_mask, self.config.vocab_source)
        x = self.source_embedding(source)
        values = self.ahead(x, None, source_mask)[0]
        if self.config.encoder == "both":
            # from the last real token to the first, then in the source's order again
            back = self.back(backwards(x, source_mask), None, source_mask)[0]
            values = torch.cat([values, backwards(back, source_mask)], -1)
        return Memory(values, self.score.key(values), source_mask)

    def first(self, memory: Memory) -> tuple:
        """States before the first token; Luong's has not looked at anything yet."""
        if self.config.encoder == "both":  # the backward half at the first token
            last = memory.values[:, 0, self.config.half :]
        else:
            last = memory.values[:, -1]  # behind the end a state does not change
        state = self.bridge(last).tanh()
        return (state,) if self.config.score == "additive" else (state, 0 * state)

    def before(self, y: Float[Tensor, "b e"], state: tuple, memory: Memory):
        """Bahdanau: ask with s_{i-1}; the context enters the step."""
        (s,) = state
        # e_ij = a(s_{i-1}, h_j); alpha = softmax; c_i = sum_j alpha_ij h_j
        context, weights = attend(self.score(s, memory.keys), memory)
        # s_i = f(s_{i-1}, y_{i-1}, c_i)
        s = self.decoder.step(self.decoder.inputs(torch.cat([y, context], -1)), s)
        looked = self.readout(torch.cat([s, y, context], -1)).tanh()
        return looked, weights, (s,)

    def after(self, y: Float[Tensor, "b e"], state: tuple, memory: Memory):
        """Luong: take the step, ask with s_i, and feed the answer to the next step."""
        s, looked = state
        s = self.decoder.step(self.decoder.inputs(torch.cat([y, looked], -1)), s)
        context, weights = attend(self.score(s, memory.keys), memory)
        # h-tilde = tanh(W_c [c; s])
        looked = self.readout(torch.cat([context, s], -1)).tanh()
        return looked, weights, (s, looked)

    def read(self, tokens: Int[Tensor, "b t"], state: tuple, memory: Memory):
        """Logits after each token, and the state after the last."""
        looked, _, state = self._walk(tokens, state, memory)
        return self.out(looked), state

    def attention(
        self,
        tokens: Int[Tensor, "b t"],
        source: Int[Tensor, "b n"],
        source_mask: Bool[Tensor, "b n"],
    ) -> Float[Tensor, "b t n"]:
        """Weights with which the token after each position was chosen.

        Row i belongs to the token at position i + 1; each row sums to one.

        Raises:
            ValueError: as `check_tokens` and `check_source`.
        """
        check_tokens(tokens, self.config.vocab, source=source)
        memory = self.memory(source, source_mask)
        return self._walk(tokens, self.first(memory), memory)[1]

    def _walk(self, tokens: Tensor, state: tuple, memory: Memory):
        """What the readout says and where it looked, for each token."""
        step = self.before if self.config.score == "additive" else self.after
        found = []
        for y in self.embedding(tokens).unbind(1):
            looked, weights, state = step(y, state, memory)
            found.append((looked, weights))
        looked, weights = (torch.stack(parts, 1) for parts in zip(*found, strict=True))
        return looked, weights, state

    def encode_source(
        self, source: Int[Tensor, "b n"], source_mask: Bool[Tensor, "b n"]
    ) -> Float[Tensor, "b n d"]:
        """States of the encoder, zero at padding.

        Raises:
            ValueError: as `check_source`.
        """
        memory = self.memory(source, source_mask)
        return memory.values * source_mask[..., None]
