"""Train FLAVA in small, and the same net with fewer of its losses.

Command: python recipes/flava.py            (all that is missing, then the claims)
         python recipes/flava.py train:0    (all arms of one seed)
         python recipes/flava.py codes      (the dVAE that tells the codes of patches)
Expected: five minutes for a seed on one core. Contrast alone learns from pairs
only; FLAVA also reads texts without pictures, and knows what their words look like.
"""

import time
from dataclasses import replace
from functools import cache, partial

import torch

from mmdl_lib import lab
from mmdl_lib.core import generator
from mmdl_lib.data.shapes import to_float
from mmdl_lib.lab import two_things as world
from mmdl_lib.models.dvae import DVAE, DVAEConfig
from mmdl_lib.models.flava import FLAVA, FLAVAConfig
from mmdl_lib.pretrained import small

PAIRS, ALONE, ASKED, BATCH, STEPS, EVERY = 6000, 6000, 1000, 64, 900, 20
FIT = {"lr": 4e-3, "weight_decay": 0.01}
CODES = DVAEConfig(
    image_size=world.SIDE, fold=4, kernel=1, groups=1, hidden=64, init=64, codes=128,
    beta=0.1, warm=0.5,
)  # fmt: skip
CONFIG = FLAVAConfig(
    image_size=world.SIDE, patch=4, vocab=len(world.WORDS), positions=8, codes=128,
    width=64, heads=4, depth_image=2, depth_text=2, depth_both=2, embed=64, least=2,
    cls_token=world.CLS, sep_token=world.SEP, mask_token=world.MASK,
)  # fmt: skip


def pictures(n, seed):
    """Scenes and their pixels."""
    scenes = world.scenes(n, seed)
    return scenes, scenes.render(world.SIDE)


def codes():
    """Train the dVAE whose codes are the targets of hidden patches."""
    _, image = pictures(lab.short(8000, least=200), 70_000)
    torch.manual_seed(0)
    model, rows = DVAE(CODES), lab.rows(32, 0, image=image)
    model.begin(to_float(image[:500]))
    losses = []
    for stage, steps in enumerate((300, 900)):
        watch = lambda step, model, _, n=steps: model.cool(step, n)  # noqa: E731
        history = lab.train(model, rows, steps=steps, stage=stage, lr=2e-3, watch=watch)
        losses.append(lab.means(history.losses["loss"], 20))
    lab.save_weights(model.eval(), "dvae", "two-things")
    asked = to_float(pictures(500, 70_001)[1])
    found = model.encode(asked)
    share = found.flatten().bincount(minlength=CODES.codes) / found.numel()
    even = (-(share * share.clamp(min=1e-9).log()).sum()).exp()
    return {
        "error": (model.decode(found) - asked).abs().mean().item(),
        "used": int((share > 0).sum()), "even": even.item(), "curves": losses,
    }  # fmt: skip


@cache
def told(n, seed):
    """Meanings, pixels and codes of n scenes."""
    scenes, image = pictures(n, seed)
    eye = small.load("dvae", "two-things").eval()
    with torch.no_grad():
        code = torch.cat([eye.encode(to_float(x)) for x in image.split(1000)])
    return world.meanings(scenes), image, code


def batches(seed):
    """Pairs, pictures without text and texts without picture, the same for all arms."""
    n, m = (lab.short(count, least=200) for count in (PAIRS, ALONE))
    meaning, image, code = told(n, 1000 + seed)
    _, picture, picture_codes = told(m, 2000 + seed)

    def batch(step):
        random = generator(1_000_003 * seed + step)
        row = torch.randint(n, (BATCH,), generator=random)
        other = torch.randint(m, (BATCH,), generator=random)
        turn = torch.rand(BATCH, 1, generator=random) < 0.5
        said = torch.where(turn, world.turned(meaning[row]), meaning[row])
        found = {"tokens": world.said(said), "text": world.texts(BATCH, random)}
        found |= {f"{k}mask": torch.ones(BATCH, 7).bool() for k in ("", "text_")}
        found |= {"image": to_float(image[row]), "codes": code[row]}
        return found | {
            "picture": to_float(picture[other]), "picture_codes": picture_codes[other]
        }  # fmt: skip

    return batch


@torch.no_grad()
def judged(model, seed):
    """Retrieval, in words of captions and in others; foils by cosine and by ITM."""
    meaning, image, _ = told(lab.short(ASKED, least=100), 3000 + seed)
    random, model = generator(4000 + seed), model.eval()
    image, names = to_float(image), world.other_names(len(meaning), random)
    feature = model.encode_image(image)

    def read(tokens):
        return tokens, torch.ones(tokens.shape).bool()

    def found(tokens):
        best = (model.encode_text(*read(tokens)) @ feature.T).argmax(1)
        same = (meaning[best] == meaning).all(1)
        same |= (meaning[best] == world.turned(meaning)).all(1)
        return same.double().mean().item()

    def scores(tokens, rows=slice(None)):
        cosine = (model.encode_text(*read(tokens)) * feature[rows]).sum(1)
        return {"cosine": cosine, "itm": model.match(image[rows], *read(tokens))}

    def right(true, false, rows=slice(None)):
        one, two = scores(true, rows), scores(false, rows)
        return {k: (one[k] > two[k]).double().mean().item() for k in one}

    new, kept = world.swapped(meaning)
    foil = world.changed(meaning, random)
    return {
        "retrieval": found(world.said(meaning)),
        "retrieval, other names": found(world.said(meaning, names)),
        "changed": right(world.said(meaning), world.said(foil)),
        "swapped": right(world.said(meaning[kept]), world.said(new), kept),
        "paraphrase": paraphrase(model, meaning, foil, names),
        "hidden color": hidden_color(model, meaning, image),
    }


def hidden_color(model, meaning, image):
    """Share of right guesses of the first color, with its picture and with another."""
    tokens, mask = world.said(meaning), torch.ones(len(meaning), 7).bool()
    tokens[:, 1] = world.MASK
    first, right = world.COLOR + world.NAMES * torch.arange(4), {}
    for name, shown in (("own", image), ("another", image.roll(1, 0))):
        both = model(shown, tokens, mask).both
        # behind [CLS_M], the states of the picture, and [CLS_T]
        said = model.mmm_text(both[:, -6])[:, first].argmax(1)
        right[name] = (said == meaning[:, 0]).double().mean().item()
    return right


def paraphrase(model, meaning, foil, names):
    """Share of sentences nearer to the same in other names than to another one."""
    mask = torch.ones(len(meaning), 7).bool()
    texts = (world.said(meaning), world.said(meaning, names), world.said(foil, names))
    own, same, other = (model.encode_text(t, mask) for t in texts)
    return ((own * same).sum(1) > (own * other).sum(1)).double().mean().item()


def trained(seed, *, steps=STEPS, **weights):
    """A net after its steps, and its losses."""
    torch.manual_seed(seed)
    model = FLAVA(replace(CONFIG, **weights))
    history = lab.train(model, batches(seed), steps=steps, **FIT)
    curves = {k: lab.means(v, EVERY) for k, v in history.losses.items()}
    return model, curves


def run(seed, **options):
    """Train and judge."""
    began = time.perf_counter()
    model, curves = trained(seed, **options)
    seconds = time.perf_counter() - began
    return judged(model, seed) | {"seconds": round(seconds), "curves": curves}


def weights():
    """The net that the page loads, seed 0."""
    model, _ = trained(0)
    lab.save_weights(model, "flava", "two-things", words=world.WORDS)
    return judged(model, 0)


ONLY = {"mmm": 0.0, "itm": 0.0, "mim": 0.0, "mlm": 0.0}
GROUPS = {
    "train": {"all": run, "contrast": partial(run, **ONLY)},
    "longer": partial(run, **ONLY, steps=3 * STEPS),
}
LAB = lab.Lab(
    "flava",
    groups=GROUPS,
    once={"codes": codes, "weights": weights},
    claims=lab.read_claims(__file__),
    least=6,
)

if __name__ == "__main__":
    LAB.main()
