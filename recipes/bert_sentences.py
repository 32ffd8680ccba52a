"""BERT with its second task and without it: what is the task on pairs good for?

Command: python recipes/bert_sentences.py
Expected: ... minutes on a quiet core; results/bert_sentences.json.
"""

import copy
from functools import cache, partial

import torch

from mmdl_lib import lab
from mmdl_lib.lab import paragraphs
from mmdl_lib.lab.paragraphs import Reader, Sorter

WIDTH, START, WAVES = 32, 0.1, 0.2
STORIES, STEPS, BATCH, RATE = 20_000, 2000, 64, 3e-3
LABELS, TUNING = (32, 128, 512), 200  # labeled texts; steps


@cache
def new(world: str, relations: int) -> paragraphs.Stories:
    return paragraphs.draw(2000, 90_000_000, world=world, relations=relations)


def fresh(tasks: tuple[str, ...], seed: int) -> Reader:
    torch.manual_seed(seed)
    model = Reader(paragraphs.small(WIDTH))
    model.tasks = tasks
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter *= START / 0.02
    return model


def tuned(trunk, task, labels, seed, world, rate):
    read, classes = paragraphs.TASKS[task]
    relations = 3 if task == "pair" else 1
    some = paragraphs.draw(labels, 2_000_003 + seed, world=world, relations=relations)
    torch.manual_seed(seed)
    model = Sorter(copy.deepcopy(trunk), classes)
    lab.train(model, lab.rows(16, seed, **read(some)), steps=TUNING, lr=rate)
    return paragraphs.right(model, read(new(world, relations))).double().mean().item()


def pretrained(seed, world, tasks, change):
    model = fresh(tasks, seed)
    some = paragraphs.draw(STORIES, seed, world=world)
    batches = lab.rows(BATCH, seed, change=change, first=some.first, second=some.second)
    history = lab.train(model, batches, steps=STEPS, lr=RATE)
    return model, lab.means(history.losses["loss"], 100)
