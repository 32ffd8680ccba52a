"""Ask of captioners what a look for each word gains, and name real drawings.

Command: python recipes/captioning_looks.py         (all that is missing)
         python recipes/captioning_looks.py summary (the claims)
Expected: about 10 minutes on a quiet core. The values stand in
results/captioning_looks.json, the claims in recipes/captioning_looks.toml.
"""

from functools import cache, partial

import torch

from mmdl_lib import lab
from mmdl_lib.data import clipart
from mmdl_lib.data.text import WordTokenizer
from mmdl_lib.lab import captioning, telling
from mmdl_lib.models.show_attend_tell import (
    Grid,
    ShowAttendTell,
    ShowAttendTellConfig,
)

VOCAB = telling.tokenizer().vocab
# pictures of one to three small objects, whose order one can see
CLEAR = {"objects": (1, 3), "sizes": "small", "textures": "solid", "gap": 2.0}
LOOKS = {"image_size": 32, "stages": (32, 96), "vocab": VOCAB, "width": 128}
LOOKS |= {"embed": 64, "inner": 32}


@cache
def pictures(n: int, seed: int) -> telling.Told:
    """Pictures with their barest captions."""
    return telling.told(n, seed, forms=1, **CLEAR)


@cache
def recognized(seed: int):
    """Convolutions that name single objects, the same for all arms of a seed."""
    torch.manual_seed(seed)
    grid = Grid(LOOKS["image_size"], LOOKS["stages"])
    alone = {k: CLEAR[k] for k in ("sizes", "textures")}
    return grid.layers, telling.recognize(grid, seed, steps=250, **alone)


def fresh(seed: int, **changes) -> ShowAttendTell:
    """A captioner with fixed features, as in the paper."""
    layers = recognized(seed)[0]
    torch.manual_seed(seed)
    model = ShowAttendTell(ShowAttendTellConfig(**LOOKS | changes))
    model.encoder.layers.load_state_dict(layers.state_dict())
    model.encoder.layers.requires_grad_(False)
    return model


def look(seed: int, *, look: str, doubly: float) -> dict:
    """A soft look for each word, or one vector for all words."""
    model = fresh(seed, look=look, doubly=doubly)
    test = pictures(400, 50_000 + seed)
    before = telling.pointed(model, test)
    batches = telling.batches(pictures(8000, seed), 64, seed)
    history = lab.train(model, batches, steps=500, lr=3e-3)
    curve = lab.means(history.losses["nats"], 50)
    texts = telling.said(model, test.seen, max_length=14)
    found = {"named": recognized(seed)[1]}
    for n in (1, 2, 3):
        row = (test.scenes.count == n).nonzero()[:, 0].tolist()
        some = [texts[i] for i in row]
        found[f"exact {n}"] = captioning.exact(some, test.scenes[row])
    found |= {"exact": captioning.exact(texts, test.scenes), "loss": curve}
    return found | {"pointed": telling.pointed(model, test), "pointed before": before}


def art(seed: int) -> dict:
    """Names of clip art: of kinds that are trained on, and of others."""
    train, test = (clipart.load(split, size=32) for split in ("train", "test"))
    words = sorted({w for name in train.name for w in telling.words_of(name)})
    tokenizer = WordTokenizer(words, length=16)
    rows = telling.nameable(test.name, words)
    model = fresh(seed, vocab=tokenizer.vocab, doubly=0.0)
    tokens, mask = tokenizer([" ".join(telling.words_of(n)) for n in train.name])
    batches = lab.rows(
        *(64, seed),
        change=telling.mirrored,
        image=train.image,
        tokens=tokens,
        mask=mask,
    )
    lab.train(model, batches, steps=500, lr=3e-3)
    found = {"words": len(words), "pictures": len(rows)}
    for name, data, some in (("known", train, range(0, 1500, 5)), ("new", test, rows)):
        found[name] = telling.named(model, data, list(some), tokenizer, seed)
    return found


def weights() -> dict:
    """The captioner of pictures whose looks the chapter shows."""
    model, test = fresh(0, doubly=0.0), pictures(1000, 9)
    batches = telling.batches(pictures(20_000, 0), 64, 0)
    lab.train(model, batches, steps=1000, lr=3e-3)
    model.requires_grad_(True)
    lab.save_weights(model, "show_attend_tell", words=telling.tokenizer().words)
    texts = telling.said(model, test.seen, max_length=14)
    found = {"exact": captioning.exact(texts, test.scenes)}
    return found | {"pointed": telling.pointed(model, test)}


GROUPS = {
    "look": {
        "soft": partial(look, look="soft", doubly=0.0),
        "mean": partial(look, look="mean", doubly=0.0),
        # a mean over the 64 places, as in the released code, not the paper's sum
        "doubly": partial(look, look="soft", doubly=1 / 64),
    },
    "art": art,
}
LAB = lab.Lab(
    "captioning_looks",
    groups=GROUPS,
    once={"weights": weights},
    claims=lab.read_claims(__file__),
    least=6,
)

if __name__ == "__main__":
    LAB.main()
