"""Pictures, texts and sounds for data2vec, small and made, and its rivals.

In each world something is asked that no single place tells:

- pictures: the shape of one large object of any color at any place;
- texts: the topic. Each word belongs to two of eight topics, so that only two words
  together tell which one it is; it is asked at a single word in the middle;
- sounds: which of 24 words of a made language was spoken, by a voice of any pitch.
"""

from dataclasses import replace
from functools import cache
from itertools import combinations
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from mmdl_lib.borders import check_some
from mmdl_lib.core import generator
from mmdl_lib.data import shapes, sounds
from mmdl_lib.metrics.collapse import effective_rank, spread
from mmdl_lib.metrics.probe import linear_probe
from mmdl_lib.models.data2vec import (
    SOUND,
    TEXT,
    Data2Vec,
    Data2VecConfig,
    average_top,
    smooth_l1,
)
from mmdl_lib.models.data2vec_encoders import PatchConfig, SoundConfig, TokenConfig
from mmdl_lib.models.vit import patches
from mmdl_lib.nn.mel import log_mel

TOPICS, FORMS, WORDS, BANDS = 8, 4, 16, 40
SAID = 0.5  # share of the words that belong to the topic by intent
PAIRS = list(combinations(range(TOPICS), 2))
FIRST = 3  # the numbers before are the start, padding and the end
VOCAB = FIRST + FORMS * len(PAIRS) + 1


class World(NamedTuple):
    """Rows of one kind, and what is asked about each.

    Attributes:
        batch: what the model reads.
        label: the answer for each row.
    """

    batch: dict[str, Tensor]
    label: Int[Tensor, " n"]


@cache
def pictures(n: int, seed: int) -> World:
    """One large plain object each, 24 x 24 pixels, as bytes."""
    world = {"objects": 1, "sizes": "large", "textures": "solid"}
    drawn = shapes.sample(n, seed=seed, **world)
    return World({"image": drawn.render(24)}, drawn.shape[:, 0].long())


@cache
def texts(n: int, seed: int) -> World:
    """Sixteen words of one topic each, between a start and an end."""
    random = generator(seed)
    topic = torch.randint(TOPICS, (n,), generator=random)
    has = torch.tensor([[t in pair for pair in PAIRS] for t in range(TOPICS)])
    own = torch.multinomial(has[topic].float(), WORDS, True, generator=random)
    any_ = torch.randint(len(PAIRS), (n, WORDS), generator=random)
    said = torch.rand(n, WORDS, generator=random) < SAID
    pair = torch.where(said, own, any_)
    form = torch.randint(FORMS, (n, WORDS), generator=random)
    tokens = F.pad(FIRST + FORMS * pair + form, (1, 1))
    tokens[:, -1] = 2
    return World({"tokens": tokens, "mask": tokens >= 0}, topic)


@cache
def spoken(n: int, seed: int) -> World:
    """One word each, one second of 16,000 samples."""
    found = sounds.load("made", n=n, seed=seed)
    return World({"sound": found.wave}, found.labels["word"].long())


WORLDS = {"pictures": pictures, "texts": texts, "sounds": spoken}
SMALL = Data2VecConfig(
    front=PatchConfig(image_size=(24, 24), patch=4, scale=1.0, ways=0.5),
    **{"width": 48, "depth": 4, "heads": 4, "k": 4, "block": 6, "share": 0.6},
    **{"tau_start": 0.98, "tau_end": 0.99, "tau_steps": 300},
)
READER = TokenConfig(vocab=VOCAB, positions=WORDS + 2, mask_token=VOCAB - 1)
HEARER = SoundConfig(
    **{"channels": 32, "kernels": (20, 8, 4), "strides": (10, 8, 4)},
    **{"place_layers": 2, "place_kernel": 5, "place_groups": 4},
)
CONFIGS = {
    # as for sounds: with norms over features, and with what leaves a block, as in the
    # paper, all patches of our pictures end up alike (pilots, seed 100)
    "pictures": replace(SMALL, norm="instance", target="fed"),
    "texts": replace(SMALL, **TEXT | {"front": READER, "k": 4}),
    "sounds": replace(SMALL, **SOUND | {"front": HEARER, "k": 4}),
}

OTHER = {"pictures": "layer", "texts": "instance", "sounds": "layer"}  # norms
# of 32 rows: what each arm gets, and the nets that the chapter loads
STEPS = {"pictures": 600, "texts": 300, "sounds": 300}
LONG = {"pictures": 2000, "texts": 600, "sounds": 1000}


class Alone(Data2Vec):
    """The teacher's blocks see each place by itself: targets without context."""

    @torch.no_grad()
    def targets(self, batch: dict) -> Float[Tensor, "b n d"]:
        """As data2vec's, but nobody hears of another place."""
        fed, config, extra = self.front(batch), self.config, self.front.extra
        eye = torch.eye(fed.x.shape[1], dtype=torch.bool, device=fed.x.device)
        said = self.teacher(fed._replace(mask=eye.expand(len(fed.x), -1, -1)))
        kept = [getattr(a, config.target)[:, extra:] for a in said]
        return average_top(kept, k=config.k, norm=config.norm)


class Local(Data2Vec):
    """No teacher: say what the input has at the hidden places."""

    def __init__(self, config: Data2VecConfig):
        super().__init__(config)
        size = {PatchConfig: 3 * 4**2, TokenConfig: VOCAB, SoundConfig: BANDS}
        self.head = nn.Linear(config.width, size[type(config.front)])
        self.teacher = nn.Identity()

    def loss(self, batch: dict, *, phase="main", generator=None) -> dict[str, Tensor]:
        """Cross-entropy of words, else data2vec's distance with other targets."""
        hidden = self.hide(batch, generator=generator)
        check_some("places that are hidden", hidden)
        said, config = self(batch, hidden), self.config
        if "tokens" in batch:
            each = F.cross_entropy(said.mT, batch["tokens"], reduction="none")
        else:
            gap = smooth_l1(said, local(batch, config), beta=config.beta)
            each = gap.sum(-1) / said.shape[-1] ** 0.5
        return {"loss": (each * hidden).sum() / hidden.sum()}

    def after_step(self, step: int, *, phase="main") -> None:
        """There is no teacher."""


def local(batch: dict, config: Data2VecConfig) -> Float[Tensor, "b n p"]:
    """Pixels of a patch, mean 0 and variance 1, or the strength of bands of a frame."""
    if "image" in batch:
        x = patches(batch["image"], config.front.patch)
        return F.layer_norm(x, x.shape[2:])
    bands = log_mel(batch["sound"], bands=BANDS)
    bands = bands[:, : config.front.frames(batch["sound"].shape[1])]
    return F.instance_norm(bands.mT).mT


@torch.no_grad()
def vectors(model: Data2Vec, batch: dict) -> Float[Tensor, "n d"]:
    """What is asked for the answer: a mean over places, or one word of a text."""
    model.eval()
    if "tokens" in batch:
        return model.hear(batch)[:, WORDS // 2]
    return model.represent(batch)


def rows(world: World, row) -> dict[str, Tensor]:
    """Some rows, bytes as pixels in [-1, 1]."""
    found = {name: value[row] for name, value in world.batch.items()}
    if "image" in found:
        found["image"] = shapes.to_float(found["image"])
    return found


@torch.no_grad()
def judge(model: Data2Vec, kind: str, seed: int, *, known: int, asked: int) -> dict:
    """Numbers of a trained net on new rows.

    Args:
        model: any arm.
        kind: a key of `WORLDS`.
        seed: of the rows, which are none of those that were learned from.
        known: rows with labels from which the probe learns.
        asked: rows on which it is judged.

    Returns:
        the accuracy of a linear probe; where there is a teacher also rank and spread of
        its targets at the middle place of 250 rows, and how often a prediction finds
        its own place.
    """
    world = WORLDS[kind](known + asked, 50_000 + seed)
    parts = [rows(world, row) for row in torch.arange(known + asked).split(250)]
    x = torch.cat([vectors(model, part) for part in parts])
    pairs = x[:known], world.label[:known], x[known:], world.label[known:]
    found = {"probe": linear_probe(*pairs, l2=1e-2)}
    if isinstance(model, Local):
        return found
    target = model.targets(parts[0])
    # rows are to differ; the places of one row do anyway
    middle = target[:, target.shape[1] // 2]
    found |= {"rank": effective_rank(middle), "spread": spread(middle)}
    hidden = model.hide(parts[0], generator=generator(seed))
    return found | {"finds": finds(model, parts[0], hidden)[0]}


@torch.no_grad()
def finds(
    model: Data2Vec, batch: dict, hidden: Tensor, *, other: int = 0
) -> tuple[float, float]:
    """How often a prediction is nearest to the target of its own place.

    Args:
        model: has targets.
        batch: the rows.
        hidden: places that are asked.
        other: 0 for the row's own targets; else those of the row so many before it, in
            which only the place is the same: what is found then is found by place.

    Returns:
        share of the hidden places whose prediction has a larger cosine with their own
        target than with those of all other hidden places of the row; and what guessing
        would give.
    """
    said = F.normalize(model.eval()(batch, hidden), dim=2)
    goal = F.normalize(model.targets(batch).roll(other, 0), dim=2)
    cosine = (said @ goal.mT).masked_fill(~hidden[:, None], -2.0)
    place = torch.arange(hidden.shape[1], device=hidden.device)
    right = (cosine.argmax(2) == place) & hidden
    guess = hidden / hidden.sum(1, keepdim=True)
    count = hidden.sum()
    return (right.sum() / count).item(), (guess.sum() / count).item()
