"""Ask of captioners what attention finds, and what training on a metric costs.

Command: python recipes/captioning.py            (all that is missing)
         python recipes/captioning.py rewards:0  (one group, one seed)
         python recipes/captioning.py summary    (the claims)
Expected: about 20 minutes on a quiet core. Rewards raise CIDEr-D, and with it the share
of captions that are wholly true falls. The values stand in results/captioning.json, the
claims in recipes/captioning.toml.
"""

import copy
from collections import Counter
from functools import cache, partial
from statistics import mean

import torch

from mmdl_lib import lab
from mmdl_lib.core import generator
from mmdl_lib.data import clipart
from mmdl_lib.data.text import WordTokenizer
from mmdl_lib.lab import captioning, telling
from mmdl_lib.lab.engine import short
from mmdl_lib.models.captioner import CaptionerConfig, RegionCaptioner
from mmdl_lib.models.scst import SCSTConfig, SelfCritical, count_rarity
from mmdl_lib.models.show_attend_tell import ShowAttendTell, ShowAttendTellConfig
from mmdl_lib.nn import decode

VOCAB = telling.tokenizer().vocab
# captions of two and three objects; four would make the runs too long
FEW = {"objects": (2, 3), "regions": True}
SMALL = {"region": captioning.REGION_WIDTH, "vocab": VOCAB, "width": 64}
SMALL |= {"encoder": 1, "decoder": 2, "heads": 4, "dropout": 0.0}
STEPS, REWARDED, RATE, REWARD_RATE = 800, 120, 3e-3, 1e-3
# pictures of one to three small objects, whose order one can see
CLEAR = {"objects": (1, 3), "sizes": "small", "textures": "solid", "gap": 2.0}
LOOKS = {"image_size": 32, "stages": (32, 96), "vocab": VOCAB, "width": 128}
LOOKS |= {"embed": 64, "inner": 32}


def small(seed: int) -> RegionCaptioner:
    """An untrained captioner of regions."""
    torch.manual_seed(seed)
    return RegionCaptioner(CaptionerConfig(**SMALL))


def judged(model, test: telling.Told, method=decode.greedy, **options) -> dict:
    """The measures of captioning, and what they do not see."""
    texts = telling.said(model, test.seen, method, **options)
    found = captioning.scores(texts, test.scenes)
    found["true"] = telling.truth(texts, test.scenes)
    said, there = map(telling.objects, texts), test.scenes.count.tolist()
    number = list(zip(said, there, strict=True))
    found["too few"] = mean(n < m for n, m in number)
    found["too many"] = mean(n > m for n, m in number)
    forms = Counter(map(telling.form, texts))
    return found | {"forms": dict(forms), "commonest": max(forms.values()) / len(texts)}


def learned(model, data: telling.Told, seed: int, *, steps: int, lr: float) -> list:
    """Maximum likelihood on random captions of random scenes."""
    history = lab.train(model, telling.batches(data, 64, seed), steps=steps, lr=lr)
    return lab.means(history.losses["loss"], 50)


def rewards(seed: int) -> dict:
    """Likelihood; then as many steps of rewards, or of likelihood, from there."""
    data = telling.told(6000, seed, **FEW)
    test = telling.told(300, 50_000 + seed, **FEW)
    model = small(seed)
    found = {"loss": learned(model, data, seed, steps=STEPS, lr=RATE)}
    found["greedy"] = judged(model, test)
    found["beam"] = judged(model, test, decode.beam_search, beams=4)
    draws = {"generator": generator(seed), "top_p": 0.9}
    found["nucleus"] = judged(model, test, decode.sample, **draws)
    more = copy.deepcopy(model)
    learned(more, data, seed + 500, steps=REWARDED, lr=REWARD_RATE)
    found["likelihood"] = judged(more, test)
    tokens, mask = telling.references(data)
    critic = SelfCritical(
        SCSTConfig(captioner=model.config, samples=5, max_length=22),
        captioner=model,
        rarity=count_rarity(tokens[:, :, 1:], mask[:, :, 1:], VOCAB),
    )
    batches = telling.rewarded(data, 32, seed)
    history = lab.train(critic, batches, steps=REWARDED, lr=REWARD_RATE)
    for name in ("reward", "baseline"):
        found[name] = lab.means(history.losses[name], 10)
    return found | {"rewarded": judged(model, test)}


@cache
def pictures(n: int, seed: int) -> telling.Told:
    """Pictures with their barest captions."""
    return telling.told(n, seed, forms=1, **CLEAR)


def look(seed: int, *, look: str, doubly: float) -> dict:
    """A soft look for each word, or one vector for all words."""
    torch.manual_seed(seed)
    model = ShowAttendTell(ShowAttendTellConfig(**LOOKS, look=look, doubly=doubly))
    alone = {k: CLEAR[k] for k in ("sizes", "textures")}
    found = {"named": telling.recognize(model.encoder, seed, steps=250, **alone)}
    test = pictures(400, 50_000 + seed)
    before = telling.pointed(model, test)
    curve = learned(model, pictures(8000, seed), seed, steps=LOOK_STEPS, lr=2e-3)
    texts = telling.said(model, test.seen, max_length=14)
    for n in (1, 2, 3):
        row = (test.scenes.count == n).nonzero()[:, 0].tolist()
        some = [texts[i] for i in row]
        found[f"exact {n}"] = captioning.exact(some, test.scenes[row])
    found |= {"exact": captioning.exact(texts, test.scenes), "loss": curve}
    return found | {"pointed": telling.pointed(model, test), "pointed before": before}


LOOK_STEPS = 600


def art(seed: int) -> dict:
    """Names of clip art: of kinds that are trained on, and of others."""
    train, test = (clipart.load(split, size=32) for split in ("train", "test"))
    words = sorted({w for name in train.name for w in telling.words_of(name)})
    tokenizer = WordTokenizer(words, length=16)
    rows = telling.nameable(test.name, words)
    torch.manual_seed(seed)
    config = ShowAttendTellConfig(**LOOKS | {"vocab": tokenizer.vocab}, doubly=0.0)
    model = ShowAttendTell(config)
    tokens, mask = tokenizer([" ".join(telling.words_of(n)) for n in train.name])
    batches = lab.rows(
        *(64, seed),
        change=telling.mirrored,
        image=train.image,
        tokens=tokens,
        mask=mask,
    )
    lab.train(model, batches, steps=ART_STEPS, lr=2e-3)
    found = {"words": len(words), "pictures": len(rows)}
    for name, data, some in (("known", train, range(0, 1500, 5)), ("new", test, rows)):
        found[name] = telling.named(model, data, list(some), tokenizer, seed)
    return found


ART_STEPS = 400


def weights() -> dict:
    """The captioner that the chapter loads: two to four objects, five captions each."""
    kind = {"objects": (2, 4), "regions": True}
    torch.manual_seed(0)
    model = RegionCaptioner.from_preset("shapes")
    data = telling.told(short(40_000, least=500), 0, **kind)
    curve = learned(model, data, 0, steps=SHIPPED, lr=2e-3)
    lab.save_weights(model, "captioner", words=telling.tokenizer().words)
    found = {"loss": curve, "params": sum(p.numel() for p in model.parameters())}
    for name in ("exclude", "only"):
        test = telling.told(short(2000, least=20), 9, held_out=name, **kind)
        found["seen" if name == "exclude" else "held out"] = judged(model, test)
    return found


SHIPPED = 8000

GROUPS = {
    "rewards": rewards,
    "look": {
        "soft": partial(look, look="soft", doubly=0.0),
        "mean": partial(look, look="mean", doubly=0.0),
        "doubly": partial(look, look="soft", doubly=1.0),
    },
    "art": art,
}
LAB = lab.Lab(
    "captioning",
    groups=GROUPS,
    once={"weights": weights},
    claims=lab.read_claims(__file__),
    least=6,
)

if __name__ == "__main__":
    LAB.main()
