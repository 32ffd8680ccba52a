import json
import sys
import time
from dataclasses import replace

import torch

torch.set_num_threads(1)
from mmdl_lib import lab, record  # noqa: E402
from mmdl_lib.data.shapes import to_float  # noqa: E402
from mmdl_lib.lab import text_to_image as t2i  # noqa: E402
from mmdl_lib.metrics.faithfulness import _score  # noqa: E402
from mmdl_lib.models.vqvae import MovingVQVAE  # noqa: E402

name, o = sys.argv[1], json.loads(sys.argv[2])
seed = o.get("seed", 100)
train = t2i.sample(o.get("data", 20000), seed=seed).render()
torch.manual_seed(seed)
m = MovingVQVAE(replace(MovingVQVAE.PRESETS["shapes"], **o.get("cfg", {})))
steps = o["steps"]


def watch(step, model, terms):
    if step == int(steps * o.get("still", 2)):
        model.codebook.revive = 0.0


if o["bs"] != "grow":
    import copy

    probe, rate = copy.deepcopy(m), []
    for k in (20, 150):
        w = time.time()
        lab.train(probe, lab.rows(o["bs"], seed, image=train), steps=k)
        rate = (time.time() - w) / k
    o["rate"] = rate
    steps = min(steps, int(o.get("limit", 340) / rate))
    o["did"] = steps
t, w = time.process_time(), time.time()
if o["bs"] == "grow":
    few, many = lab.rows(16, seed, image=train), lab.rows(64, seed, image=train)
    batches = lambda s: (few if s < 0.6 * steps else many)(s)  # noqa: E731
else:
    batches = lab.rows(o["bs"], seed, image=train)
lab.train(m, batches, steps=steps, lr=o.get("lr", 2e-3), watch=watch)
o["cpu"], o["wall"] = round(time.process_time() - t), round(time.time() - w)
m.eval()
n = o.get("n", 4000)
s = t2i.sample(n, seed=500)
im = to_float(s.render())
with torch.no_grad():
    re = torch.cat([m.reconstruct(x) for x in im.split(250)])
a, b = ([_score(x, y)[5] for x, y in zip(s.seen_in(i), s.things())] for i in (im, re))
o["mse"] = (re - im).square().mean().item()
o["ceil"], o["exact"] = sum(a) / n, sum(b) / n
o["kept"] = sum(1 for p, q in zip(a, b) if p and q) / sum(a)
print(name, o, flush=True)
(record.folder() / "pilots").mkdir(exist_ok=True)
(record.folder() / "pilots" / f"vae_kept_{name}.json").write_text(json.dumps(o))
