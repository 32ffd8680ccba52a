"""Train data2vec on pictures, texts and sounds, with one thing changed at a time.

Command: python recipes/data2vec.py            (all that is missing, then the claims)
         python recipes/data2vec.py pictures:0     (all arms of one kind, one seed)
Expected: one to six minutes for a kind and seed on one core, two hours for all; the
same loss learns in all three, and what helps in one does not help in each.
"""

from dataclasses import replace
from functools import partial

import torch

from mmdl_lib import lab
from mmdl_lib.core import generator
from mmdl_lib.lab import three_senses as senses
from mmdl_lib.models.data2vec import Data2Vec

TRAIN, KNOWN, ASKED, BATCH, EVERY = 4000, 1000, 2000, 32, 20
FIT = {"lr": 2e-3, "weight_decay": 0.01}


def held(step, steps):
    """The rate's share: up in 50 steps, held, and down in the last quarter."""
    return min(1.0, (step + 1) / 50, max(0.03, 4 * (1 - step / steps)))


def fresh(kind, seed, *, model=Data2Vec, **changes):
    """All arms of one seed start from the same student."""
    torch.manual_seed(seed)
    return model(replace(senses.CONFIGS[kind], **changes))


def train(model, kind, seed, steps):
    """The losses, and with them the deviations of targets and predictions."""
    world = senses.WORLDS[kind](lab.short(TRAIN, least=100), seed)
    rows = len(world.label)

    def batches(step):
        random = generator(1_000_003 * seed + step)
        return senses.rows(world, torch.randint(rows, (BATCH,), generator=random))

    losses = lab.train(model, batches, steps=steps, schedule=held, **FIT).losses
    return {name: lab.means(values, EVERY) for name, values in losses.items()}


def judge(model, kind, seed):
    """Probe, rank, spread; fewer rows in a smoke run."""
    known, asked = (lab.short(n, least=200) for n in (KNOWN, ASKED))
    return senses.judge(model, kind, seed, known=known, asked=asked)


def run(seed, *, kind, model=Data2Vec, **changes):
    """Train and judge."""
    net = fresh(kind, seed, model=model, **changes)
    curves = train(net, kind, seed, senses.STEPS[kind])
    return judge(net, kind, seed) | {"curves": curves}


def untrained(seed, *, kind):
    """The same nets before any training."""
    return judge(fresh(kind, seed), kind, seed)


def again(seed, *, k):
    """Texts with seeds that nobody had seen when the sweep suggested a claim."""
    return run(seed + 10, kind="texts", k=k)


def weights(kind):
    """The net that the chapter loads, seed 0."""
    model = fresh(kind, 0)
    curves = train(model, kind, 0, senses.LONG[kind])
    lab.save_weights(model, "data2vec", kind)
    return judge(model, kind, 0) | {"curves": curves}


ARMS = {
    "data2vec": {},
    "each place alone": {"model": senses.Alone},
    "the input itself": {"model": senses.Local},
    "last block only": {"k": 1},
    "no norm": {"norm": "none"},
    "teacher copied": {"tau_start": 0.0, "tau_end": 0.0},
    "single places": {"block": 1},
}
GROUPS = {
    kind: {"untrained": partial(untrained, kind=kind)}
    | {name: partial(run, kind=kind, **change) for name, change in ARMS.items()}
    | {"other norm": partial(run, kind=kind, norm=senses.OTHER[kind])}
    for kind in senses.WORLDS
}
# between the last block and all four: no claim stands on it
GROUPS["sweep"] = {
    f"{kind} {k}": partial(run, kind=kind, k=k)
    for kind in ("texts", "pictures")
    for k in (2, 3)
}
# what the sweep suggested, on seeds of its own
GROUPS["again"] = {
    name: partial(again, k=k) for name, k in (("last", 1), ("two", 2), ("all", 4))
}
LAB = lab.Lab(
    "data2vec",
    groups=GROUPS,
    exact={"sweep": 6},
    once={f"weights {kind}": partial(weights, kind) for kind in senses.WORLDS},
    claims=lab.read_claims(__file__),
    least=6,
    budget=150,
)

if __name__ == "__main__":
    LAB.main()
