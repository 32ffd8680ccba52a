"""Measure what a summary of fixed size loses, and what attention finds.

Command: python recipes/seq2seq.py             (all that is missing)
         python recipes/seq2seq.py translate:0 (one group, one seed)
         python recipes/seq2seq.py summary     (the claims)
Expected: about 15 minutes on a quiet core. Attention loses less on long clauses, and
looks where the gold links lie. The values stand in results/seq2seq.json, the claims in
recipes/seq2seq.toml.
"""

import math
from functools import cache, partial
from statistics import mean

import torch

from mmdl_lib import lab
from mmdl_lib.core import generator
from mmdl_lib.data import verses
from mmdl_lib.lab import translation as tr
from mmdl_lib.metrics.bleu import bleu
from mmdl_lib.models.bahdanau import Bahdanau, BahdanauConfig
from mmdl_lib.models.seq2seq import Seq2Seq, Seq2SeqConfig
from mmdl_lib.nn import decode

STEPS, BATCH, RATE = 1200, 32, 8e-3
SHORT, LONG = 12, 20  # most words of a clause in training, and of a new one
EDGES = (5, 8, 12, 16, 20)  # most Spanish words of a clause in each group
SIZES = {"vocab_source": 3000, "vocab": 3000, "width": 96, "embed": 64}
READ = 150  # clauses that are decoded


def attentive(score: str, encoder: str = "both") -> BahdanauConfig:
    """A decoder that looks at all states of the encoder."""
    half = 48 if encoder == "both" else 96
    return BahdanauConfig(**SIZES, half=half, score=score, encoder=encoder)


def summed(cell: str = "gru", context: str = "always", order: str = "forward"):
    """A decoder that gets one vector."""
    kinds = {"cell": cell, "context": context, "order": order}
    return Seq2SeqConfig(**SIZES, depth=1, **kinds)


ARMS = {
    "summary": summed(),
    "additive": attentive("additive"),
    "dot": attentive("dot"),
}
ORDERS = {order: summed("lstm", "start", order) for order in ("forward", "reversed")}


def fresh(config, seed: int):
    """An untrained translator."""
    torch.manual_seed(seed)
    kind = Bahdanau if isinstance(config, BahdanauConfig) else Seq2Seq
    return kind(config)


def trained(config, seed: int, steps: int = STEPS):
    """Equal batches for every translator of a seed."""
    data = tr.pairs("train", longest=SHORT)
    model, batches = fresh(config, seed), tr.batches(data, BATCH, seed)
    history = lab.train(model, batches, steps=steps, lr=RATE, seed=seed)
    return model, lab.means(history.losses["loss"], 50)


@cache
def test(longest: int = SHORT) -> tr.Pairs:
    """New clauses, of books that are not trained on."""
    return tr.pairs("test", longest=longest)


def losses(model) -> dict:
    """Nats for each English word, by the length of the Spanish clause."""
    nats = tr.piece_nats(model, test(LONG))
    found = {"by length": tr.by_length(nats, test(LONG), EDGES)}
    found |= {f"piece {k + 1}": mean(row[k] for row in nats) for k in (0, 1)}
    return found | {"nats": tr.per_word(nats, test(LONG))}


@cache
def known() -> tr.Pairs:
    """One in twelve of the clauses that are trained on; their links are never seen."""
    data = tr.pairs("train", longest=SHORT)
    return data.take(range(0, len(data.source), 12))


SETS = {"known": known, "new": test}


def judged(align) -> dict:
    """What `align(clauses)` proposes: error rate, and the moved words that it finds."""
    found = {}
    for name, some in SETS.items():
        links, text = align(some()), some().text
        rates = {"aer": tr.error_rate(links, text), "moved": tr.moved(links, text)}
        found[name] = rates
    return found


def aligned(model) -> dict:
    """Each English word linked to where it looks most."""
    return judged(lambda some: tr.best(tr.word_weights(model, some)))


def translate(seed: int, *, config) -> dict:
    """Train a translator; where it can look, compare its looks with gold links."""
    attends = isinstance(config, BahdanauConfig)
    before = aligned(fresh(config, seed)) if attends else None
    model, curve = trained(config, seed)
    found = losses(model) | {"loss": curve}
    if attends:
        found |= aligned(model) | {"untrained": before}
        found["diagonal"] = judged(lambda some: tr.diagonal(some.text))
        found["random"] = judged(lambda some: tr.at_random(some.text, seed))
    return found | (searched(model) if attends and config.score == "additive" else {})


def searched(model) -> dict:
    """Greedy and with four beams: log p of what is found, BLEU, and its length."""
    some = test().take(range(0, len(test().source), len(test().source) // READ))
    batch, pieces = some.batch(range(len(some.source))), verses.pieces("english")
    source = batch["source"], batch["source_mask"]
    true = [[" ".join(words)] for words in some.text.english]
    found, options = {}, {"max_length": 30}
    for name in ("greedy", "beam"):
        if name == "greedy":
            out = model.search(*source, **options)
            tokens, log_p = out.tokens, out.log_prob
        else:
            out = model.search(*source, decode.beam_search, beams=4, **options)
            tokens, log_p = out.tokens[:, 0], out.log_prob[:, 0]
        said = [" ".join(pieces.decode(row)) for row in tokens]
        found[name] = {
            "log p": log_p.mean().item(),
            "bleu": 100 * bleu(said, true, smoothing="exp"),
            "words": sum(len(text.split()) for text in said) / len(said),
        }
    return found


def order(seed: int, *, config) -> dict:
    """Without attention, the source as it is or backwards."""
    model, curve = trained(config, seed, steps=400)
    return losses(model) | {"loss": curve}


def gradient(seed: int, *, config) -> dict:
    """Untrained: how the gradient at the first source token compares with the last."""
    return {str(n): reach(fresh(config, seed), n, seed) for n in (5, 10, 20, 40)}


def reach(model, n: int, seed: int) -> float:
    """log10 of |gradient at the first token| / |gradient at the last|, n tokens."""
    random, found = generator(seed), []
    source, tokens = (torch.randint(3, 3000, (16, n), generator=random) for _ in "xy")
    mask = torch.ones_like(source, dtype=torch.bool)

    def note(module, inputs, output):
        output.retain_grad()
        found.append(output)

    hook = model.source_embedding.register_forward_hook(note)
    batch = {"source": source, "source_mask": mask, "tokens": tokens, "mask": mask}
    model.loss(batch)["loss"].backward()
    hook.remove()
    norm = found[0].grad.norm(dim=-1).double().mean(0)
    return math.log10(norm[0] / norm[-1])


def counts() -> dict:
    """IBM's model 1 on the same clauses: a yardstick that counts and learns no net."""
    table = tr.ibm1(tr.pairs("train", longest=SHORT).text)
    return judged(lambda some: tr.counted(table, some.text))


def weights() -> dict:
    """The attentive translator that the chapter loads."""
    model, curve = trained(ARMS["additive"], 0, steps=2600)
    lab.save_weights(model, "bahdanau", "verses")
    found = losses(model) | aligned(model) | {"loss": curve}
    return found | {"params": sum(p.numel() for p in model.parameters())}


GROUPS = {
    "translate": {k: partial(translate, config=c) for k, c in ARMS.items()},
    "order": {k: partial(order, config=c) for k, c in ORDERS.items()},
    "gradient": {
        "summary": partial(gradient, config=summed()),
        "attention": partial(gradient, config=attentive("dot", "forward")),
    },
}
LAB = lab.Lab(
    "seq2seq",
    groups=GROUPS,
    once={"counts": counts, "weights": weights},
    claims=lab.read_claims(__file__),
    least=5,
)

if __name__ == "__main__":
    LAB.main()
