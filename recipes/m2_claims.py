"""Ask what the second stage of M2, a reward on its own beams, does to captions.

Command: python recipes/m2_claims.py            (all that is missing)
         python recipes/m2_claims.py rewards:0  (one group, one seed)
         python recipes/m2_claims.py summary    (the claims)
Expected: about 15 minutes on a quiet core. The values stand in results/m2_claims.json,
the claims in recipes/m2_claims.toml.
"""

import copy
from collections import Counter
from statistics import mean, pstdev

import torch

from mmdl_lib import lab
from mmdl_lib.lab import captioning, telling
from mmdl_lib.models.m2 import M2, M2Config
from mmdl_lib.models.scst import SCSTConfig, SelfCritical, count_rarity

VOCAB = telling.tokenizer().vocab
FEW = {"objects": (2, 3), "regions": True}  # as in recipes/captioning.py
SIZES = {"vocab": VOCAB, "region_width": captioning.REGION_WIDTH, "depth": 2}
SMALL = M2Config(**SIZES, width=48, hidden=96, heads=4, dropout=0.0)
STEPS, REWARDED, RATE, REWARD_RATE = 800, 120, 3e-3, 1e-3
KINDS = {
    "beams": {"draws": "beams", "baseline": "mean"},
    "samples": {"draws": "samples", "baseline": "greedy"},
}


def judged(model: M2, test: telling.Told) -> dict:
    """The measures of captioning of greedy captions, their lengths and their kinds."""
    texts = telling.said(model, test.seen)
    found = captioning.scores(texts, test.scenes)
    lengths = [len(text.split()) for text in texts]
    found |= {"words": mean(lengths), "spread": pstdev(lengths)}
    said, there = map(telling.objects, texts), test.scenes.count.tolist()
    found["too few"] = mean(n < m for n, m in zip(said, there, strict=True))
    forms = Counter(map(telling.form, texts))
    return found | {"forms": dict(forms), "commonest": max(forms.values()) / len(texts)}


def learned(model: M2, data: telling.Told, seed: int, steps: int, lr: float) -> list:
    """Maximum likelihood on random captions of random scenes."""
    history = lab.train(model, telling.batches(data, 64, seed), steps=steps, lr=lr)
    return lab.means(history.losses["loss"], 50)


def rewarded(model: M2, data: telling.Told, seed: int, kind: str) -> dict:
    """Train on what the model says; the mean rewards and baselines on the way."""
    tokens, mask = telling.references(data)
    critic = SelfCritical(
        SCSTConfig(captioner=model.config, samples=5, max_length=22, **KINDS[kind]),
        captioner=model,
        rarity=count_rarity(tokens[:, :, 1:], mask[:, :, 1:], VOCAB),
    )
    batches = telling.rewarded(data, 32, seed)
    history = lab.train(critic, batches, steps=REWARDED, lr=REWARD_RATE)
    names = ("reward", "baseline")
    return {name: lab.means(history.losses[name], 10) for name in names}


def rewards(seed: int) -> dict:
    """Likelihood; then as many steps of rewards, or of likelihood, from there."""
    data = telling.told(6000, seed, **FEW)
    test = telling.told(300, 50_000 + seed, **FEW)
    torch.manual_seed(seed)
    model = M2(SMALL)
    found = {"loss": learned(model, data, seed, STEPS, RATE)}
    found["before"] = judged(model, test)
    more = copy.deepcopy(model)
    learned(more, data, seed + 500, REWARDED, REWARD_RATE)
    found["likelihood"] = judged(more, test)
    for kind in KINDS:
        more = copy.deepcopy(model)
        curves = rewarded(more, data, seed, kind)
        found[kind] = judged(more, test) | curves
    return found


LAB = lab.Lab(
    "m2_claims",
    groups={"rewards": rewards},
    claims=lab.read_claims(__file__),
    least=6,
)

if __name__ == "__main__":
    LAB.main()
