"""The laboratory: arms x seeds, and claims judged by their intervals.

A recipe holds its arms and claims as data and ends with `LAB.main()`:

    def accuracy(seed, *, width):
        ...
        return {"accuracy": 0.93, "loss": [1.9, 0.7]}

    LAB = lab.Lab(
        "resnet",
        groups={"width": {str(w): partial(accuracy, width=w) for w in (8, 16)}},
        claims=[
            lab.Claim(
                id="resnet-width",
                text="A wider net names more pictures.",
                paper="no number",
                note="Difference of the accuracy on new pictures.",
                unit="share of the pictures",
                left="width/16/accuracy",
                right="width/8/accuracy",
                margin=0.01,
                why="Less than a point changes nobody's choice.",
            )
        ],
    )
    if __name__ == "__main__":
        LAB.main()

Then `python recipes/resnet.py` measures all that is missing and judges the claims.
"""

from mmdl_lib.lab.claims import Check, Claim, judge
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
__all__ += ["means", "reached", "recalibrate", "rows", "save_weights", "short"]
__all__ += ["smoke", "train"]
