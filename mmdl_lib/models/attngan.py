"""AttnGAN: cells of the picture look at single words, and a matching of both as a loss.

**Paper** Xu, Zhang, Huang, Zhang, Gan, Huang, He, "AttnGAN: Fine-Grained Text to Image
Generation with Attentional Generative Adversarial Networks", CVPR 2018,
arXiv 1711.10485.

**Book** `sec-gan_int_cls`

**Symbols** (section 3 of the paper)
- `words (b, t, d)` = e, a vector for each word; `sentence (b, d)` = e-bar
- `cells (b, n, c)` = h, hidden vectors of the picture that is being drawn
- `regions (b, n, d)` = v, of a finished picture; `whole (b, d)` = v-bar
- `gamma1, gamma2, gamma3`: sharpness over regions, over words, over texts
- `weight` = lambda, of the matching loss

**Start**
- As GAN-INT-CLS; the rest as in torch.

**Differs from the paper**
- R(Q, D) has the paper's exponent 1 / gamma2. The released code leaves it out, so its
  scores are gamma2 times as large.
- The defaults of the gammas are the released 4, 5 and 10.
- A discriminator pays (real + conditional real) / 2 + (fake + conditional fake +
  wrong) / 3, as in the released code.
- Words by a GRU in one direction, where the paper reads in both; regions by a small
  convnet where the paper takes Inception.
- Other rows with an equal text are left out of the matching loss; the released code
  does so for classes, on birds alone.
- Two sizes in our presets, three in the paper's.

**Builds on** `gan_int_cls`, `stackgan` (conditioning augmentation)
"""

from dataclasses import dataclass
from math import log2
from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mmdl_lib.borders import check_integers, check_mask
from mmdl_lib.core import Config, Model
from mmdl_lib.models.gan_int_cls import (
    GANINTCLS,
    check_pictures,
    down,
    mismatched,
    same_text,
)
from mmdl_lib.models.stackgan import Augmentation, Residual, divergence, doubled


@dataclass(frozen=True, kw_only=True)
class AttnGANConfig(Config):
    """Hyperparameters; the defaults are about the paper's size."""

    image_size: int = 256
    levels: int = 3  # sizes that are drawn, each twice the one before
    vocab: int = 10_000
    text: int = 256  # d
    condition: int = 100
    noise: int = 100
    width: int = 32  # c, channels of the cells
    judge: int = 64  # channels of the discriminators' largest maps
    gamma1: float = 4.0
    gamma2: float = 5.0
    gamma3: float = 10.0
    weight: float = 5.0


class Read(NamedTuple):
    """A text, word by word and as a whole; `mask` is True where a word is real."""

    words: Float[Tensor, "b t d"]
    sentence: Float[Tensor, "b d"]
    mask: Bool[Tensor, "b t"]


class Looked(NamedTuple):
    """What was found, and where: weights sum to 1 over what was looked at."""

    context: Float[Tensor, "b n d"]
    weights: Float[Tensor, "b n t"]


def attend(
    cells: Float[Tensor, "b n d"],
    words: Float[Tensor, "b t d"],
    mask: Bool[Tensor, "b t"],
) -> Looked:
    """For each cell of the picture a mean of the words, the nearer the heavier."""
    # eq. (2): beta_ji = exp(h_j e_i) / sum_k exp(h_j e_k), c_j = sum_i beta_ji e_i
    scores = (cells @ words.mT).masked_fill(~mask[:, None], -torch.inf)
    weights = scores.softmax(2)
    return Looked(weights @ words, weights)


def ground(
    words: Float[Tensor, "b t d"],
    regions: Float[Tensor, "b n d"],
    mask: Bool[Tensor, "b t"],
    *,
    gamma1: float = 4.0,
) -> Looked:
    """For each word a mean of the regions, after words have shared each region out."""
    scores = (words @ regions.mT).masked_fill(~mask[..., None], -torch.inf)
    # eq. (8): words compete for each region
    shared = scores.softmax(1)
    # eq. (9): then regions compete for each word
    weights = (gamma1 * shared).softmax(2)
    return Looked(weights @ regions, weights)


def matching(
    words: Float[Tensor, "b t d"],
    regions: Float[Tensor, "b n d"],
    mask: Bool[Tensor, "b t"],
    *,
    gamma1: float = 4.0,
    gamma2: float = 5.0,
) -> Float[Tensor, " b"]:
    """How well the words of a text are found in a picture, at most 1 for one word."""
    context = ground(words, regions, mask, gamma1=gamma1).context
    cosine = F.cosine_similarity(context, words, dim=2)
    # eq. (10): R(Q, D) = log (sum_i exp(gamma2 R(c_i, e_i)))^(1 / gamma2)
    scaled = (gamma2 * cosine).masked_fill(~mask, -torch.inf)
    return scaled.logsumexp(1) / gamma2


def matches(
    read: Read,
    regions: Float[Tensor, "b n d"],
    *,
    gamma1: float = 4.0,
    gamma2: float = 5.0,
) -> Float[Tensor, "b b"]:
    """`matching` of every picture (rows) with every text (columns)."""
    b = len(regions)
    pictures = repeat(regions, "i n d -> (i j) n d", j=b)
    words = repeat(read.words, "j t d -> (i j) t d", i=b)
    mask = repeat(read.mask, "j t -> (i j) t", i=b)
    found = matching(words, pictures, mask, gamma1=gamma1, gamma2=gamma2)
    return rearrange(found, "(i j) -> i j", i=b)


def both_ways(
    table: Float[Tensor, "b b"], same: Bool[Tensor, "b b"], *, gamma3: float = 10.0
) -> Float[Tensor, ""]:
    """Each picture should name its text, and each text its picture."""
    own = torch.eye(len(table), dtype=torch.bool, device=table.device)
    # eq. (11): P(D_i | Q_i) = softmax of gamma3 R; equal texts are no strangers
    logits = (gamma3 * table).masked_fill(same & ~own, -torch.inf)
    rows, columns = logits.log_softmax(1), logits.log_softmax(0)
    return -(rows.diagonal() + columns.diagonal()).mean()


class WordReader(nn.Module):
    """Words and a GRU: all its states, and the last real one."""

    def __init__(self, vocab: int, width: int):
        super().__init__()
        self.embedding = nn.Embedding(vocab, width)
        self.gru = nn.GRU(width, width, batch_first=True)

    def forward(self, tokens: Int[Tensor, "b t"], mask: Bool[Tensor, "b t"]) -> Read:
        """A vector for each word, zero where there is none."""
        states, _ = self.gru(self.embedding(tokens))
        last = (mask.sum(1) - 1)[:, None, None].expand(-1, 1, states.shape[2])
        return Read(states * mask[..., None], states.gather(1, last)[:, 0], mask)


class Regions(nn.Module):
    """A small convnet: 4 x 4 regions of a picture, and their mean."""

    def __init__(self, image_size: int, width: int, text: int):
        super().__init__()
        self.cells = down(image_size, width)
        channels = width << (round(log2(image_size / 4)) - 1)
        self.region, self.whole = nn.Linear(channels, text), nn.Linear(channels, text)

    def forward(self, image: Float[Tensor, "b 3 h w"]):
        """Regions (b, n, d) and the whole (b, d), in the space of the words."""
        cells = rearrange(self.cells(image), "b c h w -> b (h w) c")
        return self.region(cells), self.whole(cells.mean(1))


class Start(nn.Module):
    """F_0: noise and the sentence become the first hidden cells."""

    def __init__(self, c: AttnGANConfig):
        super().__init__()
        levels = round(log2((c.image_size >> (c.levels - 1)) / 4))
        channels = c.width << levels
        self.first = nn.Sequential(
            nn.Linear(c.noise + c.condition, channels * 16),
            nn.Unflatten(1, (channels, 4, 4)),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
        )
        steps = [doubled(channels >> i, channels >> (i + 1)) for i in range(levels)]
        self.grow = nn.Sequential(*steps)

    def forward(self, noise: Tensor, condition: Tensor) -> Float[Tensor, "b c h w"]:
        """h_0."""
        return self.grow(self.first(torch.cat([noise, condition], 1)))


class Refine(nn.Module):
    """F_i: cells look at the words, and double in size."""

    def __init__(self, c: AttnGANConfig):
        super().__init__()
        self.words = nn.Linear(c.text, c.width, bias=False)  # eq. (2): e' = U e
        self.mix = nn.Sequential(
            nn.Conv2d(2 * c.width, c.width, 3, padding=1),
            Residual(c.width),
            doubled(c.width, c.width),
        )

    def look(self, h: Float[Tensor, "b c h w"], read: Read) -> Looked:
        """Which words each cell looks at; cells line by line."""
        cells = rearrange(h, "b c h w -> b (h w) c")
        return attend(cells, self.words(read.words), read.mask)

    def forward(self, h: Float[Tensor, "b c h w"], read: Read):
        """h_i from h_(i-1) and the words."""
        context = self.look(h, read).context
        context = rearrange(context, "b (h w) c -> b c h w", h=h.shape[2])
        return self.mix(torch.cat([h, context], 1))


class Judge(nn.Module):
    """D_i: is the picture real, and does it fit the sentence? Two logits."""

    def __init__(self, image_size: int, c: AttnGANConfig):
        super().__init__()
        channels = c.judge << (round(log2(image_size / 4)) - 1)
        self.look = down(image_size, c.judge)
        self.real = nn.Sequential(nn.Conv2d(channels, 1, 4), nn.Flatten(0))
        self.fits = nn.Sequential(
            nn.Conv2d(channels + c.text, channels, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(channels, 1, 4),
            nn.Flatten(0),
        )

    def forward(self, cells: Float[Tensor, "b c 4 4"], sentence: Float[Tensor, "b d"]):
        """Logit of "it fits" for a picture that `look` has seen."""
        text = repeat(sentence, "b d -> b d 4 4")
        return self.fits(torch.cat([cells, text], 1))


def judge_loss(real, real_fits, fake, fake_fits, wrong) -> Float[Tensor, ""]:
    """What a discriminator pays, for five kinds of logits (b,)."""
    true = F.softplus(-real).mean() + F.softplus(-real_fits).mean()
    false = sum(F.softplus(x).mean() for x in (fake, fake_fits, wrong))
    return true / 2 + false / 3


_SMALL = {"image_size": 16, "levels": 2, "vocab": 38}
_TINY = _SMALL | {"text": 12, "condition": 6, "noise": 6, "width": 8, "judge": 8}
_ONE = _SMALL | {"text": 48, "condition": 16, "noise": 16, "width": 24, "judge": 24}


class AttnGAN(Model):
    """The matching of words and regions first; then all sizes at once.

    Example:
        >>> model = AttnGAN.from_preset("tiny").eval()
        >>> batch = AttnGAN.example_batch(model.config, 2)
        >>> model.sample(batch["tokens"], batch["mask"]).shape
        torch.Size([2, 3, 16, 16])
    """

    PRESETS = {
        "tiny": AttnGANConfig(**_TINY),
        "one": AttnGANConfig(**_ONE),
        "shapes": AttnGANConfig(**_ONE | {"image_size": 32}),
        "paper": AttnGANConfig(),
    }
    STAGES = (("damsm",), ("discriminator", "generator"))
    LEARNED = {"damsm": 0.9, "discriminator": None, "generator": None}

    def __init__(self, config: AttnGANConfig):
        super().__init__(config)
        c = config
        self.reader = WordReader(c.vocab, c.text)
        self.regions = Regions(c.image_size, c.judge, c.text)
        sizes = [c.image_size >> i for i in reversed(range(c.levels))]
        self.discriminator = nn.ModuleList(Judge(size, c) for size in sizes)
        self.augment = Augmentation(c.text, c.condition)
        self.start = Start(c)
        self.refine = nn.ModuleList(Refine(c) for _ in sizes[1:])
        self.paint = nn.ModuleList(nn.Conv2d(c.width, 3, 3, padding=1) for _ in sizes)

    def learners(self, phase: str = "generator") -> list[nn.Module]:
        """The matching net first; then the players, for whom it stands still."""
        return {
            "damsm": [self.reader, self.regions],
            "discriminator": [self.discriminator],
            "generator": [self.augment, self.start, self.refine, self.paint],
        }[phase]

    def read(self, tokens: Int[Tensor, "b t"], mask: Bool[Tensor, "b t"]) -> Read:
        """The text, word by word.

        Raises:
            ValueError: unknown tokens, no token in a row, or padding before one.
        """
        check_integers("tokens", tokens, 0, self.config.vocab - 1)
        check_mask(mask, shape=tokens.shape)
        return self.reader(tokens, mask)

    def encode_text(self, tokens: Tensor, mask: Tensor) -> Float[Tensor, "b d"]:
        """e-bar; errors as `read`."""
        return self.read(tokens, mask).sentence

    def hidden(self, read: Read, generator: torch.Generator | None = None):
        """Cells of all sizes, the smallest first, and the condition's Gaussian."""
        gaussian = self.augment(read.sentence)
        size = (len(read.sentence), self.config.noise)
        noise = torch.randn(size, generator=generator, device=read.sentence.device)
        hidden = [self.start(noise, gaussian.draw(generator))]
        for refine in self.refine:
            hidden.append(refine(hidden[-1], read))
        return hidden, gaussian

    def draw(self, read: Read, generator: torch.Generator | None = None):
        """Pictures of all sizes, the smallest first, and the condition's Gaussian."""
        hidden, gaussian = self.hidden(read, generator)
        pairs = zip(self.paint, hidden, strict=True)
        return [paint(h).tanh() for paint, h in pairs], gaussian

    def damsm(
        self, image: Float[Tensor, "b 3 h w"], read: Read, same: Bool[Tensor, "b b"]
    ) -> Float[Tensor, ""]:
        """Words against regions, and the sentence against the whole."""
        c, (regions, whole) = self.config, self.regions(image)
        table = matches(read, regions, gamma1=c.gamma1, gamma2=c.gamma2)
        cosine = F.normalize(whole, dim=1) @ F.normalize(read.sentence, dim=1).T
        return sum(both_ways(x, same, gamma3=c.gamma3) for x in (table, cosine))

    def loss(
        self,
        batch: dict,
        *,
        phase: str = "generator",
        generator: torch.Generator | None = None,
    ) -> dict[str, Tensor]:
        """One phase's loss; keys `image`, `tokens` and `mask`."""
        check_pictures(batch["image"], self.config.image_size)
        read = self.read(batch["tokens"], batch["mask"])
        same = same_text(batch["tokens"], batch["mask"])
        if phase == "damsm":
            return {"loss": self.damsm(batch["image"], read, same)}
        pictures, gaussian = self.draw(read, generator)
        if phase == "generator":
            terms = [self.fooled(*pair, read) for pair in self.paired(pictures)]
            fits = self.damsm(pictures[-1], read, same)
            extra = divergence(gaussian) + self.config.weight * fits
            return {"loss": sum(terms) + extra, "damsm": fits}
        other = mismatched(same, generator=generator)
        terms = []
        for judge, fake in self.paired(pictures):
            real = F.interpolate(batch["image"], fake.shape[-2:], mode="area")
            terms.append(self.told(judge, real, fake, read.sentence, other))
        return {"loss": sum(terms)}

    def paired(self, pictures: list) -> list[tuple]:
        """Each discriminator with the picture of its size."""
        return list(zip(self.discriminator, pictures, strict=True))

    def fooled(self, judge: Judge, fake: Tensor, read: Read) -> Float[Tensor, ""]:
        """What the generator pays to one discriminator."""
        cells = judge.look(fake)
        logits = judge.real(cells), judge(cells, read.sentence)
        return sum(F.softplus(-x).mean() for x in logits) / 2

    def told(self, judge: Judge, real, fake, sentence, other) -> Float[Tensor, ""]:
        """What one discriminator pays."""
        one, two = judge.look(real), judge.look(fake)
        found = (judge.real(one), judge(one, sentence))
        found += (judge.real(two), judge(two, sentence))
        return judge_loss(*found, judge(one, sentence[other]))

    @torch.no_grad()
    def sample(
        self,
        tokens: Int[Tensor, "b t"],
        mask: Bool[Tensor, "b t"],
        *,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "b 3 h w"]:
        """The largest picture for each text; errors as `read`."""
        return self.draw(self.read(tokens, mask), generator)[0][-1]

    example_batch = GANINTCLS.example_batch
