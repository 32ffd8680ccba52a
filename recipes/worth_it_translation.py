"""Does a picture help a translator? Only where the sentence leaves something out.

Command: python recipes/worth_it_translation.py             (all that is missing)
         python recipes/worth_it_translation.py translate:0 (one seed)
         python recipes/worth_it_translation.py summary     (the claims)
Expected: about 4 minutes on a quiet core; results/worth_it_translation.json.

English leaves the noun out, German must know its gender (`mmdl_lib/lab/gendered.py`).
Arms: a net that reads, and nets that also see, which learned from sentences of which a
half, a tenth or a fiftieth leave the noun out. Asked are 1,000 new sentences of either
kind, each with its own picture and with one of a shape of the other gender.
"""

from dataclasses import replace
from functools import partial

import torch

from mmdl_lib import lab
from mmdl_lib.core import generator
from mmdl_lib.data import shapes
from mmdl_lib.lab import gendered

ROWS, ASKED, STEPS, BATCH = 4000, 1000, 600, 64
SHARES = (0.5, 0.1, 0.02)  # of sentences that leave the noun out


def others(sentences: gendered.Sentences, seed: int) -> dict:
    """The batch, each sentence with a picture of a shape of the other gender.

    Color, size and place are those of its own picture.
    """
    scenes, g = sentences.scenes, generator(seed)
    shape = scenes.shape.clone()
    pools = [[shapes.SHAPES.index(n) for n in gendered.MASCULINE]]
    pools += [[shapes.SHAPES.index(n) for n in gendered.NEUTER]]
    masculine = torch.isin(shape[:, 0], torch.tensor(pools[0]))
    luck = torch.randint(4, (len(scenes),), generator=g)
    shape[:, 0] = torch.where(
        masculine, torch.tensor(pools[1])[luck], torch.tensor(pools[0])[luck]
    )
    changed = replace(scenes, shape=shape)
    return sentences.batch | {"seen": gendered.seen(changed)}


def translate(seed: int, *, blind: bool, share: float) -> dict:
    """Shares of right translations of new sentences of either kind."""
    rows = gendered.sample(lab.short(ROWS, least=64), 10 * seed + 2, left_out=share)
    net = gendered.net(seed, blind=blind)
    lab.train(net, lab.rows(BATCH, seed, **rows.batch), steps=STEPS, lr=2e-3)
    found = {}
    for kind, gone in {"said": 0, "left out": 1}.items():
        new = gendered.sample(lab.short(ASKED, least=16), 10 * seed + 4, left_out=gone)
        batches = {"own": new.batch, "other": others(new, seed)}
        for picture, batch in batches.items():
            told = gendered.right(net.translated(batch), batch["tokens"])
            some = {name: ok.float().mean().item() for name, ok in told.items()}
            found[f"{kind}, {picture}"] = some
    return found


ARMS = {"reads": partial(translate, blind=True, share=SHARES[0])}
ARMS |= {f"sees {s}": partial(translate, blind=False, share=s) for s in SHARES}
LAB = lab.Lab(
    "worth_it_translation",
    groups={"translate": ARMS},
    claims=lab.read_claims(__file__),
    least=6,
)

if __name__ == "__main__":
    LAB.main()
