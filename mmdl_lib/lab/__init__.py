"""The laboratory: arms x seeds, and claims judged by their intervals.

A recipe holds its arms as data, the file `.toml` beside it the claims:

    def accuracy(seed, *, width):
        ...
        return {"accuracy": 0.93, "loss": [1.9, 0.7]}

    LAB = lab.Lab(
        "resnet",
        groups={"width": {str(w): partial(accuracy, width=w) for w in (8, 16)}},
        claims=lab.read_claims(__file__),
    )
    if __name__ == "__main__":
        LAB.main()

Then `python recipes/resnet.py` measures all that is missing and judges the claims.
"""

from mmdl_lib.lab.claims import Check, Claim, judge, read_claims
from mmdl_lib.lab.engine import Lab, short, smoke
from mmdl_lib.lab.runs import (
    accuracy,
    cost,
    few,
    logits,
    means,
    reached,
    recalibrate,
    rows,
    save_weights,
    train,
)

__all__ = ["Check", "Claim", "Lab", "accuracy", "cost", "few", "judge", "logits"]
__all__ += ["means", "reached", "read_claims", "recalibrate", "rows", "save_weights"]
__all__ += ["short", "smoke", "train"]
