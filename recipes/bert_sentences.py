"""BERT with its task on pairs of sentences and without it, in a made world.

Command: python recipes/bert_sentences.py
Expected: about twenty minutes on a quiet core; results/bert_sentences.json. Does the
task on pairs teach what two sentences are about, and does it teach their order?
"""

import copy
from functools import cache, partial
from statistics import mean

import torch

from mmdl_lib import lab
from mmdl_lib.core import generator
from mmdl_lib.lab import paragraphs
from mmdl_lib.lab.paragraphs import Reader, Sorter, Stories
from mmdl_lib.nn import sinusoidal

WIDTH, START, WAVES = 32, 0.1, 0.2
STORIES, STEPS, BATCH, RATE = 20_000, 1500, 48, 4e-3
LONGER = 5000  # steps
# labels of each task, equally many of each kind, and how often they are drawn
LABELS = {"sentence": {12: 1}, "pair": {30: 2, 120: 1, 480: 1}}
TUNING = {"steps": 400, "lr": 1e-3}
UNSEEN = 500  # added to each seed: beginnings that no earlier form and no pilot had
SMALL = paragraphs.small(WIDTH)


def relations(task: str) -> int:
    """Pairs have three relations; of a single sentence it does not matter."""
    return len(paragraphs.RELATIONS) if task == "pair" else 1


@cache
def new(many: int) -> Stories:
    """Stories that no net was trained on."""
    return paragraphs.draw(2000, 91_000_000, relations=many)


def fresh(seed: int) -> Reader:
    """A net before training, equal for all arms; see `recipes/bert.py`'s."""
    torch.manual_seed(seed)
    model = Reader(SMALL)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter *= START / 0.02
        waves = sinusoidal(torch.arange(SMALL.positions), WIDTH, base=20)
        model.positions.table.copy_(WAVES * waves)
    return model


def some_labels(task: str, count: int, seed: int) -> dict:
    """The same labeled texts for every arm of a seed."""
    read, classes = paragraphs.TASKS[task]
    many = paragraphs.draw(3000, 2_000_003 + seed, relations=relations(task))
    whole = read(many)
    row = lab.few(whole["label"], count, seed, classes=classes)
    return {name: tensor[row] for name, tensor in whole.items()}


def tuned(trunk: Reader, task: str, count: int, seed: int) -> float:
    """Accuracy on new texts after fine-tuning a copy."""
    read, classes = paragraphs.TASKS[task]
    torch.manual_seed(seed)
    model = Sorter(copy.deepcopy(trunk), classes)
    batches = lab.rows(16, seed, **some_labels(task, count, seed))
    lab.train(model, batches, **TUNING)
    right = paragraphs.right(model, read(new(relations(task))))
    return right.double().mean().item()


def often(trunk: Reader, task: str, count: int, seed: int) -> float:
    """The mean over draws of labeled texts: few labels are a matter of luck."""
    draws = range(LABELS[task][count])
    return mean(tuned(trunk, task, count, 10 * seed + draw) for draw in draws)


def three_kinds(seed: int) -> dict:
    """Pairs of new stories: true ones, exchanged ones, and true ones turned around."""
    some = new(1)
    order = torch.randperm(len(some.second), generator=generator(seed))
    kinds = {"true": (some.first, some.second)}
    kinds["random"] = some.first, some.second[order]
    return kinds | {"turned": (some.second, some.first)}


def taught(
    seed: int, tasks: tuple[str, ...], *, mix: bool = True, steps: int = STEPS
) -> tuple[Reader, dict]:
    """Pre-train and ask what the net knows; without tasks it stays as it is.

    Args:
        seed: of all that is random.
        tasks: what counts in the loss.
        mix: a half of the stories lose their second sentence.
        steps: of training.
    """
    model, found = fresh(seed), {}
    if tasks:
        model.tasks = tasks
        some = paragraphs.draw(STORIES, seed)
        change = paragraphs.mixed if mix else paragraphs.whole
        sides = {"first": some.first, "second": some.second}
        batches = lab.rows(BATCH, seed, change=change, **sides)
        history = lab.train(model, batches, steps=steps, lr=RATE)
        found["curve"] = lab.means(history.losses["loss"], 100)
    if "words" in tasks:
        found["nats"] = paragraphs.nats(model, new(1), seed)
    if "follows" in tasks:
        for name, pair in three_kinds(seed).items():
            found[name] = paragraphs.follows(model, *pair)
    return model, found


def net(seed: int, *, tasks: tuple[str, ...], mix: bool = True) -> dict:
    """Pre-train, or not, then sort single sentences and pairs; see `taught`."""
    seed += UNSEEN
    model, found = taught(seed, tasks, mix=mix)
    return found | {
        task: {str(n): often(model, task, n, seed) for n in LABELS[task]}
        for task in LABELS
    }


def longer(seed: int) -> dict:
    """Words and pairs, from the same start, for more steps."""
    seed += UNSEEN
    model, found = taught(seed, ("words", "follows"), steps=LONGER)
    named = {str(n): often(model, "pair", n, seed) for n in LABELS["pair"]}
    return found | {"pair": named}


def counted(seed: int) -> dict:
    """A bag of words: which words come together in stories, whatever the order."""
    seed += UNSEEN
    table = paragraphs.together(paragraphs.draw(STORIES, seed))
    return {
        name: (paragraphs.fits(table, *pair) > 0).double().mean().item()
        for name, pair in three_kinds(seed).items()
    }


GROUPS = {
    "nets": {
        "words": partial(net, tasks=("words",), mix=False),
        "exchanged": partial(net, tasks=("words",)),
        "both": partial(net, tasks=("words", "follows")),
        "untrained": partial(net, tasks=()),
    },
    "counted": counted,
    "longer": longer,
}
CLAIMS = lab.read_claims(__file__)
# as many seeds as were set before, whatever the width of the intervals
EXACT = {"nets": 6, "counted": 6, "longer": 6}
LAB = lab.Lab("bert_sentences", groups=GROUPS, claims=CLAIMS, exact=EXACT)

if __name__ == "__main__":
    LAB.main()
