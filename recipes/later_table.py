"""Let small unCLIP, Imagen, Parti and latent diffusion draw the prompts of the section.

Command: python recipes/later_table.py             (all that is missing, three seeds)
         python recipes/later_table.py Parti:0     (one model, one seed)
Expected: about 45 minutes on a quiet core. Each learns the section's world for the core
minutes of the other rows, about three, with the nets of its chapter made for 32 x 32
pixels; nothing of it was tuned. Rows stand in results/text_to_image/, what was seen on
the way in results/later_table.json.

Not as in the papers: Imagen has no cascade, its net draws 32 x 32 at once. unCLIP hears
a prompt only through our CLIP, which was trained longer, on captions of this world.
"""

import time
from dataclasses import replace
from functools import partial

import torch

from mmdl_lib import lab
from mmdl_lib.core import generator
from mmdl_lib.data.shapes import to_float
from mmdl_lib.lab import few_objects as fo
from mmdl_lib.lab import frozen as fz
from mmdl_lib.lab import latents as la
from mmdl_lib.lab import one_object as oo
from mmdl_lib.lab import text_to_image as t2i
from mmdl_lib.lab import unclip as un
from mmdl_lib.models.bert import BERTConfig
from mmdl_lib.models.dalle2 import Decoder
from mmdl_lib.models.dalle2_prior import Prior
from mmdl_lib.models.dvae import DVAE
from mmdl_lib.models.imagen import Imagen
from mmdl_lib.models.latent_diffusion import LatentDiffusion
from mmdl_lib.models.parti import Parti
from mmdl_lib.nn.unet import PatchUNetConfig

TRAIN, PART = 20_000, 100
NET = PatchUNetConfig(side=32, patch=4, widths=(64, 96), context=64)
STEPS = {"reader": 600, "imagen": 1600, "dvae": (60, 250), "parti": 900}
STEPS |= {"first": 900, "latent": 1200, "prior": 500, "decoder": 700}


def data(seed: int):
    """Training pictures and texts of the section's world."""
    scenes = t2i.sample(lab.short(TRAIN, least=200), seed=seed)
    return scenes.render(), t2i.texts(scenes)


def trained(model, batches, *, seed: int, steps: int, **how):
    """The model with its averaged weights."""
    options = {"schedule": fo.held, "weight_decay": 0.01, "ema": 0.99, "lr": 2e-3}
    history = lab.train(model, batches, steps=steps, seed=seed, **options | how)
    model.load_state_dict(history.average)
    return model.eval()


def in_parts(draw, *columns):
    """Pictures of a hundred prompts at a time."""
    parts = zip(*(x.split(PART) for x in columns), strict=True)
    return torch.cat([draw(*part) for part in parts])


def imagen(seed: int):
    """A frozen reader of such texts, and a net that hears what it says."""
    image, texts = data(seed)
    tokens, mask = t2i.tokenizer()(texts)
    torch.manual_seed(seed)
    sizes = {"width": fz.WIDTH, "depth": 2, "heads": 4, "positions": tokens.shape[1]}
    count = t2i.tokenizer().vocab  # one more hides a word
    sizes |= {"vocab": count + 1, "mask_token": count, "cls_token": 1, "sep_token": 2}
    reader = fz.Reader(BERTConfig(dropout=0.0, **sizes))
    rows = lab.rows(64, seed, tokens=tokens, mask=mask)
    lab.train(reader, rows, steps=STEPS["reader"], lr=4e-3, seed=seed)
    reader.eval().requires_grad_(False)
    config = replace(Imagen.PRESETS["large-object"], image_size=32, net=NET)
    net = Imagen(config).to(memory_format=torch.channels_last)

    def heard(batch, _):
        with torch.no_grad():
            return batch | {"words": reader.hidden(batch["tokens"], batch["mask"])}

    rows = lab.rows(32, seed, change=heard, image=image, tokens=tokens, mask=mask)
    trained(net, rows, seed=seed, steps=STEPS["imagen"])

    def draw(asked, random):
        tokens, mask = t2i.tokenizer()(asked)
        words = reader.hidden(tokens, mask)
        how = {"scale": 3.0, "steps": 20, "generator": random}
        return in_parts(lambda w, m: net.sample(w, m, **how), words, mask)

    return draw, (net, reader)


def parti(seed: int):
    """A dVAE as in DALL-E's row, and a Parti that writes its codes."""
    image, texts = data(seed)
    changes = vars(DVAE.PRESETS["shapes"])
    dvae = oo.dvae(seed, image, begun=True, steps=STEPS["dvae"], **changes)
    tokens, mask = t2i.tokenizer()(texts)
    sizes = {"vocab": t2i.tokenizer().vocab, "text": tokens.shape[1]}
    torch.manual_seed(seed)
    net = Parti(replace(Parti.PRESETS["large-object"], **sizes))
    codes = oo.encoded(dvae, image)
    rows = lab.rows(32, seed, tokens=tokens, mask=mask, codes=codes)
    lab.train(net, rows, steps=STEPS["parti"], lr=2e-3, seed=seed)
    net.eval()

    def draw(asked, random):
        tokens, mask = t2i.tokenizer()(asked)
        return dvae.decode(net.sample(tokens, mask, generator=random))

    return draw, (net, dvae.decoder)


def latent(seed: int):
    """A first stage with a grid of 8 x 8, and a net that undoes noise in it."""
    image, texts = data(seed)
    stage, _ = la.first(seed, image, steps=STEPS["first"], image_size=32)
    base = LatentDiffusion.PRESETS["large-object"]
    tokens, mask = t2i.tokenizer()(texts)
    sizes = {"first": stage.config, "net": replace(base.net, side=8), "image_size": 32}
    sizes |= {"vocab": t2i.tokenizer().vocab, "text": tokens.shape[1]}
    torch.manual_seed(seed)
    net = LatentDiffusion(replace(base, **sizes))
    net.first.load_state_dict(stage.state_dict())
    net.settle(to_float(image[: la.BATCH]))
    rows = {"image": image, "tokens": tokens, "mask": mask}
    la.train(net, rows, seed=seed, steps=STEPS["latent"])

    def draw(asked, random):
        how = {"scale": 3.0, "steps": 20, "generator": random}
        pair = t2i.tokenizer()(asked)
        return in_parts(lambda t, m: net.sample(t, m, **how), *pair)

    return draw, (net,)


def unclip(seed: int):
    """A prior on what our CLIP sees, and a decoder that hears nothing else."""
    image, texts = data(seed)
    caption, picture = un.read(texts), un.seen(image)
    torch.manual_seed(seed)
    prior = Prior.from_preset("shapes")
    prior.begin(picture)
    rows = lab.rows(64, seed, picture=picture, **caption._asdict())
    trained(prior, rows, seed=seed, steps=STEPS["prior"], schedule=un.fading)
    config = replace(Decoder.PRESETS["shapes"], net=NET, image_size=32)
    decoder = Decoder(config).to(memory_format=torch.channels_last)
    rows = lab.rows(64, seed, image=image, picture=picture)
    trained(decoder, rows, seed=seed, steps=STEPS["decoder"], optimizer=fo.OPTIMIZER)

    def draw(asked, random):
        seen = prior.sample(*un.read(asked), generator=random)
        how = {"scale": 2.0, "steps": 20, "generator": random}
        return in_parts(lambda z: decoder.sample(z, **how), seen)

    return draw, (prior, decoder)


MODELS = {
    "unCLIP": ("dalle2", unclip, "CLIP trained apart"),
    "Imagen": ("imagen", imagen, "no cascade"),
    "Parti": ("imagen", parti, ""),
    "latent diffusion": ("latent_diffusion", latent, ""),
}


def table(seed: int, *, name: str) -> dict:
    """Train, draw the prompts, score, and write into the model's row."""
    slug, make, note = MODELS[name]
    began = time.process_time()
    draw, nets = make(seed)
    minutes = (time.process_time() - began) / 60
    asked, began = t2i.prompts().text, time.process_time()
    with torch.no_grad():
        images = draw(asked, generator(seed)).clamp(-1, 1)
    seconds = (time.process_time() - began) / len(asked)
    scores = t2i.score(images)
    facts = {"parameters": sum(p.numel() for net in nets for p in net.parameters())}
    facts |= {"seconds": round(seconds, 5), "minutes": round(minutes, 1), "note": note}
    t2i.keep(slug, name, {seed: scores}, merge=True, **facts)
    return {"exact": scores.exact, "fid": scores.fid, "minutes": minutes}


LAB = lab.Lab(
    "later_table",
    groups={name: partial(table, name=name) for name in MODELS},
    least=3,
)

if __name__ == "__main__":
    LAB.main()
