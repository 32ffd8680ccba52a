"""Measure directions that text and pictures share, beside those of most weight.

Command: python recipes/concat_fusion_further.py            (all that is missing)
         python recipes/concat_fusion_further.py shared:0   (one group, one seed)
         python recipes/concat_fusion_further.py summary    (the claims)
Expected: half a minute on a quiet core. Seeds are the twentieths of the words of
recipes/concat_fusion.py; directions come from the words of all other twentieths.
"""

from functools import cache, partial

import torch
import torch.nn.functional as F

from mmdl_lib import lab
from mmdl_lib.core import generator
from mmdl_lib.lab import fused, grounded
from mmdl_lib.metrics.spearman import spearman

RANK, PENALTY = 20, 1.0  # chosen on the pilot twentieths


@cache
def tables():
    """All words with pictures, their unit vectors by text and by pictures."""
    known = fused.known_to("senses")
    made = (fused.text_vectors(known), fused.picture_vectors(known))
    text, image = (F.normalize(table, dim=1).double() for table in made)
    return {word: i for i, word in enumerate(known)}, text, image


@cache
def spaces(seed: int) -> dict:
    """Vectors of all words in directions that the twentieth had no part in."""
    place, text, image = tables()
    out = torch.ones(len(place), dtype=torch.bool)
    out[[place[word] for word in fused.of_part(seed, list(place))]] = False
    t, v = text[out], image[out]
    both = torch.cat([text - t.mean(0), image - v.mean(0)], 1)
    one, other, size = fused.shared(t, v, RANK, penalty=PENALTY)
    order = torch.randperm(len(v), generator=generator(seed))
    chance, _, least = fused.shared(t, v[order], RANK, penalty=PENALTY)
    return {
        "text": {
            "whole": text - t.mean(0),
            "most": fused.most(t, RANK)(text),
            "shared": one(text),
            "dealt": chance(text),
            # as in the chapter: cosines from zero, not from the mean word
            "plain whole": text,
            "plain most": text @ torch.linalg.svd(t, full_matrices=False)[2][:RANK].T,
            "plain shared": text @ one.axes,
        },
        "both": {
            "whole": both,
            "most": fused.most(both[out], RANK)(both),
            "shared": torch.cat([one(text), other(image)], 1),
        },
        "size": {"shared": size.tolist(), "dealt": least.tolist()},
    }


def shared(seed: int, *, judge: str) -> dict:
    """Correlations with a judge of all spaces."""
    place, made = tables()[0], spaces(seed)
    some = fused.of_part(seed, fused.known_to(judge))
    rows, kept = [place[word] for word in some], fused.apart(some)
    right = fused.judged(judge, some)[kept]
    found = {"words": len(some)}
    for source in ("text", "both"):
        found[source] = {
            name: spearman(fused.cosines(table[rows])[kept], right)
            for name, table in made[source].items()
        }
    return found


def size(seed: int) -> dict:
    """How strongly text and pictures agree in each shared direction."""
    return spaces(seed)["size"]


LAB = lab.Lab(
    "concat_fusion_further",
    groups={
        "shared": {judge: partial(shared, judge=judge) for judge in fused.JUDGES},
        "size": size,
    },
    claims=lab.read_claims(__file__),
    least=grounded.MEASURED,
)

if __name__ == "__main__":
    LAB.main()
