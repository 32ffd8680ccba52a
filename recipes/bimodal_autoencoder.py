"""Bimodal autoencoder: what brings one modality back, and what layers first are for.

Command: python recipes/bimodal_autoencoder.py           (all that is missing)
         python recipes/bimodal_autoencoder.py masks:0   (one group, one seed)
         python recipes/bimodal_autoencoder.py summary   (the claims)
Expected: about 25 minutes on a quiet core for 16 seeds. The measured values stand in
results/bimodal_autoencoder.json, the claims in recipes/bimodal_autoencoder.toml; writes
bimodal_autoencoder_things (weights).

Two worlds: a made one where the best answer is known (`lab.paired`), and 321 words with
another artist's emoji (`data.things`). A seed of the first is a world, a start and an
order; of the second a split, a start and an order. Splits of different seeds overlap,
so intervals of the second are somewhat too narrow.
"""

from functools import cache, partial

import torch
import torch.nn.functional as F

from mmdl_lib import lab
from mmdl_lib.data import things
from mmdl_lib.lab import grounded as gr
from mmdl_lib.lab import paired
from mmdl_lib.metrics.top_k import top_k_accuracy
from mmdl_lib.models.bimodal_autoencoder import (
    BimodalAutoencoder,
    BimodalAutoencoderConfig,
)

MADE = {"text": 48, "picture": 48, "text_hidden": 40, "picture_hidden": 40}
MADE |= {"code": 40}
PAIRS, LABELED, STEPS, LR = 2000, 40, 1200, 1e-2
REAL = {"mask": 0.2, "decay": 1e-4, "delta_c": 0.0}


def fresh(seed: int, **config) -> BimodalAutoencoder:
    """Arms of one seed start with equal weights."""
    torch.manual_seed(seed)
    return BimodalAutoencoder(BimodalAutoencoderConfig(**config))


@torch.no_grad()
def measured(model, batch) -> dict:
    """Shares of the variance: rebuilt from both, and each modality from the other."""
    text, picture = batch["text"], batch["picture"]
    both = torch.cat(model.decode(model.encode_pair(text, picture)), 1)
    return {
        "rebuilt": paired.told(both, torch.cat([text, picture], 1)),
        "picture": paired.told(model.decode(model.encode_text(text))[1], picture),
        "text": paired.told(model.decode(model.encode_picture(picture))[0], text),
    }


def made(seed: int):
    """A world, pairs to learn from and new things."""
    world = paired.world(seed, width=MADE["text"])
    pairs = world.sample(PAIRS, 10_000 + seed)
    return world, pairs, world.sample(1000, 20_000 + seed)


def masks(seed: int, *, mask: float = 0.0, whole: float = 0.0) -> dict:
    """Trained with this noise, asked for what is missing."""
    world, pairs, new = made(seed)
    model = fresh(seed, **MADE, mask=mask, whole=whole, delta_c=0.0)
    batches = lab.rows(64, seed, **pairs)
    sizes = {"before": 300, "steps": STEPS, "lr": LR, "seed": seed, "softmax": False}
    paired.trained(model, batches, **sizes)
    best = paired.told(new["text"] @ world.best(), new["picture"])
    return measured(model, new) | {"best": best}


def start(seed: int, *, layers: bool, updates: int) -> dict:
    """Layers first for half of the updates, or all layers from the first update on."""
    _, pairs, new = made(seed)
    model = fresh(seed, **MADE, mask=0.2, whole=0.5, delta_c=0.0)
    before = updates // 4 if layers else 0
    sizes = {"before": before, "steps": updates - 2 * before, "softmax": False}
    paired.trained(model, lab.rows(64, seed, **pairs), **sizes, lr=LR, seed=seed)
    return measured(model, new)


def half_labeled(pairs: dict, seed: int):
    """Batches of as many rows with a label that counts as of rows without one."""
    some = lab.rows(32, seed, **{name: x[:LABELED] for name, x in pairs.items()})
    rest = lab.rows(32, seed, **{name: x[LABELED:] for name, x in pairs.items()})
    labeled = torch.arange(64) < 32

    def batches(step: int) -> dict:
        one, two = some(step), rest(step)
        return {k: torch.cat([one[k], two[k]]) for k in one} | {"labeled": labeled}

    return batches


def few(seed: int, *, delta_r: float, layers: bool) -> dict:
    """Few labels: with or without reconstruction, with or without layers first."""
    _, pairs, new = made(seed)
    model = fresh(seed, **MADE, mask=0.2, delta_r=delta_r)
    sizes = {"before": 300 if layers else 0, "steps": STEPS, "lr": LR, "seed": seed}
    paired.trained(model, half_labeled(pairs, seed), **sizes)
    with torch.no_grad():
        scores = model.scores(model.encode_pair(new["text"], new["picture"]))
    return {"accuracy": top_k_accuracy(scores, new["label"])}


@cache
def loaded():
    """All things."""
    return things.load()


def stack(seed: int, **noise) -> tuple:
    """A stack trained on the things of this seed that may be seen."""
    data, seen, asked = paired.thirds(loaded(), seed)
    model = fresh(seed, **REAL | noise)
    batches = lab.rows(64, seed, **{name: x[seen] for name, x in data.items()})
    sizes = {"before": 300, "steps": 600, "lr": 3e-3, "seed": seed, "softmax": False}
    return paired.trained(model, batches, **sizes), data, seen, asked


def topic(x, data, seen, asked) -> float:
    """Accuracy of the topic that a ridge regression tells from vectors."""
    target = F.one_hot(data["label"]).double().numpy()
    filed = data["labeled"]
    one, two = (rows[filed[rows]].numpy() for rows in (seen, asked))
    said = gr.told(x.double().numpy(), target, one, two)
    return float((said.argmax(1) == target[two].argmax(1)).mean())


@torch.no_grad()
def emoji(seed: int, **noise) -> dict:
    """Topics from codes and vectors, and pictures brought back from words."""
    with torch.enable_grad():
        model, data, seen, asked = stack(seed, **noise)
    text, picture = data["text"], data["picture"]
    vectors = {
        "code": model.encode_pair(text, picture),
        "text layer": model.text.encode(text),
        "picture layer": model.picture.encode(picture),
        "text": text,
        "picture": picture,
        "side by side": torch.cat([text, picture], 1),
    }
    found = {name: topic(x, data, seen, asked) for name, x in vectors.items()}
    said = model.decode(model.encode_text(text[asked]))[1].double().numpy()
    true = picture.double().numpy()
    ridge = gr.told(text.double().numpy(), true, seen.numpy(), asked.numpy())
    found["matched"] = gr.matched(said, true[asked.numpy()])
    return found | {"ridge matched": gr.matched(ridge, true[asked.numpy()])}


def weights() -> dict:
    """The stack of seed 0 with whole modalities masked, for the chapter to load."""
    model, *_ = stack(0, whole=0.5)
    lab.save_weights(model, "bimodal_autoencoder", "things")
    return {"numbers": sum(p.numel() for p in model.parameters())}


LAB = lab.Lab(
    "bimodal_autoencoder",
    groups={
        "masks": {
            "none": masks,
            **{f"single {v}": partial(masks, mask=v) for v in (0.25, 0.5, 0.75)},
            **{f"whole {w}": partial(masks, whole=w) for w in (0.5, 0.9)},
        },
        "start": {
            f"{name}/{n}": partial(start, layers=name == "layers first", updates=n)
            for name in ("layers first", "at once")
            for n in (200, 600, 1800)
        },
        "few": {
            f"{name}/{loss}": partial(few, delta_r=r, layers=name == "layers first")
            for name in ("layers first", "at once")
            for loss, r in (("both", 1.0), ("labels", 0.0))
        },
        "emoji": {
            "whole": partial(emoji, whole=0.5),
            "single": partial(emoji, mask=0.5),
        },
    },
    once={"weights": weights},
    claims=lab.read_claims(__file__),
    least=16,
)

if __name__ == "__main__":
    LAB.main()
