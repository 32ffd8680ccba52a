"""Hard attention: each word of a caption looks at one place, drawn at random.

**Paper** Xu, Ba, Kiros, Cho, Courville, Salakhutdinov, Zemel, Bengio, "Show, Attend and
Tell: Neural Image Caption Generation with Visual Attention", ICML 2015,
arXiv 1502.03044 (the stochastic, "hard" kind; the soft one is `show_attend_tell`).

**Book** `sec-captioning`

**Symbols**
- `weights (b, n)` = alpha_ti, from which the place s_t of a look is drawn
- `score (b,)` = log p(s | a), of all places that a caption looked at
- `told (b,)` = log p(y | s, a), of its words: the reward
- `baseline` = b, what is expected of a word
- `reinforce` = lambda_r, `entropy` = lambda_e
- `expected`: how often a picture is seen by its mean alpha in the place of draws

**Start**
- As `show_attend_tell`; the baseline starts at the guess that all words are alike.

**Differs from the paper**
- The baseline is a mean for each word, times the words of a caption: the paper's is one
  number for whole captions, which are of one length in each of its batches.
- The coin that chooses draws or the mean is tossed once for a picture and its caption.
- lambda_r = 1, where the gradient is that of the bound; lambda_e is our choice.
- What is told without training looks at the likeliest place.

**Builds on** `show_attend_tell`: a look at one place is a soft look where nothing else
is
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from mmdl_lib.borders import check_number
from mmdl_lib.models.bahdanau import Memory
from mmdl_lib.models.seq2seq import check_tokens
from mmdl_lib.models.show_attend_tell import (
    ShowAttendTell,
    ShowAttendTellConfig,
    State,
    check_ended,
)

MEMORY = 0.9  # of the baseline, as in the paper


@dataclass(frozen=True, kw_only=True)
class HardAttentionConfig(ShowAttendTellConfig):
    """Hyperparameters; the sizes are those of the soft kind."""

    look: Literal["soft"] = "soft"  # what the places are drawn from
    doubly: float = 0.0  # no other: that term is for soft looks
    reinforce: float = 1.0
    entropy: float = 0.01
    expected: float = 0.5


class Drawn(NamedTuple):
    """What one draw of all looks of a batch gives.

    Attributes:
        nats: of each word, zero where there is none.
        score: log-probability of each look; zero where the mean was taken, or no word
            is chosen.
        entropy: of the weights that each look was drawn from, zero where no word is.
    """

    nats: Float[Tensor, "b t"]
    score: Float[Tensor, "b t"]
    entropy: Float[Tensor, "b t"]


def hard_loss(
    drawn: Drawn,
    baseline: Float[Tensor, ""],
    *,
    words: Float[Tensor, " b"],
    reinforce: float,
    entropy: float,
) -> Float[Tensor, ""]:
    """A loss whose value is in nats a word, and whose gradient is the paper's.

    Args:
        drawn: one draw; its `nats` have a gradient given the places.
        baseline: log p that is expected of a word; no gradient runs through it.
        words: of each caption.
        reinforce: lambda_r.
        entropy: lambda_e.

    Source: the paper's learning rule, section 4.1: the gradient of log p(y | s), plus
    lambda_r (log p(y | s) - b) times that of log p(s), plus lambda_e times that of the
    entropy; divided by the number of words.
    """
    told, score = -drawn.nats.sum(1), drawn.score.sum(1)
    advantage = (told - baseline * words).detach()
    # worth nothing, but with the gradient of the score
    pushed = advantage * (score - score.detach())
    gain = told + reinforce * pushed + entropy * drawn.entropy.sum(1)
    return -gain.sum() / words.sum()


class HardAttention(ShowAttendTell):
    """As `ShowAttendTell`, but a look sees one place, and training draws it.

    Example:
        >>> model = HardAttention.from_preset("tiny")
        >>> batch = HardAttention.example_batch(model.config, 2)
        >>> sorted(model.loss(batch))
        ['baseline', 'entropy', 'loss', 'nats']
    """

    PRESETS = {
        "tiny": HardAttentionConfig(
            image_size=16, stages=(8, 16), vocab=40, width=32, embed=16, inner=16
        ),
        "shapes": HardAttentionConfig(
            image_size=32, stages=(32, 96), vocab=38, width=128, embed=64, inner=32
        ),
        "coco": HardAttentionConfig(),
    }
    LEARNED = {"main": 0.9}

    def __init__(self, config: HardAttentionConfig):
        super().__init__(config)
        check_number("expected", config.expected, 0, 1)
        check_number("doubly", config.doubly, 0, 0)
        self.register_buffer("baseline", -torch.tensor(float(config.vocab)).log())

    def step(self, y: Float[Tensor, "b e"], state: State, memory: Memory):
        """As the soft step, but of the likeliest place alone."""
        weights = self.look(state.h, memory)[1]
        one = F.one_hot(weights.argmax(1), weights.shape[1]).to(weights)
        said, state = self.seen(one, y, state, memory)
        return said, weights, state

    def seen(self, one: Float[Tensor, "b n"], y: Tensor, state: State, memory: Memory):
        """A step that sees what `one` mixes: one place, or a mean of all."""
        only = Memory(
            one[:, None] @ memory.values,
            memory.keys[:, :1],
            torch.ones_like(memory.mask[:, :1]),
        )
        # of a single place any score makes the weight 1
        said, _, state = super().step(y, state, only)
        return said, state

    def draw(self, batch: dict, *, generator=None) -> Drawn:
        """Draw a place for each word, or take the mean, and tell.

        Raises:
            ValueError: as `loss`.
        """
        tokens, mask, memory = batch["tokens"], batch["mask"], self.known(batch)
        check_tokens(tokens, self.config.vocab)
        check_ended(tokens, mask)
        # the look of position t chooses the word at t + 1
        words, real = tokens[:, 1:], mask[:, 1:]
        luck = torch.rand(len(tokens), 1, generator=generator, device=tokens.device)
        mean = luck < self.config.expected
        state, found = self.first(memory), []
        for t, y in enumerate(self.embedding(tokens[:, :-1]).unbind(1)):
            weights = self.look(state.h, memory)[1]
            place = torch.multinomial(weights.float(), 1, generator=generator)
            one = torch.zeros_like(weights).scatter(1, place, 1.0)
            said, state = self.seen(torch.where(mean, weights, one), y, state, memory)
            log_p = weights.clamp(min=torch.finfo(weights.dtype).tiny).log()
            score = log_p.gather(1, place).masked_fill(mean, 0.0)[:, 0]
            nats = F.cross_entropy(self.out(said), words[:, t], reduction="none")
            found.append((nats, score, -(weights * log_p).sum(1)))
        parts = (torch.stack(part, 1) for part in zip(*found, strict=True))
        return Drawn(*(part.where(real, 0.0) for part in parts))

    def loss(self, batch: dict, *, phase="main", generator=None) -> dict[str, Tensor]:
        """Nats for each word of one draw; in training the baseline moves.

        Raises:
            ValueError: as `ShowAttendTell.loss`.
        """
        drawn = self.draw(batch, generator=generator)
        words = batch["mask"].sum(1) - 1  # the start is given
        nats = drawn.nats.sum() / words.sum()
        before = self.baseline.clone()
        c = self.config
        weigh = {"reinforce": c.reinforce, "entropy": c.entropy}
        loss = hard_loss(drawn, before, words=words.to(nats), **weigh)
        if self.training:
            # b_k = 0.9 b_{k-1} + 0.1 log p(y | s_k, a)
            self.baseline.lerp_(-nats.detach().to(before), 1 - MEMORY)
        spread = drawn.entropy.detach().sum() / words.sum()
        terms = {"loss": loss, "nats": nats.detach(), "entropy": spread}
        return terms | {"baseline": before}
