"""Let data2vec hear real speech, and made, and ask which word a clip begins with.

Command: python recipes/data2vec_further.py            (all that is missing; `captions`
         needs spoken captions, Debian's tuxpaint-stamps-default, and soundfile)
         python recipes/data2vec_further.py made:0     (one source, one seed)
         python recipes/data2vec_further.py summary    (the claims)
Expected: one to two minutes for a source and seed on one core. Net and loss are those
of recipes/data2vec.py for sounds; claims stand in recipes/data2vec_further.toml.
"""

from functools import partial

import torch

from mmdl_lib import lab
from mmdl_lib.core import generator
from mmdl_lib.lab import speech
from mmdl_lib.lab import three_senses as senses
from mmdl_lib.metrics.probe import linear_probe
from mmdl_lib.models.data2vec import Data2Vec

STEPS, BATCH, EVERY, FIT = 500, 32, 20, {"lr": 2e-3, "weight_decay": 0.01}


def held(step, steps):
    """The rate's share: up in 50 steps, held, and down in the last quarter."""
    return min(1.0, (step + 1) / 50, max(0.03, 4 * (1 - step / steps)))


def fresh(seed):
    """The student of a seed before any training."""
    torch.manual_seed(seed)
    return Data2Vec(senses.CONFIGS["sounds"])


def split(source, seed):
    """Real words are not equally frequent in each language; made ones are."""
    clips = speech.load(source, n=lab.short(speech.MADE, least=300))
    return speech.split(clips, seed, even=source == "stamps")


def told(known, asked, features):
    """How often a probe on such features is right about first words, and voices."""
    x, y = features(known), features(asked)
    pairs = {"word": (known.word, asked.word), "voice": (known.voice, asked.voice)}
    return {k: linear_probe(x, a, y, b, l2=1e-2) for k, (a, b) in pairs.items()}


def given(seed, *, source, how):
    """What is told without any learning: an untrained net, or mel bands."""
    _, known, asked = split(source, seed)
    count = {"known": len(known.word), "asked": len(asked.word)}
    if how == "untrained":
        return told(known, asked, partial(speech.heard, fresh(seed))) | count
    return told(known, asked, partial(speech.bands, order=how == "order")) | count


def trained(seed, *, source):
    """data2vec after seconds of speech without labels."""
    world, known, asked = split(source, seed)
    model = fresh(seed)

    def batches(step):
        random = generator(1_000_003 * seed + step)
        rows = torch.randint(len(world.word), (BATCH,), generator=random)
        return {"sound": speech.seconds(world, rows, random=random)}

    losses = lab.train(model, batches, steps=STEPS, schedule=held, **FIT).losses
    curves = {name: lab.means(values, EVERY) for name, values in losses.items()}
    found = told(known, asked, partial(speech.heard, model))
    return found | {"learned from": len(world.word), "curves": curves}


def arms(source):
    """Everything that is asked about one source."""
    ways = {"untrained": "untrained", "bands": "mean", "bands in order": "order"}
    ways = {k: partial(given, source=source, how=how) for k, how in ways.items()}
    return ways | {"data2vec": partial(trained, source=source)}


LAB = lab.Lab(
    "data2vec_further",
    groups={"made": arms("made"), "captions": arms("stamps")},
    claims=lab.read_claims(__file__),
    least=6,
)

if __name__ == "__main__":
    LAB.main()
