"""Training: one loop for every model, and what it is made of.

`loop` is the loop; `phases` says who learns and who stands still; `schedule` the rate,
`draws` the randomness, `history` the losses and `state` the checkpoints.
"""

from mmdl_lib.train.history import History
from mmdl_lib.train.loop import fit
from mmdl_lib.train.schedule import warmup_cosine

__all__ = ["History", "fit", "warmup_cosine"]
