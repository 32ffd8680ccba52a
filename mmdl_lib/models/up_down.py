"""Up-Down: one LSTM decides which region to look at, another one tells.

**Paper** Anderson, He, Buehler, Teney, Johnson, Gould, Zhang, "Bottom-Up and Top-Down
Attention for Image Captioning and Visual Question Answering", CVPR 2018,
arXiv 1707.07998 (the captioner; the detector that finds its regions is taken as given).

**Book** `sec-captioning`

**Symbols**
- `memory.values (b, n, f)` = v_i, the regions; `averaged(memory)` = v-bar, their mean
- `state.top` = h^1, c^1 of the attention LSTM, top-down; `state.language` = h^2, c^2
- `weights (b, n)` = alpha_t, `context (b, f)` = v-hat_t
- `y (b, e)` = W_e Pi_t, the embedding of the last word

**Start**
- Layers as in torch, embeddings normal; both LSTMs at zero.

**Differs from the paper**
- A score has a bias at its region, which the paper's has not.
- Self-critical training is in `scst`, not in this file.

**Builds on** `captioner` (regions and their mask), `show_attend_tell` (its score, its
training and decoding)
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mmdl_lib.core import Config, Model
from mmdl_lib.models.bahdanau import Memory, attend
from mmdl_lib.models.captioner import OverRegions, check_regions
from mmdl_lib.models.seq2seq import check_tokens
from mmdl_lib.models.show_attend_tell import Score, State, averaged


@dataclass(frozen=True, kw_only=True)
class UpDownConfig(Config):
    """Hyperparameters; the defaults are our guess of sizes for MS COCO."""

    region: int = 2048
    vocab: int = 10_000
    width: int = 1000  # of both LSTMs
    embed: int = 1000
    inner: int = 512  # width of the hidden layer of the score


class TwoStates(NamedTuple):
    """h and c of both LSTMs."""

    top: State
    language: State


class UpDown(OverRegions, Model):
    """Regions, attention over them, and two LSTMs.

    Example:
        >>> model = UpDown.from_preset("tiny")
        >>> batch = UpDown.example_batch(model.config, 2)
        >>> seen = batch["regions"], batch["region_mask"]
        >>> model.attention(batch["tokens"], *seen).shape
        torch.Size([2, 7, 5])
    """

    PRESETS = {
        "tiny": UpDownConfig(region=6, vocab=40, width=32, embed=16, inner=16),
        "shapes": UpDownConfig(region=196, vocab=38, width=128, embed=64, inner=32),
        "coco": UpDownConfig(),
    }
    LEARNED = {"main": 0.9}

    def __init__(self, config: UpDownConfig):
        super().__init__(config)
        c = config
        self.embedding = nn.Embedding(c.vocab, c.embed)
        self.top = nn.LSTMCell(c.width + c.region + c.embed, c.width)
        self.score = Score(c.width, c.region, c.inner)
        self.language = nn.LSTMCell(c.region + c.width, c.width)
        self.out = nn.Linear(c.width, c.vocab)

    def memory(self, regions: Float[Tensor, "b n f"], region_mask: Tensor) -> Memory:
        """Regions as they are, and what the scores need of them.

        Raises:
            ValueError: as `check_regions`.
        """
        check_regions(regions, region_mask, self.config.region)
        return Memory(regions, self.score.key(regions), region_mask)

    def first(self, memory: Memory) -> TwoStates:
        """Nothing is told yet: both LSTMs are at zero."""
        zero = memory.values.new_zeros(len(memory.values), self.config.width)
        return TwoStates(State(zero, zero), State(zero, zero))

    def step(self, y: Float[Tensor, "b e"], state: TwoStates, memory: Memory):
        """Logits of the word after y, the weights, and the next state."""
        # x^1_t = [h^2_{t-1}, v-bar, W_e Pi_t]
        x = torch.cat([state.language.h, averaged(memory), y], -1)
        top = State(*self.top(x, tuple(state.top)))
        # a_ti = w_a . tanh(W_va v_i + W_ha h^1_t), alpha_t = softmax(a_t)
        context, weights = attend(self.score(top.h, memory.keys), memory)
        # x^2_t = [v-hat_t, h^1_t], v-hat_t = sum_i alpha_ti v_i
        x = torch.cat([context, top.h], -1)
        language = State(*self.language(x, tuple(state.language)))
        # p(y_t) = softmax(W_p h^2_t + b_p)
        return self.out(language.h), weights, TwoStates(top, language)

    def read(self, tokens: Int[Tensor, "b t"], state: TwoStates, memory: Memory):
        """Logits after each token, and the state after the last."""
        logits, _, state = self._walk(tokens, state, memory)
        return logits, state

    def attention(
        self,
        tokens: Int[Tensor, "b t"],
        regions: Float[Tensor, "b n f"],
        region_mask: Bool[Tensor, "b n"],
    ) -> Float[Tensor, "b t n"]:
        """Weights with which the token after each position was chosen.

        Row t belongs to the token at position t + 1; each row sums to one.

        Raises:
            ValueError: as `check_tokens` and `check_regions`.
        """
        check_tokens(tokens, self.config.vocab)
        memory = self.memory(regions, region_mask)
        return self._walk(tokens, self.first(memory), memory)[1]

    def _walk(self, tokens: Tensor, state: TwoStates, memory: Memory):
        """For each token the scores of the next, and where it looked."""
        found = []
        for y in self.embedding(tokens).unbind(1):
            logits, weights, state = self.step(y, state, memory)
            found.append((logits, weights))
        logits, weights = (torch.stack(parts, 1) for parts in zip(*found, strict=True))
        return logits, weights, state
