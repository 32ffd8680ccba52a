"""Ask what training on a metric does to captions, and train the shipped captioner.

Command: python recipes/captioning.py            (all that is missing)
         python recipes/captioning.py rewards:0  (one group, one seed)
         python recipes/captioning.py summary    (the claims)
Expected: about 15 minutes on a quiet core. Rewards raise CIDEr-D, and more and more
captions have one form. The values stand in results/captioning.json, the claims in
recipes/captioning.toml.
"""

import copy
from collections import Counter
from statistics import mean

import torch

from mmdl_lib import lab
from mmdl_lib.core import generator
from mmdl_lib.lab import captioning, telling
from mmdl_lib.lab.engine import short
from mmdl_lib.models.captioner import CaptionerConfig, RegionCaptioner
from mmdl_lib.models.scst import SCSTConfig, SelfCritical, count_rarity
from mmdl_lib.nn import decode

VOCAB = telling.tokenizer().vocab
# captions of two and three objects; four would make the runs too long
FEW = {"objects": (2, 3), "regions": True}
SMALL = {"region": captioning.REGION_WIDTH, "vocab": VOCAB, "width": 64}
SMALL |= {"encoder": 1, "decoder": 2, "heads": 4, "dropout": 0.0}
STEPS, REWARDED, RATE, REWARD_RATE = 800, 120, 3e-3, 1e-3


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
    data = telling.told(short(6000, least=300), seed, **FEW)
    test = telling.told(short(300, least=20), 50_000 + seed, **FEW)
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


def weights() -> dict:
    """The captioner that the chapter loads: two to four objects, five captions each."""
    kind = {"objects": (2, 4), "regions": True}
    torch.manual_seed(0)
    model, steps = RegionCaptioner.from_preset("shapes"), 8000
    data = telling.told(short(40_000, least=500), 0, **kind)
    curve = learned(model, data, 0, steps=steps, lr=2e-3)
    lab.save_weights(model, "captioner", words=telling.tokenizer().words)
    found = {"loss": curve, "params": sum(p.numel() for p in model.parameters())}
    for name in ("exclude", "only"):
        test = telling.told(short(2000, least=20), 9, held_out=name, **kind)
        found["seen" if name == "exclude" else "held out"] = judged(model, test)
    return found


LAB = lab.Lab(
    "captioning",
    groups={"rewards": rewards},
    once={"weights": weights},
    claims=lab.read_claims(__file__),
    least=6,
)

if __name__ == "__main__":
    LAB.main()
