"""The priors of DALL-E 2: from a caption to CLIP's embedding of a picture of it.

**Paper** Ramesh, Dhariwal, Nichol, Chu, Chen, "Hierarchical Text-Conditional Image
Generation with CLIP Latents", 2022, arXiv 2204.06125.

**Book** `sec-dalle2`

**Symbols**
- `picture (b, d)`, `text (b, d)` = z_i, z_t: CLIP's embeddings, both of length one
- `words (b, t, e)`, `mask (b, t)` = the encoded caption y: states of CLIP's text tower
- `x (b, d)` = z_i^(t), the noised embedding; `step (b,)` = t - 1
- `codes (b, p)`: the autoregressive prior's bins, one for each principal component
- `dot (b,)`: the token of z_i . z_t

**Start**
- As PyTorch does, but for positions, query, empty captions and the tables of codes and
  dots: deviation 0.02.

**Differs from the paper**
- Embeddings are standardized by the data's means and one deviation (`begin`). What the
  paper does is not known to us; code that others released does this, or multiplies by
  sqrt(d).
- A sampled embedding is brought back to length one.
- Sizes of "1B" are those of diffusers' `PriorTransformer`, not read in the paper.
- Bins of the autoregressive prior have equal width between the data's ends; z_i . z_t
  has its token drawn evenly from the upper half.

**Builds on** `nn.diffusion` (the process, guidance), CLIP
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mmdl_lib.borders import check_mask, check_number
from mmdl_lib.core import Config, Model
from mmdl_lib.nn import Transformer
from mmdl_lib.nn.diffusion import Diffusion, check_shape, guided, times

EXTRA = 4  # places of the row behind the caption


@dataclass(frozen=True, kw_only=True)
class PriorConfig(Config):
    """Sizes of both priors; by default diffusers' `PriorTransformer`."""

    embed: int = 768  # of CLIP's embeddings
    words: int = 768  # width of the encoded caption
    text: int = 77  # places of the caption
    width: int = 2048
    depth: int = 20
    heads: int = 32
    empty: float = 0.1  # share of the captions that are left out in training
    steps: int = 1000  # of the diffusion
    components: int = 319  # of the autoregressive prior: principal components,
    bins: int = 1024  # their values,
    dots: int = 16  # and those of z_i . z_t


TINY = PriorConfig(
    embed=8, words=8, text=6, width=32, depth=2, heads=2, empty=0.5, steps=50,
    components=4, bins=5, dots=4,
)  # fmt: skip
SHAPES = PriorConfig(
    embed=64, words=64, text=20, width=64, depth=2, heads=4, components=24, bins=32
)


def nearest(
    pictures: Float[Tensor, "n b d"], text: Float[Tensor, "b d"]
) -> Float[Tensor, "b d"]:
    """Of several embeddings for each text, the one with the largest z_i . z_t."""
    best = (pictures * text).sum(-1).argmax(0)
    return pictures[best, torch.arange(len(text), device=text.device)]


class Row(nn.Module):
    """What both priors read: the caption, its embedding, then places of their own."""

    def __init__(self, config: PriorConfig, places: int):
        super().__init__()
        c = config
        self.places = places
        self.words = nn.Linear(c.words, c.width)
        self.text = nn.Linear(c.embed, c.width)
        self.positions = nn.Parameter(0.02 * torch.randn(c.text + places, c.width))
        # a caption that is left out: one word, and an embedding
        self.no_words = nn.Parameter(0.02 * torch.randn(c.words))
        self.no_text = nn.Parameter(0.02 * torch.randn(c.embed))
        self.transformer = Transformer(c.width, c.depth, c.heads)
        self.norm = nn.LayerNorm(c.width)

    def forward(
        self,
        words: Float[Tensor, "b t e"],
        mask: Bool[Tensor, "b t"],
        text: Float[Tensor, "b d"],
        rest: Float[Tensor, "b n w"],
        empty: Bool[Tensor, " b"] | None = None,
    ) -> Float[Tensor, "b n w"]:
        """States at the places of `rest`; each has seen what stands before it."""
        t, n = words.shape[1], rest.shape[1]
        if empty is not None:
            words = torch.where(empty[:, None, None], self.no_words, words)
            first = torch.arange(t, device=mask.device) == 0
            mask = torch.where(empty[:, None], first, mask)
            text = torch.where(empty[:, None], self.no_text, text)
        row = [self.words(words), self.text(text)[:, None], rest]
        start = len(self.positions) - self.places
        # places behind the caption are the same, however short it is
        places = [self.positions[:t], self.positions[start : start + 1 + n]]
        x = torch.cat(row, 1) + torch.cat(places)
        mask = F.pad(mask, (0, 1 + n), value=True)
        x = self.transformer(x, mask, causal=True)
        return self.norm(x[:, t + 1 :])


def check_caption(config: PriorConfig, words, mask, text) -> None:
    """Check what a prior reads.

    Raises:
        ValueError: other widths, too many places, a mask of another shape.
    """
    c = config
    wide, most = words.shape[-1] == c.words, words.shape[1] <= c.text
    if not (wide and most and text.shape == (len(words), c.embed)):
        raise ValueError(
            f"expected at most {c.text} words of width {c.words} and texts of width "
            f"{c.embed}, got {tuple(words.shape)} and {tuple(text.shape)}."
        )
    check_mask(mask, shape=words.shape[:2])


class Prior(Model):
    """P(z_i | y) as a diffusion whose net is a causal Transformer that says z_i.

    Example:
        >>> model = Prior.from_preset("tiny").eval()
        >>> batch = Prior.example_batch(model.config, 2)
        >>> caption = batch["words"], batch["mask"], batch["text"]
        >>> model.sample(*caption, steps=3).shape
        torch.Size([2, 8])
    """

    PRESETS = {"tiny": TINY, "shapes": SHAPES, "1B": PriorConfig()}
    LEARNED = {"main": 0.9}

    def __init__(self, config: PriorConfig):
        super().__init__(config)
        c = config
        self.diffusion = Diffusion("cosine", c.steps, target="x0")
        self.row = Row(c, EXTRA)
        self.time = nn.Sequential(
            nn.Linear(c.width, c.width), nn.SiLU(), nn.Linear(c.width, c.width)
        )
        self.noised = nn.Linear(c.embed, c.width)
        self.query = nn.Parameter(0.02 * torch.randn(c.width))
        self.out = nn.Linear(c.width, c.embed)
        # until `begin`: vectors of length sqrt(d)
        self.register_buffer("mean", torch.zeros(c.embed))
        self.register_buffer("spread", torch.full((c.embed,), c.embed**-0.5))

    @torch.no_grad()
    def begin(self, picture: Float[Tensor, "n d"]) -> None:
        """Remember means and deviations of the data, so that noise meets its equal."""
        self.mean.copy_(picture.mean(0))
        # one deviation for all: directions keep their weights
        self.spread.copy_((picture - self.mean).square().mean().sqrt())

    def forward(
        self,
        x: Float[Tensor, "b d"],
        step: Int[Tensor, " b"],
        words: Float[Tensor, "b t e"],
        mask: Bool[Tensor, "b t"],
        text: Float[Tensor, "b d"],
        empty: Bool[Tensor, " b"] | None = None,
    ) -> Float[Tensor, "b d"]:
        """The standardized embedding that the net believes behind x."""
        time = self.time(times(step, self.config.width).to(x.dtype))
        query = self.query.expand(len(x), -1)
        # the row: caption, z_t, time, noised z_i, and a place to answer at
        rest = torch.stack([time, self.noised(x), query], 1)
        return self.out(self.row(words, mask, text, rest, empty)[:, -1])

    def loss(self, batch: dict, *, phase="main", generator=None) -> dict[str, Tensor]:
        """Mean squared error of the embedding, captions left out now and then.

        Args:
            batch: `words`, `mask`, `text`, `picture`.
            phase: there is one.
            generator: of steps, noise and left out captions.
        """
        caption = batch["words"], batch["mask"], batch["text"]
        check_caption(self.config, *caption)
        check_shape("picture", batch["picture"], batch["text"].shape)
        picture = (batch["picture"] - self.mean) / self.spread
        how = {"generator": generator, "device": picture.device}
        step = self.diffusion.draw(len(picture), **how)
        noise = torch.randn(picture.shape, **how).to(picture.dtype)
        empty = torch.rand(len(picture), **how) < self.config.empty
        x = self.diffusion.q_sample(picture, step, noise)
        # paper's loss of the prior: E | f(z_i^(t), t, y) - z_i |^2
        output = self(x, step, *caption, empty)
        return {"loss": self.diffusion.error(output, picture, step, noise)}

    @torch.no_grad()
    def sample(
        self,
        words: Float[Tensor, "b t e"],
        mask: Bool[Tensor, "b t"],
        text: Float[Tensor, "b d"],
        *,
        scale: float | int = 1.0,
        steps: int = 20,
        eta: float | int = 1.0,
        tries: int = 2,
        limit: float | int = 5.0,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "b d"]:
        """Random picture embeddings of length one for captions.

        Args:
            words, mask, text: the caption, as CLIP reads it.
            scale: of the guidance; 1 is the model itself.
            steps: of the chain that are taken.
            eta: 1 is DDPM's ancestral steps, 0 is DDIM.
            tries: so many are drawn, and the nearest to the text is kept.
            limit: what is believed is clipped there, in deviations.
            generator: of all noise.

        Raises:
            ValueError: another shape of the caption, a negative scale, no tries.
        """
        check_caption(self.config, words, mask, text)
        check_number("scale", scale, 0)
        check_number("limit", limit, 0)
        check_number("tries", tries, 1, whole=True)
        caption = tuple(x.repeat(tries, *(1 for _ in x.shape[1:])) for x in
                        (words, mask, text))  # fmt: skip
        empty = mask.new_ones(tries * len(mask))

        def say(x, step):
            told = self(x, step, *caption)
            if scale == 1:
                return told
            return guided(told, self(x, step, *caption, empty), float(scale))

        how = {"device": text.device, "dtype": text.dtype}
        x = torch.randn(tries * len(text), text.shape[1], generator=generator, **how)
        how = {"steps": steps, "eta": eta, "generator": generator}
        how["settle"] = lambda x0: x0.clamp(-limit, limit)
        x = self.diffusion.sample(say, x, **how) * self.spread + self.mean
        return nearest(F.normalize(x, dim=-1).unflatten(0, (tries, -1)), text)

    @classmethod
    def example_batch(cls, config: PriorConfig, n: int, *, generator=None) -> dict:
        """Random captions of unequal length, and embeddings of length one."""
        c, how = config, {"generator": generator}
        length = torch.randint(1, c.text + 1, (n, 1), **how)
        return {
            "words": torch.randn(n, c.text, c.words, **how),
            "mask": torch.arange(c.text) < length,
            "text": F.normalize(torch.randn(n, c.embed, **how), dim=-1),
            "picture": F.normalize(torch.randn(n, c.embed, **how), dim=-1),
        }


class CodePrior(Model):
    """P(z_i | y) as a row of numbers: principal components, binned, one after another.

    Example:
        >>> model = CodePrior.from_preset("tiny").eval()
        >>> batch = CodePrior.example_batch(model.config, 9)
        >>> model.begin(batch["picture"], batch["text"])
        >>> model.encode(batch["picture"]).shape
        torch.Size([9, 4])
    """

    PRESETS = {"tiny": TINY, "shapes": SHAPES, "1B": PriorConfig()}
    LEARNED = {"main": 0.9}

    def __init__(self, config: PriorConfig):
        super().__init__(config)
        c, p = config, config.components
        self.row = Row(c, 1 + p)
        self.dots = nn.Embedding(c.dots, c.width)
        self.table = nn.Embedding(c.bins, c.width)
        for table in (self.dots, self.table):
            nn.init.normal_(table.weight, std=0.02)
        self.out = nn.Linear(c.width, c.bins)
        self.register_buffer("mean", torch.zeros(c.embed))
        self.register_buffer("basis", torch.eye(p, c.embed))
        self.register_buffer("low", torch.full((p,), -1.0))
        self.register_buffer("wide", torch.full((p,), 2 / c.bins))
        self.register_buffer("edges", torch.linspace(-1, 1, c.dots + 1)[1:-1])

    @torch.no_grad()
    def begin(self, picture: Float[Tensor, "n d"], text: Float[Tensor, "n d"]) -> None:
        """Principal components of the data, the ends of each, and quantiles of z_i.z_t.

        Raises:
            ValueError: fewer rows than components.
        """
        c = self.config
        if len(picture) < c.components:
            raise ValueError(
                f"expected at least {c.components} pictures, got {len(picture)}."
            )
        self.mean.copy_(picture.mean(0))
        rest = picture - self.mean
        # of the widest spread first
        self.basis.copy_(torch.linalg.svd(rest, full_matrices=False)[2][: c.components])
        values = rest @ self.basis.T
        self.low.copy_(values.amin(0))
        self.wide.copy_((values.amax(0) - self.low) / c.bins)
        share = torch.arange(1, c.dots, device=text.device) / c.dots
        self.edges.copy_((picture * text).sum(1).quantile(share))

    def encode(self, picture: Float[Tensor, "b d"]) -> Int[Tensor, "b p"]:
        """The bin of each component."""
        values = (picture - self.mean) @ self.basis.T
        return ((values - self.low) / self.wide).long().clamp(0, self.config.bins - 1)

    def decode(self, codes: Int[Tensor, "b p"]) -> Float[Tensor, "b d"]:
        """The embedding of length one in the middle of its bins."""
        values = self.low + (codes + 0.5) * self.wide
        return F.normalize(values @ self.basis + self.mean, dim=-1)

    def dot(
        self, picture: Float[Tensor, "b d"], text: Float[Tensor, "b d"]
    ) -> Int[Tensor, " b"]:
        """The token of z_i.z_t: which quantile of the data's it is in."""
        return torch.bucketize((picture * text).sum(1), self.edges)

    def scores(
        self,
        words: Float[Tensor, "b t e"],
        mask: Bool[Tensor, "b t"],
        text: Float[Tensor, "b d"],
        dot: Int[Tensor, " b"],
        codes: Int[Tensor, "b n"],
        empty: Bool[Tensor, " b"] | None = None,
    ) -> Float[Tensor, "b m k"]:
        """Logits of codes 1 to n + 1, each from those before it."""
        rest = torch.cat([self.dots(dot)[:, None], self.table(codes)], 1)
        return self.out(self.row(words, mask, text, rest, empty))

    def loss(self, batch: dict, *, phase="main", generator=None) -> dict[str, Tensor]:
        """Cross-entropy of a code in nats; `batch` as in `Prior.loss`."""
        caption = batch["words"], batch["mask"], batch["text"]
        check_caption(self.config, *caption)
        picture, text = batch["picture"], batch["text"]
        codes, how = self.encode(picture), {"device": picture.device}
        empty = torch.rand(len(picture), generator=generator, **how)
        empty, dot = empty < self.config.empty, self.dot(picture, text)
        scores = self.scores(*caption, dot, codes[:, :-1], empty)
        return {"loss": F.cross_entropy(scores.flatten(0, 1).float(), codes.flatten())}

    @torch.no_grad()
    def sample(
        self,
        words: Float[Tensor, "b t e"],
        mask: Bool[Tensor, "b t"],
        text: Float[Tensor, "b d"],
        *,
        temperature: float | int = 1.0,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "b d"]:
        """Random picture embeddings of length one; z_i.z_t from the upper half.

        Raises:
            ValueError: another shape of the caption, a temperature of 0 or less.
        """
        check_caption(self.config, words, mask, text)
        check_number("temperature", temperature, 1e-6)
        c, how = self.config, {"generator": generator, "device": text.device}
        dot = torch.randint(c.dots // 2, c.dots, (len(text),), **how)
        codes = dot.new_zeros(len(text), 0)
        for _ in range(c.components):
            last = self.scores(words, mask, text, dot, codes)[:, -1]
            share = (last.float() / temperature).softmax(-1)
            new = torch.multinomial(share, 1, generator=generator)
            codes = torch.cat([codes, new], 1)
        return self.decode(codes)

    example_batch = Prior.example_batch
