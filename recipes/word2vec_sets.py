"""Ask real GloVe vectors the field's public questions.

Command: python recipes/word2vec_sets.py    (needs gensim, which carries the questions)
Expected: a minute on one core; results/word2vec_sets.json. WordSim-353 and SimLex-999
are people's scores of pairs; the analogies are those of Mikolov et al. 2013. Questions
with a word that is not among the 30,000 most frequent are left out and counted.
"""

from collections import defaultdict
from pathlib import Path

import torch
from gensim.test.utils import datapath

from mmdl_lib import lab
from mmdl_lib.core import generator
from mmdl_lib.data import words
from mmdl_lib.inside.words import answers
from mmdl_lib.metrics.spearman import spearman

SCORES = {"WordSim-353": "wordsim353.tsv", "SimLex-999": "simlex999.txt"}


def judged(file):
    """Rows of (word, word, people's mean score)."""
    lines = Path(datapath(file)).read_text("utf-8").splitlines()
    rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
    return [(a.lower(), b.lower(), float(score)) for a, b, score in rows]


def agreement(table, rows):
    """Spearman's correlation of cosines with people, and its interval over pairs."""
    known = [row for row in rows if row[0] in table and row[1] in table]
    unit = table.unit()
    cosine = (unit[[a for a, _, _ in known]] * unit[[b for _, b, _ in known]]).sum(1)
    people = torch.tensor([score for _, _, score in known])
    g, n = generator(0), len(known)
    draws = []
    for _ in range(1000):
        row = torch.randint(n, (n,), generator=g)
        draws.append(spearman(cosine[row], people[row]))
    low, high = torch.tensor(draws).quantile(torch.tensor([0.025, 0.975])).tolist()
    found = {"spearman": spearman(cosine, people), "low": low, "high": high}
    return found | {"known": n, "pairs": len(rows)}


def analogies(table):
    """Share of right answers by kind, with the three words left out and without."""
    kinds, kind = defaultdict(list), None
    for line in Path(datapath("questions-words.txt")).read_text("utf-8").splitlines():
        if line.startswith(":"):
            kind = line.removeprefix(":").strip()
        else:
            kinds[kind].append(tuple(line.lower().split()))
    found = {}
    for kind, asked in kinds.items():
        known = [q for q in asked if all(word in table for word in q)]
        found[kind] = {"known": len(known), "questions": len(asked)}
        for name, exclude in (("excluded", True), ("free", False)):
            said = [
                word
                for i in range(0, len(known), 500)
                for word in answers(table, known[i : i + 500], exclude=exclude)
            ]
            right = sum(a == q[3] for a, q in zip(said, known, strict=True))
            found[kind][name] = right / len(known)
    return found


def sets():
    """All numbers of the chapter's table."""
    table = words.glove()
    people = {name: agreement(table, judged(file)) for name, file in SCORES.items()}
    return {"people": people, "analogies": analogies(table)}


LAB = lab.Lab("word2vec_sets", groups={}, once={"sets": sets})

if __name__ == "__main__":
    LAB.main()
