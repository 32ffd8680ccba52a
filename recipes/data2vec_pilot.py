"""Pilots of the pictures for data2vec; to be deleted."""

from dataclasses import replace
from functools import partial

import torch

from mmdl_lib import lab
from mmdl_lib.core import generator
from mmdl_lib.data import shapes
from mmdl_lib.lab import three_senses as senses
from mmdl_lib.models.data2vec import Data2Vec


def held(step, steps):
    return min(1.0, (step + 1) / 50, max(0.03, 4 * (1 - step / steps)))


def run(
    seed,
    *,
    kind="pictures",
    cls="Data2Vec",
    lr=2e-3,
    std=0.5,
    scale=1.0,
    steps=600,
    **changes,
):
    config = replace(senses.CONFIGS[kind], **changes)
    if kind == "pictures":
        config = replace(config, front=replace(config.front, scale=scale))
    config = (
        replace(config, front=replace(config.front, ways=0.02))
        if kind == "pictures"
        else config
    )
    torch.manual_seed(seed)
    model = getattr(senses, cls)(config)
    if kind == "pictures":
        model.front.bias.table.data.mul_(std / 0.02)
    world = senses.WORLDS[kind](4000, seed)

    def batches(step):
        random = generator(1_000_003 * seed + step)
        return senses.rows(world, torch.randint(4000, (32,), generator=random))

    losses = lab.train(
        model, batches, steps=steps, schedule=held, lr=lr, weight_decay=0.01
    ).losses
    found = senses.judge(model, kind, seed, known=1000, asked=2000)
    return found | {"curves": {n: lab.means(v, 50) for n, v in losses.items()}}


SLOW = {"tau_start": 0.99, "tau_end": 0.997}
VARIANTS = [
    {"norm": "layer", "steps": 1500},
    {},
    {"steps": 1500},
    {"steps": 3000},
    {"cls": "Local"},
    {"cls": "Local", "steps": 1500},
    {"cls": "Alone"},
    {"cls": "Alone", "steps": 1500},
    {"block": 1},
    {"block": 1, "steps": 1500},
    {"norm": "none", "steps": 1500},
    {"tau_start": 0.0, "tau_end": 0.0, "steps": 1500},
    {"target": "fed", "steps": 1500},
    {"lr": 1e-3, "steps": 1500},
    {**SLOW, "steps": 1500},
    {"share": 0.4, "steps": 1500},
    {"kind": "sounds", "steps": 500},
    {"kind": "sounds", "steps": 500, **SLOW},
    {"kind": "sounds", "steps": 500, "cls": "Local"},
    {"kind": "sounds", "steps": 500, "cls": "Alone"},
]
GROUPS = {f"p{i}": partial(run, **change) for i, change in enumerate(VARIANTS)}
LAB = lab.Lab("data2vec_pilot", groups=GROUPS, least=5, budget=900)

if __name__ == "__main__":
    LAB.main()
