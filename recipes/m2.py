"""Measure what memory slots, meshed connections and gates do in two made worlds.

Command: python recipes/m2.py               (all that is missing, then the claims)
         python recipes/m2.py companions:0  (one group, one seed)
         python recipes/m2.py summary       (the claims)
Expected: about 15 minutes on a quiet core. The values stand in results/m2.json, the
claims in recipes/m2.toml.
"""

from dataclasses import replace
from functools import cache, partial
from statistics import mean, pstdev

import torch
from torch import nn

from mmdl_lib import lab
from mmdl_lib.lab import companions as co
from mmdl_lib.models.m2 import M2, M2Config

RATE, BATCH = 3e-3, 64
STEPS = {"companions": 400, "copies": 150, "both": 800}
EARLY = (100, 150, 200, 300, 400)  # steps at which a training is looked into
SIZES = {"vocab": co.TOKENIZER.vocab, "region_width": 196, "width": 48, "hidden": 96}
BASE = M2Config(**SIZES, heads=4, dropout=0.0)
WIDER = 40  # channels of an encoder's feed-forward part, instead of 40 slots


def fresh(seed: int, *, wider: int = 0, **changes) -> M2:
    """An untrained model; what has a place in all arms of a seed starts equal."""
    torch.manual_seed(seed)
    start = M2(BASE).state_dict()
    model = M2(replace(BASE, **changes))
    if wider:
        for block in model.encoder:
            block.fc1 = nn.Linear(BASE.width, BASE.hidden + wider)
            block.fc2 = nn.Linear(BASE.hidden + wider, BASE.width)
    own = model.state_dict()
    same = {k: v for k, v in start.items() if k in own and own[k].shape == v.shape}
    model.load_state_dict(same, strict=False)
    return model


@cache
def told(name: str, seed: int, n: int) -> co.Told:
    return co.copies(n // 4, seed) if name == "copies" else co.draw(n, seed)


def train(model: M2, data: dict, seed: int, steps: int, watch=None) -> list[float]:
    batches = lab.rows(BATCH, seed, **data)
    options = {"lr": RATE, "weight_decay": 0.01, "seed": seed, "watch": watch}
    history = lab.train(model, batches, steps=steps, **options)
    return lab.means(history.losses["loss"], 20)


def judged(model: M2, some: co.Told) -> dict:
    """Shares of captions and words that are right, the words before them given."""
    nats, right = co.word_nats(model, some)
    kinds, away = co.kinds(some), some.hidden[:, None]
    parts = {"hidden": kinds.companion & away, "seen": kinds.companion & ~away}
    parts |= {"other": kinds.other, "number": kinds.number}
    parts = {name: part for name, part in parts.items() if part.any()}
    found = {k: right[part].double().mean().item() for k, part in parts.items()}
    real = some.mask.roll(-1, 1)
    real[:, -1] = False
    found["exact"] = (right | ~real).all(1).double().mean().item()
    found["nats"] = nats[real].mean().item()
    if "hidden" in parts:
        found["hidden nats"] = nats[parts["hidden"]].mean().item()
    return found


def spread(model: M2, some: co.Told) -> float:
    """How far mean gates of four kinds of words lie apart, over layers and levels."""
    gate = model.eval().looks(*some.inputs()).gate.mean(-1)  # (b, layers, levels, t)
    kinds, found = co.kinds(some), []
    away = kinds.companion & some.hidden[:, None]
    glue = some.mask & ~kinds.companion & ~kinds.other
    parts = [away, kinds.companion & ~away, kinds.other, glue]
    for layer in range(gate.shape[1]):
        for level in range(gate.shape[2]):
            values = gate[:, layer, level]
            found.append(pstdev(values[part].mean().item() for part in parts))
    return mean(found)


def companions(seed: int, **changes) -> dict:
    """Train on scenes with companions, half of them out of the picture."""
    data, test = told("draw", seed, 12_000), told("draw", 900_000 + seed, 600)
    model, early = fresh(seed, **changes), []
    few = co.draw(200, 800_000 + seed, hidden=1)

    def watch(step, model, terms):
        if step + 1 in EARLY:
            found = judged(model, few)
            early.append([step + 1, found["hidden"], found["hidden nats"]])
            model.train()

    before = spread(model, test) if model.decoder[0].gates else None
    curve = train(model, data.batch(), seed, STEPS["companions"], watch)
    found = judged(model, test) | {"loss": curve, "early": early}
    found["params"] = sum(p.numel() for p in model.parameters())
    blind = co.draw(600, 700_000 + seed, hidden=1, owner=False)
    found["without owner"] = judged(model, blind)["hidden"]
    if before is not None:
        found["gates"] = {"before": before, "after": spread(model, test)}
        found["closed"] = [judged(co.closed(model, i), test) for i in range(3)]
    if model.config.slots:
        found["forgotten"] = judged(co.forgotten(model), test)
    return found


def copies(seed: int, **changes) -> dict:
    """Train on equal regions, and count those of new objects."""
    data, test = told("copies", seed, 8000), told("copies", 900_000 + seed, 800)
    model = fresh(seed, **changes)
    curve = train(model, data.batch(), seed, STEPS["copies"])
    found = judged(model, test) | {"loss": curve}
    if model.config.slots:
        found["forgotten"] = judged(co.forgotten(model), test)
    return found


def weights() -> dict:
    """M2 and a plain Transformer of both worlds, which the chapter loads."""
    data = co.both(told("draw", 0, 12_000), told("copies", 0, 8000))
    test = {name: told(name, 900_000, 800) for name in ("draw", "copies")}
    found = {}
    for name, changes in (("m2", {}), ("plain", PLAIN)):
        model = fresh(0, **changes)
        curve = train(model, data, 0, STEPS["both"])
        lab.save_weights(model, "m2", name, words=co.WORDS)
        found[name] = {kind: judged(model, some) for kind, some in test.items()}
        found[name]["loss"] = curve
    return found


PLAIN = {"slots": 0, "connection": "last"}
ARMS = {
    "meshed": {},
    "no slots": {"slots": 0},
    "wider": {"slots": 0, "wider": WIDER},
    "one-to-one": {"connection": "one-to-one"},
    "last": {"connection": "last"},
}
SLOTS = (0, 1, 4, 16, 40)
LAB = lab.Lab(
    "m2",
    groups={
        "copies": {str(m): partial(copies, slots=m) for m in SLOTS},
        "companions": {k: partial(companions, **v) for k, v in ARMS.items()},
    },
    once={"weights": weights},
    claims=lab.read_claims(__file__),
    least=6,
)

if __name__ == "__main__":
    LAB.main()
