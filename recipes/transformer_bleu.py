"""Which translator has the higher BLEU after equal time: attention or recurrence?

Command: python recipes/transformer_bleu.py          (all that is missing)
         python recipes/transformer_bleu.py verses:0 (one seed)
         python recipes/transformer_bleu.py summary  (the claims)
Expected: about 20 minutes on a quiet core; results/transformer_bleu.json.

Both translators have 0.8 million parameters and read the same clauses in the same
order; the one with shorter steps takes more of them: ten earlier trainings of each had
taken 1.56 times as long for a step of the Transformer. Seeds begin at 500.
"""

import time
from functools import cache, partial

import torch

from mmdl_lib import lab
from mmdl_lib.data import verses
from mmdl_lib.lab import one_vocabulary, translation
from mmdl_lib.metrics.bleu import bleu
from mmdl_lib.models.bahdanau import Bahdanau, BahdanauConfig
from mmdl_lib.models.transformer import Transformer, TransformerConfig
from mmdl_lib.nn.decode import beam_search, gnmt

LONGEST, BATCH, BEAMS = 12, 32, 4
ADAM = partial(torch.optim.Adam, betas=(0.9, 0.98), eps=1e-9)
STEPS = {"Transformer": 1400, "recurrent": 2180}
RATE = {"Transformer": 4e-3, "recurrent": 8e-3}


@cache
def clauses(split: str) -> translation.Pairs:
    """Clauses of at most 12 words."""
    return translation.pairs(split, longest=LONGEST)


def fresh(name: str, seed: int):
    """An untrained translator, without dropout or smoothing."""
    torch.manual_seed(seed)
    if name == "recurrent":
        sizes = {"vocab_source": 3000, "vocab": 3000, "embed": 64}
        return Bahdanau(BahdanauConfig(**sizes, width=96, half=48))
    sizes = {"vocab": one_vocabulary.size(), "width": 80, "depth": 2, "heads": 4}
    rest = {"dropout": 0.0, "smoothing": 0.0, "start": 1, "end": 2}
    return Transformer(TransformerConfig(**sizes, **rest))


def read(name: str, seed: int):
    """Batches of clauses of like length, the same for both."""
    source = translation.batches(clauses("train"), BATCH, seed)
    if name == "recurrent":
        return source
    return lambda step: one_vocabulary.joined(source(step))


def said(model, data: translation.Pairs, beams: int) -> list[str]:
    """Translations, in the order of the clauses."""
    if isinstance(model, Transformer):
        return one_vocabulary.translated(model, data, beams=beams)
    model.eval()
    english, found = verses.pieces("english"), []
    search = (beam_search,) if beams > 1 else ()
    options = {"beams": beams, "penalty": gnmt(0.6)} if beams > 1 else {}
    for start in range(0, len(data.source), 100):
        part = data.batch(range(start, min(start + 100, len(data.source))))
        given = part["source"], part["source_mask"], *search
        tokens = model.search(*given, max_length=30, **options).tokens
        tokens = tokens[:, 0] if beams > 1 else tokens
        found += [" ".join(english.decode(row)) for row in tokens]
    return found


def judged(model, data: translation.Pairs) -> dict:
    """BLEU in points, also against clauses that were not asked for; nats per piece."""
    truth = [[" ".join(words)] for words in data.text.english]
    points, found = partial(bleu, tokenize=str.split), {}
    for beams in (1, BEAMS):
        made = said(model, data, beams)
        found[f"bleu {beams}"] = 100 * points(made, truth)
        other = truth[1:] + truth[:1]
        found[f"bleu {beams}, another clause"] = 100 * points(made, other)
        found[f"words {beams}"] = sum(len(t.split()) for t in made) / len(made)
    if isinstance(model, Transformer):
        return found | one_vocabulary.surprise(model, data)
    nats = sum(translation.piece_nats(model, data), [])
    return found | {"nats": sum(nats) / len(nats)}


def learn(name: str, seed: int, steps: int, rate: float):
    """A trained translator, its losses, and the seconds of a core that they took."""
    model, batches = fresh(name, seed), read(name, seed)
    options = {"steps": steps, "lr": rate, "warmup": 0.2}
    began = time.process_time()
    history = lab.train(model, batches, optimizer=ADAM, **options)
    seconds = time.process_time() - began
    losses = history.losses["loss" if name == "recurrent" else "nats"]
    return model, {"seconds": seconds, "curve": lab.means(losses, 50)}


def translate(seed: int, *, name: str) -> dict:
    """Train a translator for its share of steps and let it translate new clauses."""
    model, found = learn(name, 500 + seed, STEPS[name], RATE[name])
    new = clauses("test")
    return found | judged(model, new.take(range(lab.short(len(new.source)))))


def even(run: dict) -> float:
    """A tenth, less what the seconds of the two trainings differ by as a share."""
    took = [run["verses"][name]["seconds"] for name in STEPS]
    return 0.1 - abs(took[0] / took[1] - 1)


LAB = lab.Lab(
    "transformer_bleu",
    groups={"verses": {name: partial(translate, name=name) for name in STEPS}},
    claims=lab.read_claims(__file__, even=even),
    exact={"verses": 10},
)

if __name__ == "__main__":
    LAB.main()
