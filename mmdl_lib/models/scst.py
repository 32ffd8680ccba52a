"""Self-critical training: samples that score better than the own best guess gain.

**Paper** Rennie, Marcheret, Mroueh, Ross, Goel, "Self-critical Sequence Training for
Image Captioning", CVPR 2017, arXiv 1612.00563.

**Book** `sec-captioning`

**Symbols**
- `said (b, s, t)` = w^s, captions sampled from the model, s for each picture
- `reward (b, s)` = r(w^s), `baseline (b, s)` = r(w-hat), the reward of the greedy one
- `log_prob (b, s, t)` = log p(w_t | w_1 ... w_{t-1}, picture)

**Start**
- A captioner that maximum likelihood has trained; a fresh one draws noise, and noise is
  rewarded with nothing.

**Differs from the paper**
- Several samples of a picture share one greedy caption; the paper draws one.
- The loss is a mean over words, so long captions weigh more than short ones.
- `baseline="others"`: the mean of a picture's other samples, which costs no greedy one.
- Greedy captions, samples and beams are made in evaluation mode (no dropout).
- `draws="beams"` with `baseline="mean"` is the second stage of M2 (Cornia et al. 2020):
  the captions of a beam search, all counted alike, against their mean reward. They are
  no draws from the model, so their gradient is not that of the expected reward. The
  released code divides by a fixed number of words, ours by the words that were said.

**Builds on** `show_attend_tell`, `captioner`, `m2`, or any other `Teller`
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mmdl_lib.borders import check_some
from mmdl_lib.core import Config, Model, seeded
from mmdl_lib.models.captioner import Captioner, CaptionerConfig
from mmdl_lib.models.m2 import M2, M2Config
from mmdl_lib.models.seq2seq import END, START
from mmdl_lib.models.show_attend_tell import (
    ShowAttendTell,
    ShowAttendTellConfig,
    Teller,
    check_ended,
    example_captions,
)
from mmdl_lib.nn import decode

ORDER = 4  # n-grams of one to four words
SIGMA = 6.0  # how many words of difference in length CIDEr-D tolerates


@dataclass(frozen=True, kw_only=True)
class SCSTConfig(Config):
    """Hyperparameters; with one sample and the default captioner's sizes, the paper."""

    captioner: ShowAttendTellConfig | CaptionerConfig | M2Config = (
        ShowAttendTellConfig()
    )
    samples: int = 1  # captions of each picture
    draws: Literal["samples", "beams"] = "samples"
    baseline: Literal["greedy", "others", "mean", "none"] = "greedy"
    max_length: int = 20


class Rarity(NamedTuple):
    """What n-grams of token ids weigh, by order: sorted codes and their weights.

    Attributes:
        codes: each n-gram as one number, ascending.
        weights: log(pictures / pictures whose references hold it).
        rarest: weight of an n-gram that no reference holds: log(pictures).
        vocab: base of the codes.
    """

    codes: tuple[Int[Tensor, " k"], ...]
    weights: tuple[Float[Tensor, " k"], ...]
    rarest: float
    vocab: int

    def of(self, code: Int[Tensor, "..."], order: int) -> Float[Tensor, "..."]:
        """The weights of n-grams."""
        codes = self.codes[order - 1].to(code.device)
        weights = self.weights[order - 1].to(code.device)
        place = torch.searchsorted(codes, code).clamp(max=len(codes) - 1)
        return torch.where(codes[place] == code, weights[place], self.rarest)


def grams(tokens: Int[Tensor, "... t"], mask: Tensor, order: int, vocab: int):
    """N-grams as numbers, and which of them lie wholly in real tokens."""
    length = tokens.shape[-1] - order + 1
    code = torch.zeros_like(tokens[..., : max(length, 0)])
    for j in range(order):
        code = code * vocab + tokens[..., j : j + code.shape[-1]]
    return code, mask[..., order - 1 :]


def count_rarity(
    references: Int[Tensor, "b r t"], mask: Bool[Tensor, "b r t"], vocab: int
) -> Rarity:
    """Rarity of the n-grams of a corpus; each picture counts once for each.

    Args:
        references: without their start token, with their end.
        mask: True = real.
        vocab: number of tokens.
    """
    found = []
    for order in range(1, ORDER + 1):
        code, real = grams(references, mask, order, vocab)
        picture = torch.arange(len(code))[:, None, None].expand_as(code)[real]
        codes, number = code[real].unique(return_inverse=True)
        pair = (picture * len(codes) + number).unique()
        held = torch.bincount(pair % len(codes), minlength=len(codes))
        found.append((codes, (len(code) / held).log()))
    codes, weights = zip(*found, strict=True)
    rarest = float(torch.tensor(float(len(references))).log())
    return Rarity(codes, weights, rarest, vocab)


def cider_d(
    said: Int[Tensor, "b s t"],
    mask: Bool[Tensor, "b s t"],
    references: Int[Tensor, "b r u"],
    reference_mask: Bool[Tensor, "b r u"],
    rarity: Rarity,
) -> Float[Tensor, "b s"]:
    """CIDEr-D of captions as token ids, in tensors, so that a GPU can reward too.

    Both sides hold their end tokens: a caption that does not end loses the n-grams
    that an end is part of.

    Source: as `mmdl_lib.metrics.cider`, whose values it has on equal words.
    """
    total = 0.0
    for order in range(1, ORDER + 1):
        one, real = grams(said, mask, order, rarity.vocab)
        other, true = grams(references, reference_mask, order, rarity.vocab)
        weight = rarity.of(one, order) * real
        count, norm = _counted(one, real, weight)
        norm_true = _counted(other, true, rarity.of(other, order) * true)[1]
        same = one[:, :, None, :, None] == other[:, None, :, None, :]
        known = (same & true[:, None, :, None, :]).sum(-1)  # (b, s, r, n-grams)
        # an n-gram that is said k times stands k times in the sum: 1 / k of it each
        both = known * known.minimum(count[:, :, None]) / count[:, :, None].clamp(min=1)
        dot = (both * weight.square()[:, :, None]).sum(-1)
        total = total + dot / (norm[:, :, None] * norm_true[:, None]).clamp(min=1e-12)
    delta = mask.sum(-1)[:, :, None] - reference_mask.sum(-1)[:, None]
    alike = torch.exp(-delta.square() / (2 * SIGMA**2))
    return (10 / ORDER * total * alike).mean(-1)


def _counted(code: Tensor, real: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """How often each n-gram stands in its text, and the norm of the text's weights."""
    same = (code[..., :, None] == code[..., None, :]) & real[..., None, :]
    count = same.sum(-1)
    return count, (count * weight.square()).sum(-1).sqrt()


def until_end(tokens: Int[Tensor, "... t"]) -> Bool[Tensor, "... t"]:
    """True up to the first end token and on it."""
    ended = (tokens == END).long()
    return ended.cumsum(-1) - ended == 0


def self_critical_loss(
    log_prob: Float[Tensor, "b s t"],
    mask: Bool[Tensor, "b s t"],
    reward: Float[Tensor, "b s"],
    baseline: Float[Tensor, "b s2"],
) -> Float[Tensor, ""]:
    """What pushes sampled words up where the reward exceeds the baseline.

    Args:
        log_prob: of each sampled token, the end token among them.
        mask: True up to the end token and on it.
        reward: of each sample; no gradient runs through it.
        baseline: what is expected of the picture, for all samples or each; likewise.

    Source: the paper's eq. (7), as a mean over the real tokens.
    """
    check_some("mask of what is said", mask)
    # eq. (7): dL/ds_t = (r(w^s) - r(w-hat)) (p(w_t) - 1[w_t])
    advantage = (reward - baseline).detach()[..., None]
    return -(advantage * log_prob * mask).sum() / mask.sum()


class SelfCritical(Model):
    """A captioner that is trained by the rewards of what it says.

    Args:
        config: how it is trained.
        captioner: what is trained; None: a fresh one of the config's sizes.
        rarity: what is rare in the corpus, of `count_rarity`; None: all n-grams weigh
            the same. A batch is too small to tell what is rare.

    Example:
        >>> model = SelfCritical.from_preset("tiny")
        >>> batch = SelfCritical.example_batch(model.config, 2)
        >>> sorted(model.loss(batch))
        ['baseline', 'loss', 'reward']
    """

    PRESETS = {
        "tiny": SCSTConfig(captioner=ShowAttendTell.PRESETS["tiny"], samples=3),
        "tiny-others": SCSTConfig(
            captioner=Captioner.PRESETS["tiny"], samples=3, baseline="others"
        ),
        "tiny-m2": SCSTConfig(
            captioner=M2.PRESETS["tiny"], samples=3, draws="beams", baseline="mean"
        ),
        "coco": SCSTConfig(),
    }
    LEARNED = {"main": None}  # its loss is a device for a gradient, and no measure

    def __init__(
        self,
        config: SCSTConfig,
        *,
        captioner: Teller | None = None,
        rarity: Rarity | None = None,
    ):
        super().__init__(config)
        if captioner is None:
            kinds = {ShowAttendTellConfig: ShowAttendTell, CaptionerConfig: Captioner}
            kinds[M2Config] = M2
            captioner = kinds[type(config.captioner)](config.captioner)
        self.captioner, self.rarity = captioner, rarity

    def loss(self, batch: dict, *, phase="main", generator=None) -> dict[str, Tensor]:
        """Draw, reward, compare.

        Args:
            batch: what the captioner sees, `references (b, r, t)` framed by start and
                end, and `reference_mask`.

        Raises:
            ValueError: a reference without its end; as `draw` and the captioner.
        """
        references, true = batch["references"], batch["reference_mask"]
        check_ended(references.flatten(0, 1), true.flatten(0, 1))
        said, best = self.draw(batch, generator)
        given = (references[:, :, 1:], true[:, :, 1:], self._rarity(references))
        reward = cider_d(said, until_end(said), *given)
        if self.config.baseline == "greedy":
            baseline = cider_d(best[:, None], until_end(best[:, None]), *given)
        elif self.config.baseline == "mean":
            baseline = reward.mean(1, keepdim=True)
        else:
            baseline = others(reward) * (self.config.baseline == "others")
        log_prob = self.log_prob(batch, said, generator)
        loss = self_critical_loss(log_prob, until_end(said), reward, baseline)
        return {"loss": loss, "reward": reward.mean(), "baseline": baseline.mean()}

    @torch.no_grad()
    def draw(self, batch: dict, generator=None):
        """Captions (b, s, t), and greedy ones (b, t) where these are the baseline.

        All are made in evaluation mode.

        Raises:
            ValueError: more beams than there are tokens.
        """
        was = self.captioner.training
        self.captioner.eval()
        memory, s = self.captioner.known(batch), self.config.samples
        longest, best = self.config.max_length, None
        search = partial(self.captioner.search, max_length=longest)
        if self.config.baseline == "greedy":
            best = search(memory, end=None).tokens
        if self.config.draws == "beams":
            said = search(memory, decode.beam_search, beams=s).tokens
        else:
            row = torch.arange(len(memory.values), device=memory.values.device)
            several = decode.select(memory, row.repeat_interleave(s))
            found = search(several, decode.sample, generator=generator, end=None)
            said = rearrange(found.tokens, "(b s) t -> b s t", s=s)
        self.captioner.train(was)
        return said, best

    def log_prob(
        self, batch: dict, said: Int[Tensor, "b s t"], generator=None
    ) -> Float[Tensor, "b s t"]:
        """log p of each token that was said, with its gradient."""
        flat = rearrange(said, "b s t -> (b s) t")
        tokens = F.pad(flat[:, :-1], (1, 0), value=START)
        with seeded(generator):
            memory = self.captioner.known(batch)
            row = torch.arange(len(said), device=said.device)
            several = decode.select(memory, row.repeat_interleave(said.shape[1]))
            logits = self.captioner.told(tokens, several)
        found = logits.log_softmax(-1).gather(-1, flat[..., None])[..., 0]
        return rearrange(found, "(b s) t -> b s t", s=said.shape[1])

    def _rarity(self, references: Tensor) -> Rarity:
        if self.rarity is not None:
            return self.rarity
        # one code that no n-gram has: all are the rarest
        none = torch.full((1,), -1, device=references.device)
        vocab = self.captioner.config.vocab
        return Rarity((none,) * ORDER, (none.float(),) * ORDER, 1.0, vocab)

    @classmethod
    def example_batch(cls, config, n: int, *, generator=None) -> dict[str, Tensor]:
        """Random pictures, each with two references."""
        inner = config.captioner
        texts = example_captions(inner.vocab, 2 * n, generator)
        if isinstance(inner, M2Config):
            some = M2.example_batch(inner, n, generator=generator)
            seen = {name: some[name] for name in M2.SEEN}
        else:
            shape = n, 3, inner.image_size, inner.image_size
            seen = {"image": 2 * torch.rand(shape, generator=generator) - 1}
        return seen | {
            "references": texts["tokens"].unflatten(0, (n, 2)),
            "reference_mask": texts["mask"].unflatten(0, (n, 2)),
        }


def others(reward: Float[Tensor, "b s"]) -> Float[Tensor, "b s"]:
    """For each sample the mean reward of the picture's other samples."""
    s = reward.shape[1]
    return (reward.sum(1, keepdim=True) - reward) / max(s - 1, 1)
