"""Scale a tiny EfficientNet in every direction, and train the weights of the chapter.

Command: python recipes/efficientnet.py            (all parts)
         python recipes/efficientnet.py axes 0     (one group, one seed)
Groups: axes, longer, balance, grid, resnet (three seeds each), search (one seed),
weights, summary.
Expected: about 18 minutes on one core. The task is to name shape and texture of one
small object, 24 classes; the accuracies stand in results/efficientnet.json.
"""

import math
import sys
import time
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from mmdl_lib import pretrained
from mmdl_lib.core import generator
from mmdl_lib.data import shapes
from mmdl_lib.models.efficientnet import EfficientNet, StageSpec
from mmdl_lib.models.resnet import ResNet, ResNetConfig
from mmdl_lib.record import claim, keep, results
from mmdl_lib.train import fit

TRAIN, TEST, STEPS, BATCH, LR, SEEDS = 4000, 1000, 200, 32, 1.5e-2, 3
BUDGETS = (2, 4, 8)  # times the multiply-adds of the base
BASE = EfficientNet.PRESETS["tiny"]
# alpha, beta, gamma with alpha beta^2 gamma^2 near 2: the corners, the paper's, others
TRIPLETS = {
    "1.2, 1.1, 1.15": (1.2, 1.1, 1.15),
    "1.5, 1.15, 1.0": (1.5, 1.15, 1.0),
    "1.5, 1.0, 1.15": (1.5, 1.0, 1.15),
    "1.0, 1.1, 1.3": (1.0, 1.1, 1.3),
    "1.0, 1.3, 1.1": (1.0, 1.3, 1.1),
}


def net(depth, width, resolution):
    """The base scaled. With one or two layers a stage, rounding up as the paper does
    would make 1.75 times as many of d = 1.2: here repeats go to the nearest."""
    rows = [
        row._replace(layers=max(1, int(row.layers * depth + 0.5)))
        for row in map(StageSpec._make, BASE.stages)
    ]
    return replace(BASE, stages=tuple(rows), width=width, resolution=resolution)


def small_resnet(depth, width, resolution):
    """A residual net of 14 layers with 4, 8 and 16 channels, scaled."""
    blocks = max(1, int(2 * depth + 0.5))
    channels = max(1, int(4 * width + 0.5))
    config = ResNetConfig(
        block="basic",
        stages=(blocks,) * 3,
        width=channels,
        stem="cifar",
        shortcut="B",
        classes=24,
    )
    return config, resolution


def build(config):
    if isinstance(config, tuple):
        return ResNet(config[0]), config[1]
    return EfficientNet(config), config.resolution


def cost(config):
    """Multiply-adds for one picture, and values that its forward pass makes."""
    made = []

    def note(module, inputs, output):
        if not list(module.children()):
            made.append(output.numel())

    with torch.device("meta"):
        model, side = build(config)
        for module in model.modules():
            module.register_forward_hook(note)
        with FlopCounterMode(display=False) as counter:
            model.eval()(torch.zeros(1, 3, side, side))
    return counter.get_total_flops() / 2, sum(made)


UNIT = cost(BASE)[0]


def fitted(make, target):
    """The value between 0.1 and 60 at which `make` costs what it should, by halving."""
    low, high = 0.1, 60.0
    for _ in range(16):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if cost(make(middle))[0] < target else (low, middle)
    # rounding makes steps: of both ends the nearer one
    return min(low, high, key=lambda v: abs(cost(make(v))[0] - target))


def wide(depth, resolution, target, make=net):
    """Depth and resolution are given; the width makes the cost."""
    width = fitted(lambda w: make(depth, w, resolution), target)
    return make(depth, width, resolution)


def deep(target, make=net):
    return make(fitted(lambda d: make(d, 1.0, 16), target), 1.0, 16)


def fine(target, make=net, depth=1.0, width=1.0):
    side = fitted(lambda r: make(depth, width, round(16 * r)), target)
    return make(depth, width, round(16 * side))


def compound(budget):
    """Depth and resolution by the rule, and the width that then makes the cost."""
    phi = math.log(budget) / math.log(1.92)
    return wide(1.2**phi, round(16 * 1.15**phi), budget * UNIT)


def pictures(n, seed, resolution):
    """Single small objects; shape and texture give 24 classes."""
    scenes = shapes.sample(4 * n, seed=seed, objects=1, held_out="include")
    scenes = scenes[(scenes.size[:, 0] == 0).nonzero()[:n, 0]]
    image = scenes.render(resolution).contiguous(memory_format=torch.channels_last)
    return image, 3 * scenes.shape[:, 0] + scenes.texture[:, 0]


@torch.no_grad()
def judge(model, image, label):
    model.eval()
    logits = torch.cat([model(shapes.to_float(x)) for x in image.split(250)])
    right = (logits.argmax(1) == label).float().mean().item()
    return {"accuracy": right, "loss": F.cross_entropy(logits, label).item()}


def run(config, seed, *, steps=STEPS, train=TRAIN):
    """Train and judge one net; what it costs stands beside."""
    began = time.process_time()
    torch.manual_seed(seed)
    model, side = build(config)
    model.to(memory_format=torch.channels_last)
    image, label = pictures(train, seed, side)

    def batches(step):
        g = generator(1_000_003 * seed + step)
        rows = torch.randint(len(image), (BATCH,), generator=g)
        return {"image": shapes.to_float(image[rows]), "label": label[rows]}

    history = fit(model, batches, steps=steps, lr=LR, weight_decay=1e-4)
    flops, memory = cost(config)
    found = judge(model, *pictures(TEST, 50_000 + seed, side))
    found = {key: round(value, 4) for key, value in found.items()}
    found |= {"flops": flops, "memory": memory, "resolution": side}
    found |= {"params": sum(p.numel() for p in model.parameters())}
    if not isinstance(config, tuple):
        layers = sum(row.layers for row in config.stages)
        found |= {"layers": layers, "width": round(config.width, 3)}
    found["train_loss"] = round(sum(history.losses["loss"][-30:]) / 30, 4)
    found["seconds"] = round(time.process_time() - began, 1)
    return found, model


def axes(seed):
    """One axis at a time, and all three, at equal cost."""
    arms = {"base": {"1": BASE}}
    arms |= {kind: {} for kind in ("depth", "width", "resolution", "compound")}
    for b in BUDGETS:
        if b < 8:  # 41 blocks take as long as all other nets of this budget together
            arms["depth"][str(b)] = deep(b * UNIT)
        arms["width"][str(b)] = wide(1.0, 16, b * UNIT)
        arms["resolution"][str(b)] = fine(b * UNIT)
        arms["compound"][str(b)] = compound(b)
    return arms


def longer(seed):
    """The nets of four times the cost again, trained three times as long."""
    arms = axes(seed)
    return {"base": arms.pop("base")} | {k: {"4": v["4"]} for k, v in arms.items()}


def balance(seed):
    """Width curves from bases that are deeper, finer, or both; (1, 1) is in `axes`."""
    arms = {"2, 1": (2.0, 16), "1, 2": (1.0, 32), "2, 2": (2.0, 32)}
    return {
        name: {str(b): wide(*given, b * UNIT) for b in BUDGETS[1:]}
        for name, given in arms.items()
    }


def grid(seed):
    """Some triplets, two steps (phi = 2): one step is less than a layer here."""
    return {
        name: {"4": wide(alpha**2, round(16 * gamma**2), 4 * UNIT)}
        for name, (alpha, beta, gamma) in TRIPLETS.items()
    }


def resnet(seed):
    """The rule on another net, at four times its cost."""
    base = small_resnet(1, 1, 16)
    unit = cost(base)[0]
    arms = {"base": {"1": base}}
    made = {
        "depth": deep(4 * unit, small_resnet),
        "resolution": fine(4 * unit, small_resnet),
    }
    made |= {"width": wide(1.0, 16, 4 * unit, small_resnet)}
    # four channels are few to scale: here the resolution makes the cost
    made |= {"compound": fine(4 * unit, small_resnet, 1.2**2, 1.1**2)}
    return arms | {name: {"4": config} for name, config in made.items()}


def search(seed):
    """All nets of a small grid of depth, width and resolution."""
    return {
        f"{d}, {w}, {r}": {"net": net(d, w, r)}
        for d in (1, 2)
        for w in (0.7, 1.4)
        for r in (16, 22, 28)
    }


GROUPS = {"axes": axes, "balance": balance, "grid": grid, "resnet": resnet}
GROUPS |= {"search": search, "longer": longer}


def weights():
    """The compound net of four times the cost, trained longer, for the chapter."""
    found, model = run(compound(4), 0, steps=700, train=8000)
    pretrained.save(model, "efficientnet")
    return found


def nets(run):
    return sum(len(arm) for arm in run.values())


SINGLES = ("depth", "width", "resolution")
PAPER = {"depth": "79.0 %, 1.8", "width": "78.9 %, 1.8", "resolution": "79.1 %, 1.9"}
SHARE = "Difference of the accuracy on new pictures, at equal multiply-adds."


def summarize():
    """Write the claims beside the runs; a claim needs at least two seeds."""
    whole = results("efficientnet")
    # a seed that is still running has fewer nets than the first one
    groups = {
        name: [r for r in runs.values() if nets(r) == nets(runs["0"])]
        for name, runs in whole.items()
        if name in GROUPS
    }
    runs = groups["axes"]

    def accuracy(group, arm, budget="4"):
        return [run[arm][budget]["accuracy"] for run in groups[group]]

    def gain(one, other):
        return [a - b for a, b in zip(one, other, strict=False)]  # seeds of both

    def against_best(group):
        """Gain of the compound net over the axis that is best on average."""
        best = max(SINGLES, key=lambda arm: sum(accuracy(group, arm)))
        return best, gain(accuracy(group, "compound"), accuracy(group, best))

    def fade(run, arm):
        found = {b: run[arm][b]["accuracy"] for b in ("2", "4", "8")}
        return found["2"] - run["base"]["1"]["accuracy"] - (found["8"] - found["4"])

    told = [
        {
            "name": f"efficientnet-{arm}-{group}",
            "claim": f"Scaling {arm} alone, to four times the cost, helps ({words}).",
            "paper": f"top-1 from 77.3 % to {PAPER[arm]} instead of 0.4 billion FLOPs "
            "(Table 7)",
            "values": gain(accuracy(group, arm), accuracy(group, "base", "1")),
            "note": "Difference of the accuracy to that of the base.",
        }
        for group, words in (("axes", "200 steps"), ("longer", "600 steps"))
        for arm in SINGLES
    ]
    told.append(
        {
            "name": "efficientnet-diminish",
            "claim": "The gain diminishes: doubling the cost from 4 to 8 buys less "
            "than doubling it from 1 to 2 (mean of width and resolution).",
            "paper": "Figure 3",
            "values": [(fade(r, "width") + fade(r, "resolution")) / 2 for r in runs],
            "note": "Difference of the two gains, 200 steps.",
        }
    )
    for group, numbers, words in (
        ("axes", "81.1 against 79.1 % (Table 7)", "200 steps"),
        ("longer", "81.1 against 79.1 % (Table 7)", "600 steps"),
        ("resnet", "78.8 against 78.1 % (Table 3)", "a small ResNet, 200 steps"),
    ):
        best, values = against_best(group)
        told.append(
            {
                "name": f"efficientnet-compound-{group}",
                "claim": f"Compound scaling beats the best single axis, here {best}, "
                f"at four times the cost ({words}).",
                "paper": numbers,
                "values": values,
                "note": SHARE,
            }
        )
    told.append(
        {
            "name": "efficientnet-finer",
            "claim": "At eight times the cost, a wider net with r = 2 beats one that "
            "is only wider.",
            "paper": "Figure 4, the curves for d = 1, r = 1.3",
            "values": gain(
                accuracy("balance", "1, 2", "8"), accuracy("axes", "width", "8")
            ),
            "note": SHARE,
        }
    )
    told.append(
        {
            "name": "efficientnet-balance",
            "claim": "At eight times the cost, a net with d = 2 and r = 2 beats one "
            "that is only wider.",
            "paper": "Figure 4, for r = 1.3",
            "values": gain(
                accuracy("balance", "2, 2", "8"), accuracy("axes", "width", "8")
            ),
            "note": SHARE,
        }
    )
    claims = [claim(**facts) for facts in told if len(facts["values"]) > 1]
    keep("efficientnet", "claims", value=claims)


def main():
    torch.set_num_threads(1)
    words = sys.argv[1:] or [*GROUPS, "weights", "summary"]
    seeds = [int(w) for w in words if w.isdigit()] or range(SEEDS)
    for group in (w for w in words if not w.isdigit()):
        began = time.process_time()
        if group == "summary":
            summarize()
        elif group == "weights":
            keep("efficientnet", group, value=weights())
        else:
            for seed in seeds if group != "search" else [0]:
                for arm, nets in GROUPS[group](seed).items():
                    for name, config in nets.items():
                        steps = 3 * STEPS if group == "longer" else STEPS
                        found = run(config, seed, steps=steps)[0]
                        keep("efficientnet", group, seed, arm, name, value=found)
        print(f"{group}: {time.process_time() - began:.0f} s of the CPU", flush=True)


if __name__ == "__main__":
    main()
