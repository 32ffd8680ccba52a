"""The VQA family against the official rules.

`vqa_normalized.json` holds what the official `processPunctuation` and
`processDigitArticle` make of 520 answers. They were run as `salesforce-lavis` 1.0.2
ships them (lavis/common/vqa_tools/vqa_eval.py), which needs packages that are not here:
`e.processDigitArticle(e.processPunctuation(text))` for each key, with `e = VQAEval()`.
"""

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import accuracy_score, recall_score, roc_auc_score

from mmdl_lib.core import generator
from mmdl_lib.metrics.foil import classification, correction, detection
from mmdl_lib.metrics.gqa import (
    accuracy,
    consistency,
    distribution,
    plausibility,
    validity,
)
from mmdl_lib.metrics.valse import valse
from mmdl_lib.metrics.vcr import vcr
from mmdl_lib.metrics.vqa_accuracy import answer_scores, normalize

STORED = json.loads((Path(__file__).parent / "vqa_normalized.json").read_text())
BY_FORCE = {"package": "numpy", "reference": "official rules by brute force, NumPy"}
SKLEARN = {"package": "scikit-learn", "reference": "scikit-learn"}


def tensor(values):
    return torch.tensor(values, dtype=torch.float64)


def test_answers_are_spelled_as_the_official_code_spells_them(agree):
    assert len(STORED) == 520
    agree(
        "Spelling of 520 answers",
        {text: normalize(text) for text in STORED},
        STORED,
        ours="mmdl_lib.metrics.vqa_accuracy",
        package="mmdl_lib",
        reference="vqaEval.py, stored",
        tolerance=0,
    )


def test_scores_are_those_of_all_subsets_of_nine(agree):
    random = np.random.default_rng(0)
    texts = [text for text in sorted(STORED) if text == text.strip()]
    predictions, answers, theirs = [], [], []
    for i in range(300):
        some = [texts[j] for j in random.integers(0, len(texts), 3)]
        people = [some[j] for j in random.integers(0, 1 if i % 10 == 0 else 3, 10)]
        prediction = some[random.integers(0, 3)]
        predictions.append(prediction)
        answers.append(people)
        if len(set(people)) > 1:
            prediction, people = STORED[prediction], [STORED[p] for p in people]
        hits = np.array([p == prediction for p in people])
        nine = [hits[list(some)].sum() for some in combinations(range(10), 9)]
        theirs.append(np.minimum(np.array(nine) / 3, 1).mean())
    agree(
        "VQA accuracy, all subsets of nine",
        tensor(answer_scores(predictions, answers)),
        tensor(theirs),
        ours="mmdl_lib.metrics.vqa_accuracy",
        tolerance=1e-12,
        **BY_FORCE,
    )
    assert 0.2 < np.mean(theirs) < 0.9


def test_vcr_is_three_accuracies_of_scikit_learn(agree):
    g = generator(0)
    scores = [torch.rand(200, 4, generator=g) for _ in range(2)]
    truth = [torch.randint(0, 4, (200,), generator=g) for _ in range(2)]
    for s, t in zip(scores, truth, strict=True):
        s[::2] += torch.eye(4)[t][::2]
    guesses = [s.argmax(1) for s in scores]
    both = [4 * a + r for a, r in (guesses, truth)]
    theirs = [accuracy_score(t, s) for s, t in zip(guesses, truth, strict=True)]
    agree(
        "VCR: Q -> A, QA -> R, Q -> AR",
        tensor(vcr(*scores, answer=truth[0], reason=truth[1])),
        tensor([*theirs, accuracy_score(both[1], both[0])]),
        ours="mmdl_lib.metrics.vcr",
        tolerance=1e-12,
        **SKLEARN,
    )


def test_foil_classification_is_accuracy_and_two_recalls(agree):
    g = generator(1)
    said, true = (torch.rand(200, generator=g) < p for p in (0.4, 0.6))
    places = torch.randint(0, 3, (2, 150), generator=g)
    words = [[f"word {i}" for i in row] for row in places.flip(1)[:, :99].tolist()]
    agree(
        "FOIL: classification, detection, correction",
        tensor(
            [
                *classification(said, true),
                detection(places[0].tolist(), places[1].tolist()),
                correction(*words),
            ]
        ),
        tensor(
            [
                accuracy_score(true, said),
                recall_score(true, said, pos_label=False),
                recall_score(true, said, pos_label=True),
                accuracy_score(*places),
                accuracy_score(*words),
            ]
        ),
        ours="mmdl_lib.metrics.foil",
        tolerance=1e-12,
        **SKLEARN,
    )


def test_valse_is_accuracy_recalls_and_area_of_scikit_learn(agree):
    g = generator(2)
    caption = (torch.rand(200, generator=g, dtype=torch.float64) * 50).round() / 50
    foil = (torch.rand(200, generator=g, dtype=torch.float64) * 40).round() / 50
    both, true = torch.cat([caption, foil]), torch.arange(400) < 200
    said = both > 0.5
    agree(
        "VALSE: acc_r, acc, p_c, p_f, AUROC",
        tensor(valse(caption, foil)),
        tensor(
            [
                accuracy_score(torch.ones(200), caption > foil),
                accuracy_score(true, said),
                recall_score(true, said, pos_label=True),
                recall_score(true, said, pos_label=False),
                roc_auc_score(true, both),
            ]
        ),
        ours="mmdl_lib.metrics.valse",
        tolerance=1e-12,
        **SKLEARN,
    )


def test_gqa_is_its_definition_written_with_tables(agree):
    """Every question and answer is a number, every sum a matrix product.

    As in the official code only balanced questions count, what they entail is any, and
    the chi-square is divided by 100.
    """
    random, n, kinds = np.random.default_rng(3), 400, 5
    true, said = (random.integers(0, kinds, n) for _ in range(2))
    said = np.where(random.random(n) < 0.6, true, said)
    follows = random.random((n, n)) < 0.01
    group, balanced = random.integers(0, 7, n), random.random(n) < 0.7
    right, other = said == true, follows & ~np.eye(n, dtype=bool)
    asked = right & other.any(1) & balanced
    per_question = (other[asked] @ right.astype(int)) / other[asked].sum(1)
    table = np.zeros((2, 7, kinds))
    for part, spoken in zip(table, (true, said), strict=True):
        np.add.at(part, (group[balanced], spoken[balanced]), 1)
    e, o = table
    chi = np.divide((o - e) ** 2, e, out=np.zeros_like(e), where=e > 0).sum(1)
    answers = {i: str(a) for i, a in enumerate(true)}
    count = {"balanced": np.flatnonzero(balanced).tolist()}
    given = {i: str(a) for i, a in enumerate(said)}
    entailed = {i: np.flatnonzero(row).tolist() for i, row in enumerate(follows)}
    fits = random.random((2, n, kinds)) < 0.7
    sets = [
        {i: {*map(str, np.flatnonzero(row))} for i, row in enumerate(x)} for x in fits
    ]
    agree(
        "GQA: accuracy, consistency, distribution, validity, plausibility",
        tensor(
            [
                accuracy(given, answers),
                consistency(given, answers, entailed=entailed, **count),
                distribution(given, answers, group=dict(enumerate(group)), **count),
                validity(given, sets[0]),
                plausibility(given, sets[1]),
            ]
        ),
        tensor(
            [
                right.mean(),
                per_question.mean(),
                (chi * e.sum(1)).sum() / balanced.sum() / 100,
                *fits[:, np.arange(n), said].mean(1),
            ]
        ),
        ours="mmdl_lib.metrics.gqa",
        tolerance=1e-12,
        **BY_FORCE,
    )
