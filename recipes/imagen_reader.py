"""Which lever is longer: a larger frozen reader, or a larger net that draws?

Command: python recipes/imagen_reader.py sizes:0   (one seed, about three minutes)
         python recipes/imagen_reader.py summary   (the claims)
Expected: about 20 minutes on a quiet core. Readers of four sizes read the same
sentences equally long and are frozen; nets of two sizes learn to draw behind them. The
values stand in results/imagen_reader.json, the claims in recipes/imagen_reader.toml.
"""

from functools import partial

from mmdl_lib import lab
from mmdl_lib.core import generator
from mmdl_lib.lab import frozen as fz
from mmdl_lib.lab import readers as rd
from mmdl_lib.nn.unet import PatchUNetConfig

PICTURES, PROMPTS, READ, STEPS = 4000, 96, 700, 1000
# width, depth, heads and rate; of .004 and .01 the better one on the pilot's seed, but
# for the large one, which was not tried with both
READERS = {
    "tiny": (4, 1, 1, 1e-2),
    "small": (8, 1, 2, 1e-2),
    "medium": (16, 1, 2, 1e-2),
    "large": (64, 2, 4, 4e-3),
}
NETS = {"": (32, 48), ", larger net": (64, 96)}
ARMS = [(name, "") for name in READERS]
ARMS += [(name, ", larger net") for name in ("small", "medium")]
AGAIN, FIRST = ("small", "large"), 50  # readers asked once more, on seeds from here on


def read(seed: int, reader: str) -> rd.Padded:
    """A reader of a size that has read."""
    width, depth, heads, lr = READERS[reader]
    how = {"width": width, "depth": depth, "heads": heads, "lr": lr}
    return rd.sized(seed, steps=READ, **how)


def alone(seed: int, *, reader: str, first: int) -> dict[str, float]:
    """What a reader knows of new names; nothing draws behind it.

    `first` is added to the seed: a second question gets seeds that no one has seen.
    """
    return {"near": fz.near(read(first + seed, reader))}


def sizes(seed: int, *, reader: str, net: str) -> dict:
    """A net of a size behind a reader of a size."""
    frozen = read(seed, reader)
    scenes = fz.pictures(PICTURES, seed=1000 + seed)
    changes = {"image_size": 8, "reader": rd.WIDTH, "steps": STEPS}
    config = PatchUNetConfig(side=8, widths=NETS[net], context=64)
    model, history = fz.learned(seed, scenes, frozen, net=config, **changes)
    asked = fz.asked(PROMPTS, seed=3000 + seed)
    found = rd.heard(model, frozen, asked, generator(seed))
    last = history.losses["loss"][-50:]
    found |= {"near": fz.near(frozen), "loss": sum(last) / len(last)}
    found["read"] = sum(p.numel() for p in frozen.parameters())
    return found | {"draws": sum(p.numel() for p in model.parameters())}


LAB = lab.Lab(
    "imagen_reader",
    groups={
        "sizes": {
            f"{reader} reader{net}": partial(sizes, reader=reader, net=net)
            for reader, net in ARMS
        },
        "alone": {f"{r} reader": partial(alone, reader=r, first=FIRST) for r in AGAIN},
    },
    exact={"alone": 24},
    claims=lab.read_claims(__file__),
)

if __name__ == "__main__":
    LAB.main()
