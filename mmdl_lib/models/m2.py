"""M2: an encoder with a memory of its own, a decoder that reads all of its layers.

**Paper** Cornia, Stefanini, Baraldi, Cucchiara, "Meshed-Memory Transformer for Image
Captioning", CVPR 2020, arXiv 1912.08226.

**Book** `sec-m2`

**Symbols**
- `regions (b, n, f)`, features of n regions of a picture: a set; `region_mask (b, n)`
- `slots` = m; `memory_keys (m, d)` = M_k, `memory_values (m, d)` = M_v, per layer
- `levels (b, layers, n, d)` = X~_1 ... X~_N, outputs of all encoder layers, first first
- `tokens (b, t)` = the caption Y behind a start token
- `cross` = C, cross-attention; `gate` = alpha_i, one vector for each word and level

**Start**
- Linear layers: Xavier uniform (q, k and v each by itself), biases of zero, so that
  fresh gates stand around one half. Words: normal with variance one.
- Slots: keys with variance 1 / d_k (of a head), values with 1 / m, as in the released
  code, which draws smaller ones and multiplies in every call.

**Differs from the paper**
- `form="paper"` is AddNorm(sum of alpha_i C(X~_i, Y)). `form="released"` does what the
  released code does: residual and norm inside each C, the sum over sqrt(N), no norm
  behind it.
- Connections "one-to-one" (not in the released code) and "last" have no gates.
- Masks are arguments. The released code guesses them: padding is what sums to zero
  after a LayerNorm, which finds chance.
- Dropout also acts on attention weights, as in all blocks of `mmdl_lib.nn`.
- `loss` is cross-entropy; the second stage, with a reward, is that of `scst`.

**Builds on** `transformer` (blocks of `mmdl_lib.nn`), `show_attend_tell` (`Teller`).
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mmdl_lib.borders import check_flags, check_integers, check_number, check_some
from mmdl_lib.core import Config, Model, seeded
from mmdl_lib.models.captioner import check_regions
from mmdl_lib.models.show_attend_tell import Teller
from mmdl_lib.nn import Cache, MultiHeadAttention, PostNormBlock, sinusoidal
from mmdl_lib.nn.decode import beam_search, greedy

START, END = 1, 2  # of the tokens; padding is told by masks


@dataclass(frozen=True, kw_only=True)
class M2Config(Config):
    """Hyperparameters; the defaults are those of the paper on COCO."""

    vocab: int = 10_201
    region_width: int = 2048
    width: int = 512
    depth: int = 3  # N, of the encoder and of the decoder
    heads: int = 8
    hidden: int = 2048  # channels between the two layers of a feed-forward part
    slots: int = 40
    connection: Literal["meshed", "one-to-one", "last"] = "meshed"
    form: Literal["paper", "released"] = "paper"
    dropout: float = 0.1


class MemoryAttention(MultiHeadAttention):
    """Self-attention whose keys and values go on with `slots` learned ones."""

    def __init__(self, width: int, heads: int, *, slots: int, dropout: float = 0.0):
        super().__init__(width, heads, dropout=dropout)
        keys = torch.randn(slots, width) * (width / heads) ** -0.5
        values = torch.randn(slots, width) * max(slots, 1) ** -0.5
        # parameters of no rows would never learn
        self.memory_keys = nn.Parameter(keys) if slots else None
        self.memory_values = nn.Parameter(values) if slots else None

    def _inputs(self, x, mask, memory, causal, cache) -> tuple:
        q, k, v, allowed = super()._inputs(x, mask, memory, causal, cache)
        return q, *self.remember(k, v, allowed)

    def remember(self, k: Tensor, v: Tensor, allowed: Tensor | None) -> tuple:
        """Keys and values with the slots behind them; these are never hidden."""
        if self.memory_keys is None:
            return k, v, allowed
        # K = [W_k X, M_k], V = [W_v X, M_v]: the slots are not projected
        slots = (self.memory_keys, self.memory_values)
        more = [part.to(k.dtype).expand(len(k), -1, -1) for part in slots]
        more_k, more_v = (self._split(part, 1)[0] for part in more)
        if allowed is not None:
            allowed = F.pad(allowed, (0, more_k.shape[2]), value=True)
        return torch.cat([k, more_k], 2), torch.cat([v, more_v], 2), allowed


class MemoryBlock(PostNormBlock):
    """An encoder layer: AddNorm of memory-augmented attention, AddNorm of the mlp."""

    def __init__(self, config: M2Config):
        width, heads, drop = config.width, config.heads, config.dropout
        super().__init__(width, heads, activation=F.relu, dropout=drop)
        self.fc1 = nn.Linear(width, config.hidden)
        self.fc2 = nn.Linear(config.hidden, width)
        self.attention = MemoryAttention(width, heads, slots=config.slots, dropout=drop)


class LayerCache(NamedTuple):
    """What a decoder layer has read: earlier words, and levels."""

    past: Cache
    levels: list[Cache]


class MeshedBlock(PostNormBlock):
    """A decoder layer: earlier words, then encoder levels, one gate each, then the mlp.

    `levels` is how many encoder levels it reads; a single one has no gate.
    """

    def __init__(self, config: M2Config, levels: int):
        width, drop = config.width, config.dropout
        options = {"activation": F.relu, "memory_width": width, "dropout": drop}
        super().__init__(width, config.heads, **options)
        self.fc1 = nn.Linear(width, config.hidden)
        self.fc2 = nn.Linear(config.hidden, width)
        self.form, self.levels = config.form, levels
        gated = levels if config.connection == "meshed" else 0
        self.gates = nn.ModuleList(nn.Linear(2 * width, width) for _ in range(gated))

    def gate(self, i: int, y: Tensor, c: Tensor) -> Float[Tensor, "b t d"]:
        """How much of level i enters, in (0, 1)."""
        # alpha_i = sigmoid(W_i [Y, C(X~_i, Y)] + b_i): elementwise, no softmax
        return self.gates[i](torch.cat([y, c], -1)).sigmoid()

    def look(self, i: int, y, levels, mask, cache=None) -> Float[Tensor, "b t d"]:
        """C(X~_i, Y); in the released form with residual and norm inside."""
        kept = None if cache is None else cache[i]
        c = self.cross(y, mask, memory=levels[:, i], cache=kept)
        return self.norm_cross(self.add(y, c)) if self.form == "released" else c

    def mesh(
        self,
        y: Float[Tensor, "b t d"],
        levels: Float[Tensor, "b l n d"],
        mask: Bool[Tensor, "b n"] | None,
        cache: list[Cache] | None = None,
    ) -> Float[Tensor, "b t d"]:
        """Cross-attention to all levels, with the same weights, and their gated sum."""
        # M_mesh(X~, Y) = sum_i alpha_i * C(X~_i, Y)
        total = 0
        for i in range(levels.shape[1]):
            c = self.look(i, y, levels, mask, cache)
            total = total + (self.gate(i, y, c) * c if self.gates else c)
        if self.form == "released":
            return total / levels.shape[1] ** 0.5
        return self.norm_cross(self.add(y, total))

    def heard(self, y, mask, past=None) -> Float[Tensor, "b t d"]:
        """AddNorm of attention to earlier words."""
        said = self.attention(y, mask, causal=True, cache=past)
        return self.norm1(self.add(y, said))

    def forward(
        self,
        y: Float[Tensor, "b t d"],
        mask: Bool[Tensor, "b t"] | None,
        levels: Float[Tensor, "b l n d"],
        region_mask: Bool[Tensor, "b n"] | None,
        cache: LayerCache | None = None,
    ) -> Float[Tensor, "b t d"]:
        """The next vectors of the words."""
        past, kept = (None, None) if cache is None else cache
        z = self.mesh(self.heard(y, mask, past), levels, region_mask, kept)
        return self.norm2(self.add(z, self.mlp(z)))


class Levels(NamedTuple):
    """What the decoder may read; `mask` is True for a real region."""

    values: Float[Tensor, "b layers n d"]
    mask: Bool[Tensor, "b n"]


class Looks(NamedTuple):
    """Where a model looks while it says a caption; `l` runs over encoder levels.

    `encoder` is from region to region, then to the slots; `cross` from word to region,
    for each decoder layer and the levels it reads; `gate` is 1 where there is none.
    """

    encoder: Float[Tensor, "b layers heads n m"]
    cross: Float[Tensor, "b layers l heads t n"]
    gate: Float[Tensor, "b layers l t d"]


def _tiny(**changes) -> M2Config:
    sizes = {"vocab": 50, "region_width": 12, "width": 32, "hidden": 64, "slots": 4}
    return M2Config(**{**sizes, "depth": 2, "heads": 4, "dropout": 0.0, **changes})


class M2(Teller, Model):
    """Regions in, a caption out, word by word.

    Example:
        >>> model = M2.from_preset("tiny")
        >>> batch = M2.example_batch(model.config, 2)
        >>> model.encode_regions(batch["regions"], batch["region_mask"]).shape
        torch.Size([2, 2, 5, 32])
    """

    PRESETS = {
        "tiny": _tiny(),
        "tiny-released": _tiny(form="released", dropout=0.1),
        "tiny-one-to-one": _tiny(connection="one-to-one"),
        "tiny-plain": _tiny(connection="last", slots=0),
        "coco": M2Config(),
    }
    SEEN = ("regions", "region_mask")

    def __init__(self, config: M2Config):
        super().__init__(config)
        c, depth = config, config.depth
        self.project = nn.Linear(c.region_width, c.width)
        self.norm = nn.LayerNorm(c.width)
        self.encoder = nn.ModuleList(MemoryBlock(c) for _ in range(depth))
        self.words = nn.Embedding(c.vocab, c.width)
        self.decoder = nn.ModuleList(
            MeshedBlock(c, len(range(depth)[self.reads(i)])) for i in range(depth)
        )
        self.out = nn.Linear(c.width, c.vocab, bias=False)
        self.drop = nn.Dropout(c.dropout)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for block in (*self.encoder, *self.decoder):
            for layer in (block.attention, block.cross):
                for weight in () if layer is None else layer.projections():
                    nn.init.xavier_uniform_(weight)

    def reads(self, i: int) -> slice:
        """Which encoder levels decoder layer i looks at."""
        spans = {
            "meshed": slice(None),
            "one-to-one": slice(i, i + 1),
            "last": slice(self.config.depth - 1, None),
        }
        return spans[self.config.connection]

    def encode(
        self, regions: Float[Tensor, "b n f"], region_mask: Bool[Tensor, "b n"]
    ) -> Float[Tensor, "b layers n d"]:
        """What each encoder layer makes of the regions, a set: without positions."""
        x, levels = self.norm(self.drop(self.project(regions).relu())), []
        for block in self.encoder:
            x = block(x, region_mask)
            levels.append(x)
        return torch.stack(levels, 1)

    def encode_regions(
        self, regions: Tensor, region_mask: Tensor
    ) -> Float[Tensor, "b layers n d"]:
        """As `encode`; errors as in `check_regions`."""
        check_regions(regions, region_mask, self.config.region_width)
        return self.encode(regions, region_mask)

    def embed(
        self, tokens: Int[Tensor, "b t"], *, start: int = 0
    ) -> Float[Tensor, "b t d"]:
        """Words, not scaled, and their places, counted from one."""
        place = torch.arange(start, start + tokens.shape[1], device=tokens.device) + 1
        x = self.words(tokens)
        return x + sinusoidal(place, self.config.width).to(x.dtype)

    def logits(
        self,
        tokens: Int[Tensor, "b t"],
        mask: Bool[Tensor, "b t"],
        regions: Float[Tensor, "b n f"],
        region_mask: Bool[Tensor, "b n"],
    ) -> Float[Tensor, "b t k"]:
        """What may follow each word, known the regions and all words so far.

        Raises:
            ValueError: unknown tokens, a bad mask; as `check_regions`.
        """
        self._check(tokens, mask)
        levels, y = self.encode_regions(regions, region_mask), self.embed(tokens)
        for i, block in enumerate(self.decoder):
            y = block(y, mask, levels[:, self.reads(i)], region_mask)
        return self.out(y)

    forward = logits

    def _check(self, tokens: Tensor, mask: Tensor) -> None:
        check_integers("tokens", tokens, 0, self.config.vocab - 1)
        check_flags("mask", mask, tokens.shape)

    def loss(self, batch: dict, *, phase="main", generator=None) -> dict[str, Tensor]:
        """Mean nats of real words and the end; the generator is for the dropout."""
        tokens, mask = batch["tokens"], batch["mask"]
        pair = batch["regions"], batch["region_mask"]
        with seeded(generator):
            logits = self.logits(tokens[:, :-1], mask[:, :-1], *pair)
        target, real = tokens[:, 1:], mask[:, 1:]
        check_some("mask behind the start", real)
        nats = F.cross_entropy(logits.transpose(1, 2), target, reduction="none")
        return {"loss": nats.where(real, 0.0).sum() / real.sum()}

    def memory(self, regions: Tensor, region_mask: Tensor) -> Levels:
        """What the decoder may read; errors as in `encode_regions`."""
        return Levels(self.encode_regions(regions, region_mask), region_mask)

    def first(self, memory: Levels) -> tuple[int, list[LayerCache]]:
        """No word read so far."""
        counts = [block.levels for block in self.decoder]
        return 0, [LayerCache(Cache(), [Cache() for _ in range(n)]) for n in counts]

    def read(self, tokens: Int[Tensor, "b t"], state: tuple, memory: Levels):
        """Logits after each token, and the state behind the last."""
        place, caches = state
        y = self.embed(tokens, start=place)
        for i, (block, cache) in enumerate(zip(self.decoder, caches, strict=True)):
            y = block(y, None, memory.values[:, self.reads(i)], memory.mask, cache)
        return self.out(y), (place + tokens.shape[1], caches)

    def step(self, token: Int[Tensor, " b"], state: tuple) -> tuple[Tensor, tuple]:
        """One more word, for `mmdl_lib.nn.decode`; state: that of `read`, memory."""
        logits, known = self.read(token[:, None], *state)
        return logits[:, 0], (known, state[1])

    @torch.no_grad()
    def generate(
        self,
        regions: Tensor,
        region_mask: Tensor,
        *,
        beams: int = 1,
        max_length: int = 20,
    ) -> Int[Tensor, "b t"]:
        """Captions of at most `max_length` tokens, filled with end tokens.

        The paper has 5 beams; one is greedy. The score is log p, unpenalized.

        Raises:
            ValueError: as `check_regions`; no beam, or a length below one.
        """
        check_number("beams", beams, 1, whole=True)
        memory = self.memory(regions, region_mask)
        state = self.first(memory), memory
        start = torch.full_like(region_mask[:, 0], START, dtype=torch.long)
        given = {"end": END, "max_length": max_length}
        if beams == 1:
            return greedy(self.step, start, state, **given).tokens
        return beam_search(self.step, start, state, beams=beams, **given).tokens[:, 0]

    @torch.no_grad()
    def looks(
        self,
        tokens: Int[Tensor, "b t"],
        mask: Bool[Tensor, "b t"],
        regions: Float[Tensor, "b n f"],
        region_mask: Bool[Tensor, "b n"],
    ) -> Looks:
        """All attention weights and gates for a given caption; errors as `logits`."""
        self._check(tokens, mask)
        levels, y = self.encode_regions(regions, region_mask), self.embed(tokens)
        x = self.norm(self.project(regions).relu())[:, None]
        found = Looks([], [], [])
        inputs = torch.cat([x, levels[:, :-1]], 1).unbind(1)
        for block, x in zip(self.encoder, inputs, strict=True):
            found.encoder.append(block.attention.weights(x, region_mask))
        for i, block in enumerate(self.decoder):
            read, asks = levels[:, self.reads(i)], block.heard(y, mask)
            cross, gate = [], []
            for j in range(read.shape[1]):
                level, c = read[:, j], block.look(j, asks, read, region_mask)
                cross.append(block.cross.weights(asks, region_mask, memory=level))
                gate.append(block.gate(j, asks, c) if block.gates else 0 * c + 1)
            found.cross.append(torch.stack(cross, 1))
            found.gate.append(torch.stack(gate, 1))
            y = block(y, mask, read, region_mask)
        return Looks(*(torch.stack(parts, 1) for parts in found))

    @classmethod
    def example_batch(cls, config: M2Config, n: int, *, generator=None):
        """Three to five random regions, and random captions."""
        draw = partial(torch.randint, generator=generator)
        size, count = draw(4, 8, (n, 1)), draw(3, 6, (n, 1))
        tokens = draw(3, config.vocab, (n, 7))
        tokens[:, 0] = START
        mask = torch.arange(7) < size
        regions = torch.randn(n, 5, config.region_width, generator=generator)
        region_mask = torch.arange(5) < count
        tokens = tokens.scatter(1, size - 1, END) * mask
        found = {"regions": regions * region_mask[..., None], "tokens": tokens}
        return found | {"mask": mask, "region_mask": region_mask}
