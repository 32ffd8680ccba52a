"""Let a small DALL-E draw the prompts of the section, for two rows of its table.

Command: python recipes/dalle_table.py    (three seeds)
Expected: about 12 minutes on a quiet core. One row is a single draft for each prompt,
the other one the best of eight by our CLIP. They stand in
results/text_to_image/dalle.json, and what was seen on the way in
results/dalle_table.json.

Both nets together take the core minutes of the other rows, about three. Within them,
sizes and steps were chosen on pilot seed 100: width 96 for 800 steps rather than 128
for 500, temperature 1 rather than 0.8, and 64 codes a picture. With 256 codes far more
of a picture is left (0.68 read back rather than 0.28), but the minutes are spent before
a Transformer has begun to learn rows four times as long.
"""

import time
from dataclasses import replace
from functools import partial

import torch
import torch.nn.functional as F

from mmdl_lib import lab
from mmdl_lib.core import generator
from mmdl_lib.data.shapes import to_float
from mmdl_lib.lab import one_object as oo
from mmdl_lib.lab import text_to_image as t2i
from mmdl_lib.lab.image_measures import clip_image, clip_text
from mmdl_lib.metrics.faithfulness import faithfulness
from mmdl_lib.models.dalle import DALLE
from mmdl_lib.models.dvae import DVAE

TRAIN, TRIES = 20_000, 8
DVAE_STEPS, STEPS = (60, 250), 800  # decoder alone, both; Transformer
NAMES = {"one": "DALL-E", "best": f"DALL-E, best of {TRIES}"}
NOTES = {"one": "", "best": f"best of {TRIES} by CLIP"}


def words():
    """A prompt takes at most 17 of the 18 places, start and end included."""
    return t2i.tokenizer(length=DALLE.PRESETS["shapes"].text)


def cool(step: int, model: DVAE, terms: dict, *, steps: int) -> None:
    """Lower the temperature, step by step."""
    model.cool(step, steps)


def alphabet(seed: int, image) -> DVAE:
    """A dVAE of 64 codes for 32 x 32 pixels; it begins at places of the data."""
    torch.manual_seed(seed)
    model = DVAE.from_preset("shapes")
    model.begin(to_float(image[:100]))
    batches = lab.rows(64, seed, image=image)
    for stage, (steps, lr) in enumerate(zip(DVAE_STEPS, (2e-2, 2e-3), strict=True)):
        watch = partial(cool, steps=lab.short(steps)) if stage else None
        options = {"stage": stage, "lr": lr, "watch": watch, "seed": seed}
        lab.train(model, batches, steps=steps, **options)
    return model.eval()


def writer(seed: int, dvae: DVAE, train, image) -> tuple[DALLE, float]:
    """A Transformer on captions and codes, and what a code costs it at the end."""
    tokens, mask = words()(t2i.texts(train))
    codes = oo.encoded(dvae, image)
    torch.manual_seed(seed)
    model = DALLE(replace(DALLE.PRESETS["shapes"], width=96, heads=3))
    batches = lab.rows(32, seed, tokens=tokens, mask=mask, codes=codes)
    history = lab.train(model, batches, steps=STEPS, lr=2e-3, seed=seed)
    return model.eval(), lab.means(history.losses["picture"], 50)[-1]


@torch.no_grad()
def drafts(dalle: DALLE, dvae: DVAE, seed: int) -> dict:
    """The first draft for each prompt, and the one of eight that CLIP likes best;
    seconds a picture of both ways, this core's own."""
    asked, random = t2i.prompts().text, generator(seed)
    tokens, mask = words()(asked)
    began, images, liked, took = time.process_time(), [], [], {}
    text = F.normalize(clip_text(asked).values, dim=1)
    for _ in range(TRIES):
        images.append(dvae.decode(dalle.sample(tokens, mask, generator=random)))
        took.setdefault("one", (time.process_time() - began) / len(asked))
        seen = F.normalize(clip_image(images[-1]).values, dim=1)
        liked.append((seen * text).sum(1))
    best = torch.stack(liked).argmax(0)
    took["best"] = (time.process_time() - began) / len(asked)
    chosen = torch.stack(images)[best, torch.arange(len(asked))]
    return {"images": {"one": images[0], "best": chosen}, "seconds": took}


@torch.no_grad()
def ceiling(dvae: DVAE) -> dict:
    """What is left of the prompts' real pictures after 64 codes."""
    scenes = t2i.prompts().scenes
    back = dvae.decode(oo.encoded(dvae, scenes.render()))
    found = faithfulness(back, scenes)
    return {"exact": found.exact, "color": found.color, "shape": found.shape}


def table(seed: int) -> dict:
    """Both nets on one to three objects, 32 x 32, draw the prompts of the section."""
    train = t2i.sample(lab.short(TRAIN, least=200), seed=seed)
    image, began = train.render(), time.process_time()
    dvae = alphabet(seed, image)
    dalle, nats = writer(seed, dvae, train, image)
    minutes = (time.process_time() - began) / 60
    found = drafts(dalle, dvae, seed)
    size = sum(p.numel() for net in (dalle, dvae.decoder) for p in net.parameters())
    out = {"ceiling": ceiling(dvae), "nats a code": nats, "minutes": minutes}
    for key, name in NAMES.items():
        scores = t2i.score(found["images"][key])
        facts = {"parameters": size, "seconds": round(found["seconds"][key], 5)}
        facts |= {"minutes": round(minutes, 1), "note": NOTES[key]}
        t2i.keep("dalle", name, {seed: scores}, merge=True, **facts)
        out[key] = {"exact": scores.exact, "fid": scores.fid}
    return out


LAB = lab.Lab("dalle_table", groups={"table": table}, least=3)

if __name__ == "__main__":
    LAB.main()
