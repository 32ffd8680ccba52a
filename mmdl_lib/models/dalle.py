"""DALL-E: one Transformer writes a text and then, token by token, its picture.

**Paper** Ramesh, Pavlov, Goh, Gray, Voss, Radford, Chen, Sutskever, "Zero-Shot
Text-to-Image Generation", ICML 2021, arXiv 2102.12092 (its second stage).

**Book** `sec-dalle`

**Symbols**
- `tokens (b, t)`, `mask (b, t)`: a caption of at most `text` tokens, True = real
- `codes (b, n)`: the dVAE's, n = grid x grid in reading order
- one row that the Transformer reads: begin, `text` places, n - 1 codes
- `logits (b, text + n, k)`: row i is about token i of that row without its begin; the
  columns are words, one pad for each text place, codes

**Start**
- As `gpt`: matrices and vectors normal, 0.02, the last of attention and MLP divided by
  sqrt(2 depth), biases zero.

**Differs from the paper**
- `attention="full"` lets every token see all before it; our small models take that.
- Words are not byte pairs, and no captions are changed at random in training.
- Full size: 64 blocks of 12 x 3968^2 numbers are 12.09 billion. The paper prints 12
  billion; with vectors and heads we count 12.3.
- The number of heads, the order of the patterns and the side of the square could not
  be checked against the paper.
- `sample` can be guided towards its text as later models are; the paper cannot.

**Builds on** `gpt` (its block), `dvae` (which makes the codes)
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mmdl_lib.borders import check_choice, check_integers, check_mask, check_number
from mmdl_lib.core import Config, Model
from mmdl_lib.nn import Transformer, decode
from mmdl_lib.nn.attention import Cache
from mmdl_lib.nn.positions import LearnedPositions
from mmdl_lib.nn.transformer import BlockCache

KINDS = ("row", "column", "convolution")


@dataclass(frozen=True, kw_only=True)
class DALLEConfig(Config):
    """Hyperparameters; the defaults are the paper's."""

    vocab: int = 16384  # words or their parts
    text: int = 256  # places of the text
    codes: int = 8192
    grid: int = 32  # codes on a side of the picture
    width: int = 3968
    depth: int = 64
    heads: int = 62
    attention: Literal["sparse", "full"] = "sparse"
    kernel: int = 11  # of the last block's attention, where it is sparse
    picture: float = 7.0  # weight of the picture's loss, that of the text is 1


def _small(**changes) -> DALLEConfig:
    sizes = {"vocab": 38, "text": 8, "codes": 256, "grid": 8, "width": 128, "depth": 3}
    sizes |= {"heads": 4, "attention": "full"}
    return DALLEConfig(**sizes | changes)


def attention_mask(
    kind: str, *, text: int, grid: int, kernel: int = 11
) -> Bool[Tensor, "n n"]:
    """What each place of a row sees; nobody sees what comes later.

    The row is: begin, `text` places, grid x grid codes. All see what is before
    them of begin and text. Of the codes, a code sees itself and

    - "row": the `grid` codes before it in reading order, the last of which stands
      right above it;
    - "column": those above it;
    - "convolution": those of a square of kernel x kernel places around it.

    Raises:
        ValueError: another kind.
    """
    check_choice("kind", kind, KINDS)
    first, place = 1 + text, torch.arange(grid * grid)
    y, x = place // grid, place % grid
    back, dy, dx = (a[:, None] - a for a in (place, y, x))
    near = kernel // 2
    seen = {
        "row": back <= grid,
        "column": dx == 0,
        "convolution": (dy.abs() <= near) & (dx.abs() <= near),
    }[kind]
    whole = torch.ones(2 * [first + grid * grid], dtype=torch.bool)
    whole[first:, first:] = seen
    return whole.tril()


def kinds(depth: int) -> list[str]:
    """The pattern of each block: row, column, row, row again and again; last the
    convolution."""
    cycle = ("row", "column", "row", "row")
    return [*(cycle[i % 4] for i in range(depth - 1)), "convolution"]


class PatternCache(Cache):
    """A cache that shows the newest place only what its row of a pattern allows."""

    def __init__(self, pattern: Bool[Tensor, "n n"]):
        super().__init__()
        self.pattern = pattern

    def extend(self, keys, values, mask=None) -> None:
        """Add places; `mask` is what the newest one sees."""
        super().extend(keys, values)
        seen = self.pattern[len(self) - 1, : len(self)].to(keys.device)
        self.mask = seen.expand(len(keys), -1)

    def select(self, rows: Int[Tensor, " b2"]) -> "PatternCache":
        """A new cache with these rows of the batch, in this order."""
        new = PatternCache(self.pattern)
        if len(self):
            new.extend(self.keys[rows], self.values[rows])
        return new


class Drawn(NamedTuple):
    """What a row has read so far.

    Attributes:
        cache: keys and values of each block.
        alone: the same behind an empty text, for guidance; None: there is none.
        count: how many codes have been read; -1 before the text's last place.
    """

    cache: list[BlockCache]
    alone: list[BlockCache] | None
    count: int


class DALLE(Model):
    """Words, pads and codes in one row, causal blocks, a head for each kind.

    Example:
        >>> model = DALLE.from_preset("tiny").eval()
        >>> batch = DALLE.example_batch(model.config, 2)
        >>> model.logits(batch["tokens"], batch["mask"], batch["codes"]).shape
        torch.Size([2, 22, 44])
    """

    PRESETS = {
        "tiny": _small(
            vocab=26, text=6, codes=12, grid=4, width=32, depth=2, heads=2
        ),
        "tiny-sparse": _small(
            vocab=26, text=6, codes=12, grid=4, width=32, depth=3, heads=2,
            attention="sparse", kernel=3,
        ),
        "large-object": _small(),
        "shapes": _small(text=18),
        "12B": DALLEConfig(),
    }  # fmt: skip
    LEARNED = {"main": 0.9}

    def __init__(self, config: DALLEConfig):
        super().__init__(config)
        c = config
        self.words = nn.Embedding(c.vocab + c.text, c.width)
        self.codes = nn.Embedding(c.codes, c.width)
        self.begin = nn.Parameter(0.02 * torch.randn(c.width))
        self.positions = LearnedPositions(c.text, c.width)
        self.rows = LearnedPositions(c.grid, c.width)
        self.columns = LearnedPositions(c.grid, c.width)
        self.transformer = Transformer(
            *(c.width, c.depth, c.heads),
            activation=partial(F.gelu, approximate="tanh"),
        )
        self.norm = nn.LayerNorm(c.width)
        self.to_words = nn.Linear(c.width, c.vocab + c.text, bias=False)
        self.to_codes = nn.Linear(c.width, c.codes, bias=False)
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)
        for block in self.transformer.blocks:
            for last in (block.attention.out, block.fc2):
                nn.init.normal_(last.weight, std=0.02 / (2 * c.depth) ** 0.5)
        sizes = {"text": c.text, "grid": c.grid, "kernel": c.kernel}
        for kind in KINDS if c.attention == "sparse" else ():
            mask = attention_mask(kind, **sizes)
            self.register_buffer(kind, mask, persistent=False)

    # the row

    def filled(
        self, tokens: Int[Tensor, "b t"], mask: Bool[Tensor, "b t"]
    ) -> Int[Tensor, "b text"]:
        """The text's places: words where there are any, else each place's own pad.

        Raises:
            ValueError: an unknown word, no text, padding in front, too many tokens.
        """
        c = self.config
        check_integers("tokens", tokens, 0, c.vocab - 1)
        check_mask(mask, shape=tokens.shape)
        if not 1 <= tokens.shape[1] <= c.text:
            raise ValueError(
                f"tokens expected from 1 to {c.text} a row, got {tokens.shape[1]}."
            )
        # a new tensor: the caller's stays as it is
        rest = 0, c.text - tokens.shape[1]
        return torch.where(F.pad(mask, rest), F.pad(tokens, rest), self.pads())

    def pads(self) -> Int[Tensor, " text"]:
        """The pad of each text place: an empty text."""
        first, device = self.config.vocab, self.begin.device
        return first + torch.arange(self.config.text, device=device)

    def embed(
        self, words: Int[Tensor, "b text"], codes: Int[Tensor, "b m"]
    ) -> Float[Tensor, "b n d"]:
        """What enters the first block: begin, the text, the codes so far."""
        begin = self.begin.expand(len(words), 1, -1)
        text = self.words(words) + self.positions(words.shape[1])
        return torch.cat([begin, text, self.placed(codes, 0)], 1)

    def placed(self, codes: Int[Tensor, "b m"], start: int) -> Float[Tensor, "b m d"]:
        """Codes with the vectors of their rows and columns, from a place on."""
        place = torch.arange(start, start + codes.shape[1], device=codes.device)
        y, x = place // self.config.grid, place % self.config.grid
        return self.codes(codes) + self.rows.table[y] + self.columns.table[x]

    def hidden(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        """The states behind the last block and norm."""
        if self.config.attention == "full":
            return self.norm(self.transformer(x, causal=True))
        n = x.shape[1]
        for block, kind in zip(
            self.transformer.blocks, kinds(self.config.depth), strict=True
        ):
            x = block(x, getattr(self, kind)[None, :n, :n].expand(len(x), -1, -1))
        return self.norm(x)

    def told(
        self, words: Int[Tensor, "b text"], codes: Int[Tensor, "b n"]
    ) -> tuple[Float[Tensor, "b text k"], Float[Tensor, "b n k2"]]:
        """What may stand at each text place, and at each place of the picture."""
        x = self.hidden(self.embed(words, codes[:, :-1]))
        t = self.config.text
        return self.to_words(x[:, :t]), self.to_codes(x[:, t:])

    def logits(
        self,
        tokens: Int[Tensor, "b t"],
        mask: Bool[Tensor, "b t"],
        codes: Int[Tensor, "b n"],
    ) -> Float[Tensor, "b n2 k"]:
        """One table over words, pads and codes; what cannot stand at a place is -inf.

        Raises:
            ValueError: as `filled`; another number of codes, an unknown one.
        """
        words = self.filled(tokens, mask)
        self._check(codes)
        text, picture = self.told(words, codes)
        text = F.pad(text, (0, picture.shape[-1]), value=-torch.inf)
        picture = F.pad(picture, (self.to_words.out_features, 0), value=-torch.inf)
        return torch.cat([text, picture], 1)

    def _check(self, codes: Tensor) -> None:
        check_integers("codes", codes, 0, self.config.codes - 1)
        n = self.config.grid**2
        if codes.ndim != 2 or codes.shape[1] != n:
            raise ValueError(
                f"codes expected shape (b, {n}), got {tuple(codes.shape)}."
            )

    def loss(self, batch: dict, *, phase="main", generator=None) -> dict[str, Tensor]:
        """(text + 7 picture) / 8 in nats a token, each a mean over its own places.

        Args:
            batch: `tokens (b, t)`, `mask (b, t)`, `codes (b, n)`; and perhaps
                `silent (b,)`, True = learn this picture behind an empty text, which is
                what guidance needs.
            phase: there is one.
            generator: not used: nothing is random.

        Raises:
            ValueError: as `filled`, or codes that the codebook lacks.
        """
        self._check(batch["codes"])
        words = self.filled(batch["tokens"], batch["mask"])
        if "silent" in batch:
            words = torch.where(batch["silent"][:, None], self.pads(), words)
        text, picture = self.told(words, batch["codes"])
        text = F.cross_entropy(text.flatten(0, 1), words.flatten())
        picture = F.cross_entropy(picture.flatten(0, 1), batch["codes"].flatten())
        weight = self.config.picture
        total = (text + weight * picture) / (1 + weight)
        return {"loss": total, "text": text, "picture": picture}

    # drawing

    def read(self, words: Int[Tensor, "b text"]) -> list[BlockCache]:
        """A cache of begin and the text but its last place, which `step` reads."""
        if self.config.attention == "full":
            cache = self.transformer.new_cache()
        else:
            patterns = [getattr(self, kind) for kind in kinds(self.config.depth)]
            cache = [BlockCache(PatternCache(p), Cache()) for p in patterns]
        x = self.embed(words, words[:, :0])
        self.transformer(x[:, :-1], causal=True, cache=cache)
        return cache

    def step(
        self, tokens: Int[Tensor, " b"], state: Drawn, *, scale: float = 1.0
    ) -> tuple[Float[Tensor, "b k"], Drawn]:
        """Read the text's last place, or a code, of each row: what code may follow."""
        cache, alone, count = state
        logits = self._next(tokens, cache, count)
        if alone is not None:
            last = torch.full_like(tokens, self.words.num_embeddings - 1)
            empty = self._next(last if count < 0 else tokens, alone, count)
            told, empty = logits.log_softmax(-1), empty.log_softmax(-1)
            logits = empty + scale * (told - empty)
        return logits, Drawn(cache, alone, count + 1)

    def _next(self, tokens, cache, count: int) -> Float[Tensor, "b k"]:
        if count < 0:
            x = (self.words(tokens) + self.positions.table[-1])[:, None]
        else:
            x = self.placed(tokens[:, None], count)
        x = self.transformer(x, causal=True, cache=cache)
        return self.to_codes(self.norm(x))[:, 0]

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
            tokens, mask: as in `filled`.
            scale: of the guidance: 1 draws from the model; above 1 goes away from what
                it draws without a text, if it has been trained on empty ones, too.
            temperature: below 1 likelier codes.
            top_k: how many codes may be drawn at a place.
            generator: of the draws.

        Raises:
            ValueError: as `filled` and `mmdl_lib.nn.decode.sample`; a negative scale.
        """
        check_number("scale", scale, 0)
        words = self.filled(tokens, mask)
        alone = None if scale == 1 else self.read(self.pads().expand_as(words))
        found = decode.sample(
            partial(self.step, scale=float(scale)),
            words[:, -1],
            Drawn(self.read(words), alone, -1),
            end=None,
            max_length=self.config.grid**2,
            temperature=temperature,
            top_k=top_k,
            generator=generator,
        )
        return found.tokens

    @classmethod
    def example_batch(cls, config: DALLEConfig, n: int, *, generator=None) -> dict:
        """Random captions of unequal length, and random codes."""
        t = config.text - 1
        length = torch.randint(1, t + 1, (n, 1), generator=generator)
        codes = torch.randint(config.codes, (n, config.grid**2), generator=generator)
        return {
            "tokens": torch.randint(config.vocab, (n, t), generator=generator),
            "mask": torch.arange(t) < length,
            "codes": codes,
        }
