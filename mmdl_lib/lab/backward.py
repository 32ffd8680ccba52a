"""Real speech for data2vec, where its package is installed: played backward or not?

Prompts of a telephone exchange, one voice, have texts but no times: no second of them
can be asked for its word. What can be asked without labels: does it run forward? Half
of all seconds are turned round, also those that are learned from. The mean spectrum
does not tell, as turning leaves it the same: who tells knows how speech goes on.
"""

from functools import cache

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mmdl_lib.core import generator
from mmdl_lib.data import sounds
from mmdl_lib.lab.three_senses import BANDS, World
from mmdl_lib.metrics.probe import linear_probe
from mmdl_lib.models.data2vec import Data2Vec
from mmdl_lib.nn.mel import log_mel

RATE, MOST = 16_000, 6  # samples of a second; prompts of one to six seconds
KNOWN = 0.7  # share of the prompts that are learned from


@cache
def prompts() -> list[Float[Tensor, " t"]]:
    """All prompts of one second or more, without what filled them up.

    Raises:
        FileNotFoundError: the package is missing; the sentence names it.
    """
    found = sounds.load("asterisk", rate=RATE, seconds=MOST)
    ended = zip(found.wave, found.length.tolist(), strict=True)
    return [wave[:length] for wave, length in ended if length >= RATE]


def split(waves: list[Tensor], seed: int) -> tuple[list[Tensor], list[Tensor]]:
    """Those that are learned from, and others, of which is asked."""
    random = generator(seed)
    order = torch.randperm(len(waves), generator=random, device="cpu").tolist()
    cut = round(KNOWN * len(waves))
    return [waves[i] for i in order[:cut]], [waves[i] for i in order[cut:]]


def seconds(waves: list[Tensor], n: int, seed: int) -> World:
    """One second each, from anywhere in a prompt; label 1 where it is turned round."""
    random = generator(seed)
    which = torch.randint(len(waves), (n,), generator=random).tolist()
    share = torch.rand(n, generator=random).tolist()
    label = torch.randint(2, (n,), generator=random)
    rows = []
    for i, at, turned in zip(which, share, label.tolist(), strict=True):
        start = round(at * (len(waves[i]) - RATE))
        row = waves[i][start : start + RATE]
        rows.append(row.flip(0) if turned else row)
    return World({"sound": torch.stack(rows)}, label)


def worlds(seed: int, *, train: int, known: int, asked: int) -> tuple[World, ...]:
    """Seconds to learn from, to fit a probe on (of the same prompts), and to ask."""
    old, new = split(prompts(), seed)
    plan = ((old, train), (old, known), (new, asked))
    return tuple(seconds(x, n, 3 * seed + i) for i, (x, n) in enumerate(plan))


@torch.no_grad()
def spectrum(world: World) -> Float[Tensor, "n bands"]:
    """The mean spectrum of each row, which hears no order."""
    return log_mel(world.batch["sound"], RATE, bands=BANDS).mean(1)


@torch.no_grad()
def heard(model: Data2Vec, world: World) -> Float[Tensor, "n d"]:
    """The mean over the places of each row."""
    model.eval()
    parts = world.batch["sound"].split(250)
    return torch.cat([model.represent({"sound": part}) for part in parts])


def told(
    known: Float[Tensor, "n d"],
    label: Int[Tensor, " n"],
    asked: Float[Tensor, "m d"],
    right: Int[Tensor, " m"],
) -> float:
    """How often a linear probe says rightly which way a second runs."""
    return linear_probe(known, label, asked, right, l2=1e-2)
