"""Train small GPTs that copy, that find out rules, and one on verses.

Command: python recipes/gpt.py   (what is missing, then the claims; or a group's name)
Expected: about 12 minutes on a quiet core. Two layers copy from their context and one
does not; answers get better with examples, and change with their order. The values
stand in results/gpt.json.
"""

import random
from functools import partial

import torch

from mmdl_lib import lab
from mmdl_lib.core import generator
from mmdl_lib.inside.heads import (
    importance,
    prefix_matching,
    previous_token,
    ranked,
    without,
)
from mmdl_lib.lab.sequences import (
    answered,
    examples,
    ideal,
    in_all_orders,
    repeated,
)
from mmdl_lib.lab.verse_rows import probe, stream, windows
from mmdl_lib.models.gpt import GPT, GPTConfig

COPY = {"vocab": 32, "context": 24, "width": 64, "heads": 4}
RULES = GPTConfig(vocab=18, context=16, width=64, depth=2, heads=4)
VERSES = GPTConfig(vocab=3000, context=64, width=64, depth=4, heads=4)
BATCH = 32
EVERY = 50  # steps between two looks at a model that learns to copy


def slope(step, steps):
    """Full rate after 25 steps, and a straight way down in the last two fifths."""
    return min(1.0, (step + 1) / 25, 2.5 * (1 - step / steps))


def fresh(config, seed, *, wider=1.0):
    """A new model; `wider` multiplies all that starts at random."""
    torch.manual_seed(seed)
    model = GPT(config)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            parameter.data *= wider
    return model


@torch.no_grad()
def loss_on(model, texts) -> float:
    """Nats on what could be copied."""
    return model.loss(texts.batch())["loss"].item()


@torch.no_grad()
def looks(model, texts):
    """Prefix matching and previous token, of each head."""
    attention = model.attention(texts.tokens)
    found = prefix_matching(attention, texts.tokens), previous_token(attention)
    return [score.tolist() for score in found]


def copier(depth, seed, *, steps, periods=(8, 16), watch=None):
    """Learns to copy random texts that begin again."""
    model = fresh(GPTConfig(**COPY, depth=depth), seed)

    def batches(step):
        return repeated(BATCH, 1_000_003 * seed + step, periods=periods).batch()

    # some seeds find the copying heads late: the rate must not fall before
    options = {"lr": 3e-3, "schedule": slope, "watch": watch}
    history = lab.train(model, batches, steps=steps, **options)
    return model.eval(), lab.means(history.losses["loss"], EVERY)


def copying(seed, *, depth, steps=1400, periods=(8, 16)):
    """Loss on copies, its course, and the best head's two scores on the way."""
    test = repeated(500, 50_000 + seed, periods=periods)
    few, course = repeated(100, 60_000 + seed, periods=periods), []

    def watch(step, model, terms):
        if step % EVERY == EVERY - 1:
            course.append([torch.tensor(x).max().item() for x in looks(model, few)])

    options = {"steps": steps, "periods": periods, "watch": watch}
    model, curve = copier(depth, seed, **options)
    prefix, previous = looks(model, test)
    return {
        "loss": loss_on(model, test),
        "curve": curve,
        "course": course,
        "prefix": max(map(max, prefix)),
        "scores": {"prefix": prefix, "previous": previous},
    }


def heads(seed):
    """Four layers that copy: what is lost without some of their sixteen heads."""
    model, _ = copier(4, seed, steps=1000)
    choose, test = repeated(200, 70_000 + seed), repeated(200, 50_000 + seed)
    prefix = torch.tensor(looks(model, choose)[0])
    every = ranked(prefix)
    top, rest = every[-4:], every[:-4]
    dice = random.Random(seed)

    def left(gone):
        with without(model, gone):
            return loss_on(model, test)

    def mean(pool, count, draws=6):
        return sum(left(dice.sample(pool, count)) for _ in range(draws)) / draws

    order = ranked(importance(model, lambda: loss_on(model, choose)))
    return {
        "loss": left([]),
        "without top": left(top),
        "without others": mean(rest, 4),
        "top prefix": sum(prefix[head].item() for head in top) / 4,
        "other prefix": sum(prefix[head].item() for head in rest) / 12,
        "pruned": [left(order[:k]) for k in range(17)],
        "random": {k: mean(every, k) for k in (4, 8, 12)},
        "prefix": prefix.tolist(),
    }


def rules(seed):
    """Answers by the number of examples and by their order."""
    model = fresh(RULES, seed, wider=4.0)
    untrained = by_order(model, seed)

    def batches(step):
        return examples(2 * BATCH, 1_000_003 * seed + step).batch()

    history = lab.train(model, batches, steps=1000, lr=3e-3)
    model.eval()
    found = by_shots(model, seed) | by_order(model, seed)
    found |= {"untrained": {key: untrained[key] for key in ("best", "mean", "worst")}}
    return found | {"curve": lab.means(history.losses["loss"], EVERY)}


@torch.no_grad()
def by_shots(model, seed):
    """Accuracy after 0 to 7 examples: ours, the ideal's, and with other answers."""
    test = examples(1000, 50_000 + seed)
    dealt = test.answer[:, torch.randperm(8, generator=generator(seed))]
    found = {"accuracy": [], "ideal": [], "dealt": []}
    for k in range(8):
        asked, truth = test.symbol[:, k : k + 1], test.answer[:, k : k + 1]
        for name, said in (("accuracy", test.answer), ("dealt", dealt)):
            pairs = torch.stack([test.symbol, said], -1)[:, :k]
            right = (answered(model, pairs, asked) > 0) == (truth == 1)
            found[name].append(right.double().mean().item())
        sure = ideal(test.symbol[:, :k], test.answer[:, :k], asked)
        found["ideal"].append(torch.maximum(sure, 1 - sure).mean().item())
    return found


@torch.no_grad()
def by_order(model, seed, *, tasks=60):
    """Four examples in all 24 orders; the other twelve symbols are asked."""
    whole = examples(tasks, 60_000 + seed, shots=16)
    shown = whole._replace(symbol=whole.symbol[:, :4], answer=whole.answer[:, :4])
    asked, truth = whole.symbol[:, 4:], whole.answer[:, 4:]
    every = in_all_orders(shown)
    odds = torch.stack([answered(model, pairs, asked) for pairs in every])
    right = ((odds > 0) == (truth == 1)).double()  # orders, tasks, asked
    score = right.mean(-1)
    sure = ideal(shown.symbol, shown.answer, asked)
    chosen, others = right[..., :6].mean(-1), right[..., 6:].mean(-1)
    best = chosen.argmax(0, keepdim=True)
    # how much the answer leans to that of the first and of the last example shown
    lean = odds.mean(-1) / odds.std()
    sign = 2 * every[..., 1].double() - 1
    return {
        "best": score.amax(0).mean().item(),
        "mean": score.mean().item(),
        "worst": score.amin(0).mean().item(),
        "flips": ((odds > 0).any(0) & (odds <= 0).any(0)).double().mean().item(),
        "ideal of four": torch.maximum(sure, 1 - sure).mean().item(),
        "scores": score[:, 0].tolist(),
        "chosen": chosen.gather(0, best).mean().item(),
        "elsewhere": others.gather(0, best).mean().item(),
        "lean first": (lean * sign[:, :, 0]).mean().item(),
        "lean last": (lean * sign[:, :, 3]).mean().item(),
    }


def weights():
    """A GPT on the English verses, and what its layers know of the parts of speech."""
    model = fresh(VERSES, 0)

    def batches(step):
        return windows("train", 16, step, length=VERSES.context)

    history = lab.train(model, batches, steps=3000, lr=3e-3)
    lab.save_weights(model, "gpt", "verses")
    test = windows("test", 200, 0, length=VERSES.context)
    with torch.no_grad():
        loss = model.eval().loss(test)["loss"].item()
    counts = stream("train")[0].bincount(minlength=VERSES.vocab) + 1.0
    said = test["tokens"][:, 1:]
    return {
        "loss": loss,
        "one word": -(counts / counts.sum()).log()[said].mean().item(),
        "probe": probe(model),
        "probe untrained": probe(fresh(VERSES, 1).eval()),
        "params": sum(p.numel() for p in model.parameters()),
        "seconds": round(history.seconds),
    }


GROUPS = {
    "copying": {
        "2 layers": partial(copying, depth=2),
        "1 layer": partial(copying, depth=1),
        "1 layer, one period": partial(copying, depth=1, steps=400, periods=(12, 12)),
    },
    "heads": heads,
    "rules": rules,
}
CLAIMS = lab.read_claims(__file__)
LAB = lab.Lab("gpt", groups=GROUPS, once={"weights": weights}, claims=CLAIMS, least=6)

if __name__ == "__main__":
    LAB.main()
