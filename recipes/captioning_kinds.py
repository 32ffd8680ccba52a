"""Ask what a look at one place costs, and how two LSTMs tell regions.

Command: python recipes/captioning_kinds.py         (all that is missing)
         python recipes/captioning_kinds.py summary (the claims)
Expected: about 5 minutes on a quiet core. The values stand in
results/captioning_kinds.json, the claims in recipes/captioning_kinds.toml.
"""

from functools import partial

import torch

from mmdl_lib import lab, pretrained
from mmdl_lib.lab import captioning, telling
from mmdl_lib.models.captioner import CaptionerConfig, RegionCaptioner
from mmdl_lib.models.hard_attention import HardAttention, HardAttentionConfig
from mmdl_lib.models.show_attend_tell import ShowAttendTell, ShowAttendTellConfig
from mmdl_lib.models.up_down import UpDown, UpDownConfig

VOCAB = telling.tokenizer().vocab
# pictures of one or two small objects, whose order one can see
CLEAR = {"objects": (1, 2), "sizes": "small", "textures": "solid", "gap": 2.0}
LOOKS = {"image_size": 32, "stages": (32, 96), "vocab": VOCAB, "width": 128}
LOOKS |= {"embed": 64, "inner": 32, "doubly": 0.0}
KINDS = {
    "soft": (ShowAttendTell, ShowAttendTellConfig(**LOOKS)),
    "hard": (HardAttention, HardAttentionConfig(**LOOKS)),
    "always drawn": (HardAttention, HardAttentionConfig(**LOOKS, expected=0.0)),
}
SEEN = {"region": captioning.REGION_WIDTH, "vocab": VOCAB}
REGIONAL = {
    "up-down": (UpDown, UpDownConfig(**SEEN, width=96, embed=64, inner=32)),
    "transformer": (
        RegionCaptioner,
        CaptionerConfig(**SEEN, width=64, encoder=1, decoder=2, heads=4, dropout=0.0),
    ),
}


def fresh(kind: str, seed: int):
    """A captioner on the convolutions of the shipped one, which stand still."""
    torch.manual_seed(seed)
    build, config = KINDS[kind]
    model, layers = build(config), pretrained.load("show_attend_tell").encoder.layers
    model.encoder.layers.load_state_dict(layers.state_dict())
    model.encoder.layers.requires_grad_(False)
    return model


def look(seed: int, *, kind: str, steps: int = 300) -> dict:
    """Looks at a mean of all places, at one, or now and then at one."""
    model = fresh(kind, seed)
    test = telling.told(400, 50_000 + seed, forms=1, **CLEAR)
    before = telling.pointed(model, test)
    data = telling.told(4000, seed, forms=1, **CLEAR)
    batches = telling.batches(data, 32, seed)
    history = lab.train(model, batches, steps=steps, lr=3e-3)
    texts = telling.said(model, test.seen, max_length=10)
    found = {"exact": captioning.exact(texts, test.scenes)}
    found |= {"pointed": telling.pointed(model, test), "pointed before": before}
    return found | {"loss": lab.means(history.losses.get("nats"), 30)}


def regional(seed: int, *, kind: str, steps: int = 300) -> dict:
    """Two LSTMs or a Transformer over the same regions, in the same order."""
    torch.manual_seed(seed)
    build, config = REGIONAL[kind]
    model = build(config)
    few = {"objects": (1, 3), "regions": True, "forms": 1}
    test = telling.told(400, 50_000 + seed, **few)
    batches = telling.batches(telling.told(4000, seed, **few), 32, seed)
    history = lab.train(model, batches, steps=steps, lr=3e-3)
    texts = telling.said(model, test.seen, max_length=14)
    found = {"exact": captioning.exact(texts, test.scenes)}
    for n in (1, 2, 3):
        row = (test.scenes.count == n).nonzero()[:, 0].tolist()
        some = [texts[i] for i in row]
        found[f"exact {n}"] = captioning.exact(some, test.scenes[row])
    size = sum(p.numel() for p in model.parameters())
    return found | {"loss": lab.means(history.losses["loss"], 30), "params": size}


GROUPS = {
    "kinds": {kind: partial(look, kind=kind) for kind in KINDS},
    "regions": {kind: partial(regional, kind=kind) for kind in REGIONAL},
}
LAB = lab.Lab(
    "captioning_kinds", groups=GROUPS, claims=lab.read_claims(__file__), least=6
)

if __name__ == "__main__":
    LAB.main()
