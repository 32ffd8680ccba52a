"""Train unCLIP's decoder on our CLIP's embeddings; priors; what each way to it draws.

Command: python recipes/dalle2.py weights   (about 3 minutes on a quiet core)
"""

from mmdl_lib import lab, record
from mmdl_lib.lab import unclip as un

STEPS, PICTURES = 3000, 12_000


def weights() -> dict:
    """The decoder of the chapter."""
    kept = None if lab.smoke() else record.folder().parent / "_build/dalle2_decoder.pt"
    how = {"seed": 0, "steps": STEPS, "size": PICTURES}
    model, history = un.decoder(**how, checkpoint=kept, every=250)
    lab.save_weights(model, "dalle2", un.SOURCE)
    size = sum(p.numel() for p in model.parameters())
    curve = lab.means(history.losses["loss"], 250)
    return {"params": size, "seconds": round(history.seconds), "curve": curve}


LAB = lab.Lab("dalle2", groups={}, once={"weights": weights}, claims=[])

if __name__ == "__main__":
    LAB.main()
