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
from mmdl_lib.metrics.cider import cider_d
from mmdl_lib.models.m2 import M2, M2Config
from mmdl_lib.models.scst import SCSTConfig, SelfCritical, count_rarity

VOCAB = telling.tokenizer().vocab
TWO = {"objects": (2, 2), "regions": True}
SIZES = {"vocab": VOCAB, "region_width": captioning.REGION_WIDTH, "depth": 2}
SMALL = M2Config(**SIZES, width=48, hidden=96, heads=4, dropout=0.0)
STEPS, REWARDED, RATE, REWARD_RATE = 600, 100, 3e-3, 1e-3
KINDS = {
    "beams": {"draws": "beams", "baseline": "mean"},
    "samples": {"draws": "samples", "baseline": "greedy"},
}


def judged(model: M2, test: telling.Told) -> dict:
    """CIDEr-D of greedy captions, whether they are right, their lengths and kinds."""
    texts, true = telling.said(model, test.seen), captioning.texts(test.scenes)
    lengths = [len(text.split()) for text in texts]
    found = {"CIDEr-D": mean(cider_d(texts, true)), "words": mean(lengths)}
    found |= {"exact": captioning.exact(texts, test.scenes), "spread": pstdev(lengths)}
    found["true"] = telling.truth(texts, test.scenes)
    found["too few"] = mean(telling.objects(text) < 2 for text in texts)
    forms = Counter(map(telling.form, texts))
    return found | {"forms": dict(forms), "commonest": max(forms.values()) / len(texts)}


def learned(model: M2, data: telling.Told, seed: int, steps: int, lr: float) -> list:
    """Maximum likelihood on random captions of random scenes."""
    history = lab.train(model, telling.batches(data, 32, seed), steps=steps, lr=lr)
    return lab.means(history.losses["loss"], 50)


def rewarded(model: M2, data: telling.Told, seed: int, kind: str) -> dict:
    """Train on what the model says; the mean rewards and baselines on the way."""
    tokens, mask = telling.references(data)
    critic = SelfCritical(
        SCSTConfig(captioner=model.config, samples=5, max_length=16, **KINDS[kind]),
        captioner=model,
        rarity=count_rarity(tokens[:, :, 1:], mask[:, :, 1:], VOCAB),
    )
    batches = telling.rewarded(data, 16, seed)
    history = lab.train(critic, batches, steps=REWARDED, lr=REWARD_RATE)
    names = ("reward", "baseline")
    return {name: lab.means(history.losses[name], 10) for name in names}


def rewards(seed: int) -> dict:
    """Likelihood; then as many steps of rewards, or of likelihood, from there."""
    data = telling.told(4000, seed, **TWO)
    test = telling.told(500, 50_000 + seed, **TWO)
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
