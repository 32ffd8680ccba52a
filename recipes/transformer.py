"""Take a Transformer apart, compare it with recurrent nets, train the weights.

Command: python recipes/transformer.py          (all that is missing, then the claims)
         python recipes/transformer.py parts:0  (one group, one seed)
Expected: about 15 minutes on a quiet core. Most parts are needed, and a token 64 places
back is within reach. The values stand in results/transformer.json.
"""

import math
import time
from dataclasses import replace
from functools import cache, partial

import torch
import torch.nn.functional as F

from mmdl_lib import lab
from mmdl_lib.core import generator
from mmdl_lib.lab import one_vocabulary, translation
from mmdl_lib.lab.cipher import PARTS, SMALL, cipher, sharpest, solved, without
from mmdl_lib.lab.distance import Attentive, Reader, Recurrent, first_token, reach
from mmdl_lib.metrics.bleu import bleu
from mmdl_lib.models.bahdanau import Bahdanau, BahdanauConfig
from mmdl_lib.models.transformer import Transformer, TransformerConfig

ADAM = partial(torch.optim.Adam, betas=(0.9, 0.98), eps=1e-9)  # section 5.3
ROWS = 20_000  # of the cipher
LONGEST = {"arms": 10, "weights": 12}  # most words of a clause


def part(seed, *, part, depth=1, steps=500):
    """A Transformer without one part learns the cipher."""
    model = without(part, replace(SMALL, depth=depth), seed=seed)
    test = cipher(500, 50_000 + seed)
    found = {"sharpest": sharpest(model, test)}
    batches = lab.rows(64, seed, **cipher(ROWS, seed))
    losses = lab.train(model, batches, steps=steps, lr=3e-3, warmup=0.2).losses["loss"]
    found |= {"curve": lab.means(losses, 25), "slow": sum(losses) / len(losses)}
    found |= solved(model, test)
    if part == "positions":
        found["same bags"] = same_bags(model, test, seed)
    return found


def same_bags(model, batch, seed):
    """Share of sources that are translated alike when their digits are shuffled."""
    order = torch.randperm(9, generator=generator(seed)) + 1
    order = torch.cat([torch.zeros(1, dtype=torch.long), order])
    made = [
        F.pad(out, (0, 20 - out.shape[1]), value=1)
        for source in (batch["source"], batch["source"][:, order])
        for out in [model.generate(source, batch["source_mask"], max_length=20)]
    ]
    return (made[0] == made[1]).all(1).double().mean().item()


def distance(seed, *, body, length):
    """Learn to name the token that stands first."""
    torch.manual_seed(seed)
    model = Reader(body, 32)
    fresh = reach(model, first_token(64, 90_000 + seed, length=length))
    began = time.process_time()
    batches = lab.rows(32, seed, **first_token(8000, seed, length=length))
    history = lab.train(model, batches, steps=300, lr=1e-2)
    test = first_token(1000, 50_000 + seed, length=length)
    with torch.no_grad():
        right = model.eval()(test["tokens"]).argmax(1) == test["label"]
    return {
        "accuracy": right.double().mean().item(),
        # the gradient may be too small for a float
        "reach": math.log10(max(fresh[0].item(), 1e-40)),
        "loss": lab.means(history.losses["loss"], 25),
        "seconds": round(time.process_time() - began, 2),
    }


@cache
def clauses(split, use="arms"):
    return translation.pairs(split, longest=LONGEST[use])


def transformer(**changes):
    sizes = {"vocab": one_vocabulary.size(), "width": 64, "depth": 2, "heads": 4}
    rates = {"dropout": 0.0, "smoothing": 0.0, "start": 1, "end": 2}
    return Transformer(TransformerConfig(**sizes | rates | changes))


def bahdanau():
    sizes = {"vocab_source": 3000, "vocab": 3000, "width": 96, "half": 48, "embed": 64}
    return Bahdanau(BahdanauConfig(**sizes))


def learn_clauses(model, seed, *, steps, lr, use="arms"):
    """Equal clauses in equal order for every model of a seed; CPU seconds."""
    source = translation.batches(clauses("train", use), 32, seed)
    is_ours = isinstance(model, Transformer)
    batches = (lambda s: one_vocabulary.joined(source(s))) if is_ours else source
    began = time.process_time()
    options = {"steps": steps, "lr": lr, "warmup": 0.2}
    history = lab.train(model, batches, optimizer=ADAM, **options)
    return {
        "seconds": round(time.process_time() - began, 1),
        "curve": lab.means(history.losses["nats" if is_ours else "loss"], 25),
    }


def translate(seed, *, smoothing=None, steps=400):
    """A Transformer, or without smoothing=... the recurrent attention model."""
    torch.manual_seed(seed)
    test = clauses("test")
    if smoothing is None:
        model = bahdanau()
        found = learn_clauses(model, seed, steps=steps, lr=LR["recurrent"])
        nats = sum(translation.piece_nats(model, test), [])
        found["nats"] = sum(nats) / len(nats)
        return found
    model = transformer(smoothing=smoothing)
    found = learn_clauses(model, seed, steps=steps, lr=LR["Transformer"])
    return found | one_vocabulary.surprise(model, test)


LR = {"Transformer": 4e-3, "recurrent": 4e-3}


def weights():
    """The chapter's translator; settings of its training as in the paper."""
    torch.manual_seed(0)
    model = transformer(width=80, dropout=0.1, smoothing=0.1)
    found = learn_clauses(model, 0, steps=2500, lr=4e-3, use="weights")
    lab.save_weights(model, "transformer", "verses")
    test = clauses("test", "weights")
    found |= one_vocabulary.surprise(model, test)
    some = test.take(range(0, len(test.source), 2))
    truth = [[" ".join(words)] for words in some.text.english]
    for beams in (1, 4):
        made = one_vocabulary.translated(model, some, beams=beams)
        found[f"bleu {beams}"] = bleu(made, truth, tokenize=str.split)
    return found | {"params": sum(p.numel() for p in model.parameters())}


BODIES = {"GRU": Recurrent, "attention": Attentive}
GROUPS = {
    "parts": {str(p or "whole"): partial(part, part=p) for p in (None, *PARTS)},
    "deep": {
        str(p or "whole"): partial(part, part=p, depth=4, steps=300)
        for p in (None, "norm")
    },
    "distance": {
        f"{name}/{length}": partial(distance, body=body, length=length)
        for name, body in BODIES.items()
        for length in (4, 16, 64)
    },
    "translation": {
        "Transformer": partial(translate, smoothing=0.0),
        "smoothed": partial(translate, smoothing=0.1),
        "recurrent": translate,
    },
}

LAB = lab.Lab(
    "transformer",
    groups=GROUPS,
    once={"weights": weights},
    claims=lab.read_claims(__file__),
)

if __name__ == "__main__":
    LAB.main()
