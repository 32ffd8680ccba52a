"""Let GAN-INT-CLS draw the prompts of the section, for a row of its table.

Command: python recipes/gan_int_cls_table.py    (three seeds)
The row stands in results/text_to_image/gan_int_cls.json, the weights of the first seed
in mmdl_lib/weights/gan_int_cls_shapes.safetensors.
"""

import json
import time

import torch

from mmdl_lib import lab, record
from mmdl_lib.core import generator
from mmdl_lib.lab import text_gans as world
from mmdl_lib.lab import text_to_image as t2i
from mmdl_lib.models.gan_int_cls import GANINTCLS

TRAIN, BATCH, RATE = 20_000, 32, 1e-3
FIRST, STEPS = 400, 1500  # of the text encoder, of the two players


def trained(model, batches, seed: int, *, first, steps) -> dict:
    """Both stages; what the losses were, as ten means each."""
    given = {"schedule": lambda step, steps: 1.0, "clip": None, "seed": seed}
    early = lab.train(model, batches, steps=first, lr=2e-3, stage=0, **given)
    given |= {"lr": RATE, "optimizer": world.ADAM}
    late = lab.train(model, batches, steps=steps, stage=1, **given)
    model.eval()
    losses = {"embedding": early.losses["loss"]} | late.losses
    return {k: lab.means(v, max(1, len(v) // 10)) for k, v in losses.items()}


def earlier(name: str) -> dict[int, t2i.Scores]:
    """Seeds of a row of the section's table that were measured before."""
    path = record.folder() / t2i.FOLDER / "gan_int_cls.json"
    row = json.loads(path.read_text("utf-8")).get(name) if path.exists() else None
    if row is None:
        return {}
    rest = {"features": row["features"]}
    return {int(k): t2i.Scores(**v, **rest) for k, v in row["seeds"].items()}


def table(seed: int) -> dict:
    """A model of one to three objects, 32 x 32, draws the prompts of the section."""
    torch.manual_seed(seed)
    model = GANINTCLS.from_preset("shapes")
    train = t2i.sample(lab.short(TRAIN, least=200), seed=seed)
    batches = world.batches(train, 32, BATCH, seed)
    began = time.process_time()
    losses = trained(model, batches, seed, first=FIRST, steps=STEPS)
    minutes = (time.process_time() - began) / 60
    tokens, mask = t2i.tokenizer()(t2i.prompts().text)
    began = time.process_time()
    image = model.sample(tokens, mask, generator=generator(seed))
    seconds = (time.process_time() - began) / len(image)
    scores = t2i.score(image)
    if seed == 0:
        lab.save_weights(model, "gan_int_cls", words=t2i.tokenizer().words)
    drawing = (model.text_encoder, model.generator)
    sizes = [sum(p.numel() for p in part.parameters()) for part in drawing]
    facts = {"parameters": sum(sizes), "seconds": round(seconds, 5)}
    facts |= {"minutes": round(minutes, 1)}
    name = "GAN-INT-CLS"
    t2i.keep("gan_int_cls", name, earlier(name) | {seed: scores}, **facts)
    return facts | {"exact": scores.exact, "fid": scores.fid, "losses": losses}


LAB = lab.Lab("gan_int_cls_table", groups={"table": table}, least=3)

if __name__ == "__main__":
    LAB.main()
