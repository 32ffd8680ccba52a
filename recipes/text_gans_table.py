"""Let StackGAN and AttnGAN draw the prompts of the section, for two rows of its table.

Command: python recipes/text_gans_table.py            (all that is missing, three seeds)
         python recipes/text_gans_table.py AttnGAN:0  (one model, one seed)
Expected: about 20 minutes on a quiet core. Each learns the section's world for the core
minutes of the other rows, about three; nothing of it was tuned: rates are those of
GAN-INT-CLS, numbers of updates were set by a clock on pilot seed 100. Rows stand in
results/text_to_image/gan_int_cls.json, what was seen on the way, and where AttnGAN's
cells look, in results/text_gans_table.json, the weights of AttnGAN's first seed in
mmdl_lib/weights/attngan_shapes.safetensors.
"""

import time
from functools import partial

import torch

from mmdl_lib import lab
from mmdl_lib.core import generator
from mmdl_lib.lab import text_gans as world
from mmdl_lib.lab import text_to_image as t2i
from mmdl_lib.lab import word_looks
from mmdl_lib.models.attngan import AttnGAN
from mmdl_lib.models.stackgan import StackGAN

TRAIN, BATCH, RATE = 20_000, 32, 1e-3
MODELS = {"StackGAN": StackGAN, "AttnGAN": AttnGAN}
STEPS = {"StackGAN": (400, 900, 850), "AttnGAN": (400, 680)}  # of each stage


def trained(model, batches, seed: int, steps: tuple[int, ...]) -> dict:
    """All stages, the encoders first; what the losses were, as ten means each."""
    given = {"schedule": lambda step, steps: 1.0, "clip": None, "seed": seed}
    losses = {}
    for stage, count in enumerate(steps):
        how = {"lr": RATE, "optimizer": world.ADAM} if stage else {"lr": 2e-3}
        history = lab.train(model, batches, steps=count, stage=stage, **given | how)
        for name, values in history.losses.items():
            name = name if stage else f"encoders/{name}"
            losses[name] = lab.means(values, max(1, len(values) // 10))
    model.eval()
    return losses


def table(seed: int, *, name: str) -> dict:
    """Train, draw the prompts, score, and write into the model's row."""
    torch.manual_seed(seed)
    model = MODELS[name].from_preset("shapes")
    train = t2i.sample(lab.short(TRAIN, least=200), seed=seed)
    batches = world.batches(train, 32, BATCH, seed)
    began = time.process_time()
    losses = trained(model, batches, seed, STEPS[name])
    minutes = (time.process_time() - began) / 60
    tokens, mask = t2i.tokenizer()(t2i.prompts().text)
    began = time.process_time()
    image = model.sample(tokens, mask, generator=generator(seed))
    seconds = (time.process_time() - began) / len(image)
    scores = t2i.score(image)
    sizes = [sum(p.numel() for p in part.parameters()) for part in drawing(model)]
    facts = {"parameters": sum(sizes), "seconds": round(seconds, 5)}
    facts |= {"minutes": round(minutes, 1)}
    t2i.keep("gan_int_cls", name, {seed: scores}, merge=True, **facts)
    found = {"exact": scores.exact, "fid": scores.fid, "losses": losses}
    if name == "AttnGAN":
        found["looks"] = {
            "drawn": word_looks.looks(model, t2i.prompts().scenes, seed=seed)._asdict(),
            "real": word_looks.finds(model, t2i.prompts().scenes)._asdict(),
        }
        if seed == 0:
            lab.save_weights(model, "attngan", words=t2i.tokenizer().words)
    return facts | found


def drawing(model) -> list:
    """The parts that draw: readers of the text, and generators."""
    if isinstance(model, StackGAN):
        augments = [model.augment1, model.augment2]
        return [model.text_encoder, *augments, model.generator1, model.generator2]
    return [model.reader, *model.learners("generator")]


LAB = lab.Lab(
    "text_gans_table",
    groups={name: partial(table, name=name) for name in MODELS},
    least=3,
)

if __name__ == "__main__":
    LAB.main()
