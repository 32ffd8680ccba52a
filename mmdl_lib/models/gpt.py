"""GPT: predict the next token, and nothing else.

**Paper** Brown, Mann, Ryder, et al., "Language Models are Few-Shot Learners", NeurIPS
2020, arXiv 2005.14165 (GPT-3); before it Radford et al. 2018 (GPT-1) and 2019 (GPT-2).

**Book** `sec-gpt`

**Symbols** (GPT-1's paper, section 3.1)
- `tokens (b, t)` = U, a context of tokens; `tokens.weight (k, d)` = W_e
- `positions.table (n, d)` = W_p; `x (b, t, d)` = h_l, the states after l of L blocks
- `logits (b, t, k)`: row t is about token t + 1

**Start**
- Matrices and token vectors: normal, 0.02; biases: zero. Positions: 0.01, as in the
  released code of GPT-2 (GPT-1 names 0.02 for all, which `norm="post"` takes).
- The last matrix of attention and MLP starts at 0.02 / sqrt(2 L), as GPT-2's paper says
  ("a factor of 1/sqrt(N)", N residual layers); its released code leaves that out.

**Differs from the paper**
- No dropout. GPT-3's layers take turns between dense and banded sparse attention; all
  of ours are dense, as those of GPT-1 and GPT-2 are.
- Parameters: GPT-2's paper prints 117M, 345M, 762M and 1542M. The released models have
  124.4M, 354.8M, 774.0M and 1557.6M, which is what we count. With GPT-1's vocabulary
  of 40,478 instead of 50,257 one gets the printed numbers exactly.

**Builds on** nothing.
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from mmdl_lib.borders import check_integers, check_mask, check_number, check_some
from mmdl_lib.core import Config, Model
from mmdl_lib.nn import Transformer, decode
from mmdl_lib.nn.positions import LearnedPositions
from mmdl_lib.nn.transformer import Block, BlockCache, PostNormBlock


@dataclass(frozen=True, kw_only=True)
class GPTConfig(Config):
    """Hyperparameters; the defaults are the smallest GPT-2."""

    vocab: int = 50257
    context: int = 1024
    width: int = 768
    depth: int = 12
    heads: int = 12
    norm: Literal["pre", "post"] = "pre"  # GPT-1 norms after each sum, without a last


class Read(NamedTuple):
    """What a model remembers of the tokens that it has read.

    Attributes:
        cache: keys and values of each block.
        length: how many real tokens each row has: the position of its next one.
    """

    cache: list[BlockCache]
    length: Int[Tensor, " b"]


def _gpt2(width: int, depth: int) -> GPTConfig:
    return GPTConfig(width=width, depth=depth, heads=width // 64)


class GPT(Model):
    """Token and position vectors, causal blocks, a last norm, the tied head.

    Example:
        >>> model = GPT.from_preset("tiny")
        >>> model.logits(GPT.example_batch(model.config, 2)["tokens"]).shape
        torch.Size([2, 16, 64])
    """

    PRESETS = {
        "tiny": GPTConfig(vocab=64, context=64, width=64, depth=2, heads=4),
        "tiny-post": GPTConfig(
            vocab=64, context=64, width=64, depth=2, heads=4, norm="post"
        ),
        "gpt1": GPTConfig(vocab=40478, context=512, norm="post"),
        "gpt2-small": GPTConfig(),
        "gpt2-medium": _gpt2(1024, 24),
        "gpt2-large": _gpt2(1280, 36),
        "gpt2-xl": _gpt2(1600, 48),
        "gpt3-175B": GPTConfig(context=2048, width=12288, depth=96, heads=96),
    }
    # GPT-2's are those of the released models, see above
    PAPER_PARAMS = {
        "gpt1": 117_000_000,
        "gpt2-small": 124_000_000,
        "gpt2-medium": 355_000_000,
        "gpt2-large": 774_000_000,
        "gpt2-xl": 1_558_000_000,
        "gpt3-175B": 175_000_000_000,
    }

    def __init__(self, config: GPTConfig):
        super().__init__(config)
        pre = config.norm == "pre"
        self.tokens = nn.Embedding(config.vocab, config.width)
        self.positions = LearnedPositions(
            config.context, config.width, std=0.01 if pre else 0.02
        )
        self.transformer = Transformer(
            *(config.width, config.depth, config.heads),
            block=Block if pre else PostNormBlock,
            activation=partial(F.gelu, approximate="tanh"),
        )
        self.norm = nn.LayerNorm(config.width) if pre else nn.Identity()
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)
        for block in self.transformer.blocks if pre else ():
            for last in (block.attention.out, block.fc2):
                nn.init.normal_(last.weight, std=0.02 / (2 * config.depth) ** 0.5)

    def embed(self, tokens: Int[Tensor, "b t"]) -> Float[Tensor, "b t d"]:
        """What enters the first block.

        Raises:
            ValueError: no token, or more than the context.
        """
        if tokens.ndim != 2:
            raise ValueError(
                f"GPT expected tokens of shape (b, t), got {tuple(tokens.shape)}."
            )
        t = tokens.shape[1]
        if not 1 <= t <= self.config.context:
            raise ValueError(
                f"GPT expected from 1 to {self.config.context} tokens a row, got {t}."
            )
        # h_0 = U W_e + W_p
        return self.tokens(tokens) + self.positions(t)

    def hidden(self, tokens: Int[Tensor, "b t"]) -> Float[Tensor, "b t d"]:
        """The states after the last block and norm; errors as in `embed`."""
        # h_l = transformer_block(h_(l - 1)) for l = 1 ... L
        return self.norm(self.transformer(self.embed(tokens), causal=True))

    def states(self, tokens: Int[Tensor, "b t"]) -> Float[Tensor, "b layers t d"]:
        """h_0 to h_L, to be probed; the last norm is not applied.

        Raises:
            ValueError: as `logits`.
        """
        check_integers("tokens", tokens, 0, self.config.vocab - 1)
        found = [self.embed(tokens)]
        for block in self.transformer.blocks:
            found.append(block(found[-1], causal=True))
        return torch.stack(found, 1)

    def head(self, x: Float[Tensor, "*b d"]) -> Float[Tensor, "*b k"]:
        """P(u) = softmax(h_L W_e^T), before the softmax: tied to the embedding."""
        return x @ self.tokens.weight.T

    def forward(self, tokens: Int[Tensor, "b t"]) -> Float[Tensor, "b t k"]:
        """`logits` without a look at the numbers, to be exported."""
        return self.head(self.hidden(tokens))

    def logits(self, tokens: Tensor) -> Float[Tensor, "b t k"]:
        """What may follow each token; padding behind a row changes nothing in it.

        Args:
            tokens: (b, t) int.

        Raises:
            ValueError: no integers, an unknown token, no token, too many.
        """
        check_integers("tokens", tokens, 0, self.config.vocab - 1)
        return self(tokens)

    def loss(self, batch: dict, *, phase="main", generator=None) -> dict[str, Tensor]:
        """Mean cross-entropy of the next token in nats.

        Args:
            batch: `tokens (b, t)` and `mask (b, t)`, True = real; and perhaps
                `scored (b, t)`, True = this token's prediction counts (else all but the
                first of each row), such as the answers in a row of examples.
            phase: there is one.
            generator: not used: nothing is random.

        Raises:
            ValueError: an unknown token, padding in front of real ones, too many, or
                nothing whose prediction counts.
        """
        tokens, counts = batch["tokens"], batch["mask"]
        check_integers("tokens", tokens, 0, self.config.vocab - 1)
        check_mask(counts, shape=tokens.shape)
        if "scored" in batch:
            counts = counts & batch["scored"]
        check_some("what is scored behind the first token", counts[:, 1:])
        logits, counts = self(tokens[:, :-1]), counts[:, 1:]
        nats = F.cross_entropy(logits.mT, tokens[:, 1:], reduction="none")
        return {"loss": (nats * counts).sum() / counts.sum()}

    def attention(
        self, tokens: Int[Tensor, "b t"]
    ) -> Float[Tensor, "b layers heads t t"]:
        """Who looks at whom: query before key, each row sums to one."""
        states = self.states(tokens)
        found = []
        for block, x in zip(self.transformer.blocks, states.unbind(1), strict=False):
            x = block.norm1(x) if self.config.norm == "pre" else x
            found.append(block.attention.weights(x, causal=True))
        return torch.stack(found, 1)

    @torch.no_grad()
    def begin(
        self, tokens: Tensor, mask: Tensor | None = None
    ) -> tuple[Int[Tensor, " b"], Read]:
        """Read prompts: their last tokens, and a memory of those before, for `step`.

        Args:
            tokens: (b, t), one prompt a row; prompts may differ in length.
            mask: (b, t), True on real tokens; padding stands behind them. None: all
                are real.

        Raises:
            ValueError: an empty prompt, padding in front, an unknown token, or more
                tokens than the context.
        """
        check_integers("tokens", tokens, 0, self.config.vocab - 1)
        if not tokens.numel():
            raise ValueError(
                "GPT expected a prompt of at least one token, such as the one that "
                "ends texts, got an empty prompt."
            )
        mask = torch.ones_like(tokens, dtype=torch.bool) if mask is None else mask
        check_mask(mask, shape=tokens.shape)
        cache, length = self.transformer.new_cache(), mask.sum(1)
        # all real tokens but the last of each row, which `step` reads (what `roll`
        # brings around lies behind `longest`)
        kept = mask & mask.roll(-1, 1)
        longest = int(length.max()) - 1
        x = self.embed(tokens)[:, :longest]
        if longest:
            self.transformer(x, kept[:, :longest], causal=True, cache=cache)
        last = tokens.gather(1, length[:, None] - 1)[:, 0]
        return last, Read(cache, length - 1)

    def step(
        self, tokens: Int[Tensor, " b"], state: Read
    ) -> tuple[Float[Tensor, "b k"], Read]:
        """Read one token of each row; the cache of `state` grows."""
        # each row at its own position: a cache does not start at 0 again
        x = self.tokens(tokens) + self.positions.table[state.length]
        x = self.transformer(x[:, None], causal=True, cache=state.cache)
        return self.head(self.norm(x))[:, 0], Read(state.cache, state.length + 1)

    @torch.no_grad()
    def generate(
        self,
        tokens: Tensor,
        mask: Tensor | None = None,
        *,
        length: int = 16,
        end: int | None = None,
        beams: int = 1,
    ) -> Int[Tensor, "b new"]:
        """The likeliest continuation, without the prompt.

        Args:
            tokens, mask: as in `begin`.
            length: most new tokens.
            end: token that ends a row, which is filled with it; None: none does.
            beams: of the search; 1 takes the likeliest token each time.

        Raises:
            ValueError: as `begin`; more tokens in all than the context; no beam; more
                beams than one without an `end`.
        """
        start, state = self._started(tokens, mask, length, end)
        check_number("beams", beams, 1, whole=True)
        if beams == 1:
            return decode.greedy(
                self.step, start, state, end=end, max_length=length
            ).tokens
        if end is None:
            raise ValueError("beams expected 1 where no token ends a row.")
        found = decode.beam_search(
            self.step, start, state, end=end, max_length=length, beams=beams
        )
        return found.tokens[:, 0]

    @torch.no_grad()
    def sample(
        self,
        tokens: Tensor,
        mask: Tensor | None = None,
        *,
        length: int = 16,
        end: int | None = None,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        generator: torch.Generator | None = None,
    ) -> Int[Tensor, "b new"]:
        """A random continuation, without the prompt.

        Arguments as in `generate` and `mmdl_lib.nn.decode.sample`.

        Raises:
            ValueError: as `generate`; a temperature that is not above zero (say
                `generate`), a `top_k` below one, a `top_p` outside of (0, 1].
        """
        start, state = self._started(tokens, mask, length, end)
        found = decode.sample(
            *(self.step, start, state),
            end=end,
            max_length=length,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            generator=generator,
        )
        return found.tokens

    def _started(self, tokens, mask, length: int, end) -> tuple[Tensor, Read]:
        """`begin`, after a look at how long it will get and what ends it."""
        check_number("length", length, 1, whole=True)
        if end is not None:
            check_number("end", end, 0, self.config.vocab - 1, whole=True)
        start, state = self.begin(tokens, mask)
        # the last new token is not read again
        total = int(state.length.max()) + length
        if total > self.config.context:
            raise ValueError(
                f"GPT expected at most {self.config.context} tokens with the new ones, "
                f"got a prompt of {total - length + 1} and a length of {length}."
            )
        return start, state

    @classmethod
    def example_batch(cls, config: GPTConfig, n: int, *, generator=None) -> dict:
        """Random tokens, in rows of unequal length."""
        t = min(16, config.context)
        length = torch.randint(t // 2, t + 1, (n, 1), generator=generator)
        return {
            "tokens": torch.randint(config.vocab, (n, t), generator=generator),
            "mask": torch.arange(t) < length,
        }
