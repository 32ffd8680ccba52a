"""Encoder and decoder: a sentence becomes one vector, the vector another sentence.

**Paper** Cho, van Merrienboer, Gulcehre, Bahdanau, Bougares, Schwenk, Bengio, "Learning
Phrase Representations using RNN Encoder-Decoder for Statistical Machine Translation",
EMNLP 2014, arXiv 1406.1078 (context "always"); Sutskever, Vinyals, Le, "Sequence to
Sequence Learning with Neural Networks", NIPS 2014, arXiv 1409.3215 (context "start").

**Book** `sec-seq2seq`

**Symbols**
- `source (b, n)` = x, `tokens (b, t)` = y, framed by a start and an end token
- `encode_source(source, source_mask)` = c, the summary: state after the last real token
- `state (b, d)` = h_t of the decoder (of the LSTM: h_t and its cell)
- `reset` = r, `update` = z, the gates of Cho's unit (the GRU)

**Start**
- All weights of the recurrent layers uniform within 1 / sqrt(width), as in torch; the
  papers draw otherwise (Gaussian; uniform within 0.08). Embeddings: normal.

**Differs from the paper**
- `cell="gru"` applies the reset gate after the recurrent product, as torch's `nn.GRU`
  does; `cell="cho"` before it, as Cho et al. write.
- Between state and softmax stands one tanh layer, in place of Cho's maxout units.
- The loss is a mean over words, not over sentences. No ensemble, no buckets by length.

**Builds on** nothing.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mmdl_lib.borders import check_integers, check_mask, check_same_length, check_some
from mmdl_lib.core import Config, Model
from mmdl_lib.nn import decode

START, END = 1, 2  # of the tokens; padding is told by masks


@dataclass(frozen=True, kw_only=True)
class Seq2SeqConfig(Config):
    """Hyperparameters; the defaults are those of Sutskever et al."""

    vocab_source: int = 160_000
    vocab: int = 80_000
    width: int = 1000
    embed: int = 1000
    depth: int = 4
    cell: Literal["gru", "cho", "lstm"] = "lstm"
    context: Literal["always", "start"] = "start"  # when the decoder gets the summary
    order: Literal["forward", "reversed"] = "reversed"  # of the source


class GRU(nn.Module):
    """A layer of Cho's units over time; weights are named and shaped as in `nn.GRU`."""

    gates = 3

    def __init__(self, inputs: int, width: int):
        super().__init__()
        bound = width**-0.5
        sizes = {"weight_ih": (inputs,), "weight_hh": (width,)}
        sizes |= {"bias_ih": (), "bias_hh": ()}
        for name, size in sizes.items():
            values = torch.empty(self.gates * width, *size).uniform_(-bound, bound)
            self.register_parameter(name, nn.Parameter(values))

    def begin(self, x: Float[Tensor, "b t e"]) -> Float[Tensor, "b d"]:
        """The state before anything is read."""
        return x.new_zeros(len(x), self.weight_hh.shape[1])

    def inputs(self, x: Float[Tensor, "... e"]) -> Float[Tensor, "... gates"]:
        """What the input says to each gate: for all times in one product."""
        return F.linear(x, self.weight_ih, self.bias_ih)

    def step(self, inputs: Float[Tensor, "b gates"], h: Float[Tensor, "b d"]):
        """The next state."""
        said = F.linear(h, self.weight_hh, self.bias_hh)
        (r, z, new), (past_r, past_z, past) = inputs.chunk(3, -1), said.chunk(3, -1)
        reset, update = (r + past_r).sigmoid(), (z + past_z).sigmoid()
        candidate = (new + reset * past).tanh()
        # h_t = z h_{t-1} + (1 - z) candidate: a closed gate copies the past
        return update * h + (1 - update) * candidate

    def forward(self, x: Float[Tensor, "b t e"], state=None, mask=None):
        """All states (b, t, d) and the last one; where the mask is False, none changes.

        Args:
            x: inputs over time.
            state: where to begin; None: zeros.
            mask: (b, t), True = real.
        """
        state, found = self.begin(x) if state is None else state, []
        times = self.inputs(x).unbind(1)
        reals = [None] * len(times) if mask is None else mask[..., None].unbind(1)
        for inputs, real in zip(times, reals, strict=True):
            new = self.step(inputs, state)
            state = new if real is None else keep(real, new, state)
            found.append(state if isinstance(state, Tensor) else state[0])
        return torch.stack(found, 1), state


class ChoGRU(GRU):
    """The unit as it was published: what is reset is what enters the product."""

    def step(self, inputs, h):
        """The next state."""
        width = h.shape[-1]
        gates, new = self.weight_hh[: 2 * width], self.weight_hh[2 * width :]
        said = F.linear(h, gates, self.bias_hh[: 2 * width])
        (reset, update) = (inputs[:, : 2 * width] + said).sigmoid().chunk(2, -1)
        past = F.linear(reset * h, new, self.bias_hh[2 * width :])
        candidate = (inputs[:, 2 * width :] + past).tanh()
        return update * h + (1 - update) * candidate


class LSTM(GRU):
    """Long short-term memory; the state is a pair: what is shown, and the cell."""

    gates = 4

    def begin(self, x):
        """Both are zero before anything is read."""
        return super().begin(x), super().begin(x)

    def step(self, inputs, state):
        """The next pair."""
        h, cell = state
        said = inputs + F.linear(h, self.weight_hh, self.bias_hh)
        enter, forget, new, show = said.chunk(4, -1)
        cell = forget.sigmoid() * cell + enter.sigmoid() * new.tanh()
        return show.sigmoid() * cell.tanh(), cell


CELLS = {"gru": GRU, "cho": ChoGRU, "lstm": LSTM}


def keep(real: Bool[Tensor, "b 1"], new, old):
    """The new state where there was a token, else the old one."""
    if isinstance(new, Tensor):
        return torch.where(real, new, old)
    return tuple(torch.where(real, n, o) for n, o in zip(new, old, strict=True))


def backwards(
    x: Float[Tensor, "b n ..."] | Int[Tensor, "b n"], mask: Bool[Tensor, "b n"]
):
    """Each row in the other order; its padding stays behind."""
    place = torch.arange(mask.shape[1], device=mask.device)
    place = (mask.sum(1, keepdim=True) - 1 - place).where(mask, place)
    if x.ndim == 3:
        return x.gather(1, place[..., None].expand_as(x))
    return x.gather(1, place)


class Stack(nn.Module):
    """Recurrent layers, each over the states of the one below."""

    def __init__(self, cell: str, inputs: int, width: int, depth: int):
        super().__init__()
        sizes = [inputs] + [width] * (depth - 1)
        self.layers = nn.ModuleList(CELLS[cell](size, width) for size in sizes)

    def forward(self, x: Tensor, states=None, mask=None):
        """States of the last layer over time, and the last state of each layer."""
        last = []
        states = [None] * len(self.layers) if states is None else states
        for layer, state in zip(self.layers, states, strict=True):
            x, state = layer(x, state, mask)
            last.append(state)
        return x, tuple(last)


class Summary(NamedTuple):
    """What the decoder knows of the source: its first states, and c if it is kept."""

    states: tuple
    vector: Float[Tensor, "b d"] | None


def word_loss(
    logits: Float[Tensor, "b t k"],
    tokens: Int[Tensor, "b t"],
    mask: Bool[Tensor, "b t"],
) -> Float[Tensor, ""]:
    """Mean -log p of each real token given those before it, in nats; start is given."""
    # the last position has nothing to predict; to cut it off would copy all logits
    target, real = F.pad(tokens[:, 1:], (0, 1)), F.pad(mask[:, 1:], (0, 1))
    check_some("mask behind the start", real)
    nats = F.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="none")
    # not nats * real: NaN at padding would stay
    return nats.where(real.flatten(), 0.0).sum() / real.sum()


def example_pairs(config, n: int, generator=None) -> dict[str, Tensor]:
    """Random sentences of 3 to 6 and 4 to 7 tokens, padded, with their masks."""

    def some(vocab: int, length: int) -> tuple[Tensor, Tensor]:
        tokens = torch.randint(3, vocab, (n, length), generator=generator)
        size = torch.randint(length - 3, length + 1, (n, 1), generator=generator)
        mask = torch.arange(length) < size
        tokens[:, 0] = START
        tokens.scatter_(1, size - 1, END)
        return tokens * mask, mask

    source, source_mask = some(config.vocab_source, 6)
    tokens, mask = some(config.vocab, 7)
    batch = {"source": source, "source_mask": source_mask}
    return batch | {"tokens": tokens, "mask": mask}


class Translator:
    """What all models of the chapter share: training, and decoding step by step.

    A subclass gives `memory(source, source_mask)`, all that the decoder may know of the
    source, `first(memory)`, its state before the first token, and `read(tokens, state,
    memory)`: tokens (b, t) in, logits (b, t, k) and the next state out.
    """

    def logits(
        self,
        tokens: Int[Tensor, "b t"],
        source: Int[Tensor, "b n"],
        source_mask: Bool[Tensor, "b n"],
    ) -> Float[Tensor, "b t k"]:
        """Scores of the token after each position, all earlier ones given.

        Raises:
            ValueError: as `check_tokens` and `check_source`.
        """
        check_tokens(tokens, self.config.vocab, source=source)
        memory = self.memory(source, source_mask)
        return self.read(tokens, self.first(memory), memory)[0]

    def loss(self, batch: dict, *, phase="main", generator=None) -> dict[str, Tensor]:
        """Nats per token of `tokens`, given `source`; both with their masks."""
        check_mask(batch["mask"], shape=batch["tokens"].shape)
        logits = self.logits(batch["tokens"], batch["source"], batch["source_mask"])
        return {"loss": word_loss(logits, batch["tokens"], batch["mask"])}

    @torch.no_grad()
    def search(self, source, source_mask, method=decode.greedy, **options):
        """Decode with a function of `mmdl_lib.nn.decode`, which takes the options."""
        memory = self.memory(source, source_mask)

        def step(tokens, known):
            logits, state = self.read(tokens[:, None], known[0], known[1])
            return logits[:, 0], (state, known[1])

        start = torch.full_like(source[:, 0], START)
        state = (self.first(memory), memory)
        return method(step, start, state, end=END, **options)

    def generate(
        self, source, source_mask, *, beams: int | None = None, max_length: int = 40
    ) -> Int[Tensor, "b t"]:
        """The likeliest translation found, without its start; greedy without beams."""
        options = {"max_length": max_length}
        if beams is None:
            return self.search(source, source_mask, **options).tokens
        found = self.search(
            source, source_mask, decode.beam_search, beams=beams, **options
        )
        return found.tokens[:, 0]

    @classmethod
    def example_batch(cls, config, n: int, *, generator=None) -> dict[str, Tensor]:
        """Random sentences."""
        return example_pairs(config, n, generator)


def check_source(source: Tensor, mask: Tensor, vocab: int) -> None:
    """Check sentences to be translated.

    Raises:
        ValueError: no token, an unknown one, a mask that is not bool or of another
            shape, padding in front of a token, or nothing but padding.
    """
    check_integers("source", source, 0, vocab - 1)
    check_mask(mask, name="source_mask", shape=source.shape)


def check_tokens(tokens: Tensor, vocab: int, *, source: Tensor | None = None) -> None:
    """Check the beginnings of translations, and that there is one for each source.

    Raises:
        ValueError: no token, an unknown one, or another number of rows.
    """
    if source is not None:
        check_same_length(tokens=tokens, source=source)
    check_integers("tokens", tokens, 0, vocab - 1)
    if tokens.ndim != 2 or not tokens.shape[1]:
        raise ValueError(
            "tokens expected shape (b, t) with t of at least 1, got "
            f"{tuple(tokens.shape)}."
        )


def _tiny(**changes) -> Seq2SeqConfig:
    sizes = {"vocab_source": 50, "vocab": 50, "width": 32, "embed": 32, "depth": 1}
    return Seq2SeqConfig(**{**sizes, "cell": "gru", "context": "always", **changes})


class Seq2Seq(Translator, Model):
    """An encoder, one summary of fixed size, a decoder.

    Example:
        >>> model = Seq2Seq.from_preset("tiny")
        >>> batch = Seq2Seq.example_batch(model.config, 2)
        >>> model.encode_source(batch["source"], batch["source_mask"]).shape
        torch.Size([2, 32])
    """

    PRESETS = {
        "tiny": _tiny(order="forward"),
        "tiny-cho": _tiny(cell="cho", order="forward", depth=2),
        "tiny-lstm": _tiny(cell="lstm", context="start", depth=2),
        "cho": Seq2SeqConfig(
            vocab_source=15_000,
            vocab=15_000,
            embed=100,
            depth=1,
            cell="cho",
            context="always",
            order="forward",
        ),
        "sutskever": Seq2SeqConfig(),
    }
    PAPER_PARAMS = {"sutskever": 384_000_000}
    LEARNED = {"main": 0.9}

    def __init__(self, config: Seq2SeqConfig):
        super().__init__(config)
        c, always = config, config.context == "always"
        self.source_embedding = nn.Embedding(c.vocab_source, c.embed)
        self.embedding = nn.Embedding(c.vocab, c.embed)
        self.encoder = Stack(c.cell, c.embed, c.width, c.depth)
        inputs = c.embed + c.width * always
        self.decoder = Stack(c.cell, inputs, c.width, c.depth)
        if always:
            self.bridge = nn.Linear(c.width, c.width)
            self.readout = nn.Linear(c.width + inputs, c.width)
        self.out = nn.Linear(c.width, c.vocab)

    def memory(self, source: Tensor, source_mask: Tensor) -> Summary:
        """The encoder's last states, and the summary where it is given at all times.

        Raises:
            ValueError: as `check_source`.
        """
        check_source(source, source_mask, self.config.vocab_source)
        if self.config.order == "reversed":
            source = backwards(source, source_mask)
        states = self.encoder(self.source_embedding(source), None, source_mask)[1]
        if self.config.context == "start":
            return Summary(states, None)
        shown = states[-1] if isinstance(states[-1], Tensor) else states[-1][0]
        return Summary(states, shown)

    def first(self, memory: Summary) -> tuple:
        """States before the first token: the encoder's last, or a layer upon them."""
        if memory.vector is None:
            return memory.states
        begin = self.bridge(memory.vector).tanh()
        pair = (begin, torch.zeros_like(begin))
        return (begin if self.config.cell != "lstm" else pair,) * self.config.depth

    def read(self, tokens: Int[Tensor, "b t"], state: tuple, memory: Summary):
        """Logits after each token, and the state after the last."""
        y = self.embedding(tokens)
        if memory.vector is None:
            h, state = self.decoder(y, state)
            return self.out(h), state
        c = memory.vector[:, None].expand(-1, y.shape[1], -1)
        # h_t = f(h_{t-1}, y_{t-1}, c), and p(y_t) = g(h_t, y_{t-1}, c)
        h, state = self.decoder(torch.cat([y, c], -1), state)
        return self.out(self.readout(torch.cat([h, y, c], -1)).tanh()), state

    def encode_source(
        self, source: Int[Tensor, "b n"], source_mask: Bool[Tensor, "b n"]
    ) -> Float[Tensor, "b d"]:
        """All that the decoder learns of a source, layers and cells side by side.

        Raises:
            ValueError: as `check_source`.
        """
        states = self.memory(source, source_mask).states
        pairs = [[s] if isinstance(s, Tensor) else s for s in states]
        kept = torch.stack([part for pair in pairs for part in pair], 1)
        return rearrange(kept, "b parts d -> b (parts d)")
