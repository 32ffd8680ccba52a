"""Let a small GLIDE draw the prompts of the section, for two rows of its table.

Command: python recipes/glide_table.py    (three seeds, and the weights of the book)
Expected: about 12 minutes on a quiet core. One row is a GLIDE that learns the section's
world for the core minutes of the other rows, about three; nothing of it was tuned, and
its settings are those of the chapter. The other row is the chapter's model, which
learned one or two objects for an hour: three objects are new to it. They stand in
results/text_to_image/glide.json, and what was seen on the way in
results/glide_table.json.
"""

import time
from dataclasses import replace

import torch

from mmdl_lib import lab, record
from mmdl_lib.core import generator
from mmdl_lib.data.shapes import to_float
from mmdl_lib.lab import few_objects as fo
from mmdl_lib.lab import text_to_image as t2i
from mmdl_lib.models.glide import GLIDE
from mmdl_lib.pretrained import small

TRAIN, STEPS, SCALE = 20_000, 1800, 3.0
EMA = 0.99  # a slower average would still remember the start


def taught(seed: int) -> tuple[GLIDE, dict]:
    """A model of the section's world, and what its training took."""
    train, began = (
        t2i.sample(lab.short(TRAIN, least=200), seed=seed),
        time.process_time(),
    )
    tokens, mask = t2i.tokenizer()(t2i.texts(train))
    torch.manual_seed(seed)
    model = GLIDE(replace(GLIDE.PRESETS["shapes"], facts=()))
    model.to(memory_format=torch.channels_last)
    batches = lab.rows(32, seed, image=train.render(), tokens=tokens, mask=mask)
    how = {"lr": 1.5e-3, "schedule": fo.held, "weight_decay": 0.01, "ema": EMA}
    how |= {"optimizer": fo.OPTIMIZER, "seed": seed}
    history = lab.train(model, batches, steps=STEPS, **how)
    model.load_state_dict(history.average)
    curve = lab.means(history.losses["loss"], 100)
    minutes = (time.process_time() - began) / 60
    return model.eval(), {"minutes": minutes, "loss": curve[-1]}


def drawn(model: GLIDE, seed: int) -> tuple[torch.Tensor, float]:
    """A picture for each prompt, and this core's seconds for one."""
    began, asked, random = time.process_time(), t2i.prompts().text, generator(seed)
    tokens, mask = t2i.tokenizer()(asked)
    pairs = zip(tokens.split(100), mask.split(100), strict=True)
    how = {"scale": SCALE, "steps": 20, "generator": random}
    images = torch.cat([model.sample(*pair, **how) for pair in pairs]).clamp(-1, 1)
    return images, (time.process_time() - began) / len(asked)


def kept(name: str, model: GLIDE, seed: int, minutes: float, note: str) -> dict:
    """Draw, score, and write into the row."""
    images, seconds = drawn(model, seed)
    scores = t2i.score(images)
    facts = {"parameters": sum(p.numel() for p in model.parameters())}
    facts |= {"seconds": round(seconds, 5), "minutes": round(minutes, 1), "note": note}
    t2i.keep("glide", name, {seed: scores}, merge=True, **facts)
    return {"exact": scores.exact, "fid": scores.fid}


def table(seed: int) -> dict:
    """A training of three minutes draws the prompts of the section."""
    model, took = taught(seed)
    return took | kept("GLIDE", model, seed, took["minutes"], "")


def hour() -> dict:
    """The chapter's model draws them; and what is left of FID where the ground is even.

    Pixels within a twentieth of the range (0.1 of 2) of the true ground become it.
    """
    minutes = record.results("glide")["weights"]["seconds"] / 60
    model = small.load("glide", "shapes")
    found = kept("GLIDE, an hour", model, 0, minutes, "learned one or two objects")
    ground = to_float(t2i.prompts().scenes.render())[:, :, :1, :1]
    image, _ = drawn(model, 0)
    near = (image - ground).abs().amax(1, keepdim=True) < 0.1
    even = t2i.score(torch.where(near, ground, image))
    return found | {"even ground": {"exact": even.exact, "fid": even.fid}}


LAB = lab.Lab("glide_table", groups={"table": table}, once={"hour": hour}, least=3)

if __name__ == "__main__":
    LAB.main()
