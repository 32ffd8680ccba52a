"""A training and a sampling step of our U-Nets beside diffusers' of equal size.

Run: python benchmarks/unet_step.py [--repeats N] [--seconds S] [--out FILE]

Two pairs: the U-Net of DDPM beside UNet2DModel, and that of latent diffusion, which
reads words, beside UNet2DConditionModel. Both sides run in one process, in turns, with
one thread, on the same batch: forward, loss, backward, AdamW; and for sampling one
forward pass without gradients. Printed as in `vision_steps.py`; a step may take 1.02
times as long as theirs. `--out` keeps the numbers as JSON, those of this folder are in
unet_step.json.
"""

import argparse
import json
import statistics
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from vision_steps import measure, step

ROWS, PIXELS, ALLOWED = 8, 32, 1.02
LATENT, WORDS, CONTEXT = 16, 12, 64  # side of a code, words of a caption, their width


def equal(ours, peer):
    """Both, if they have equally many parameters."""
    sizes = [sum(p.numel() for p in net.parameters()) for net in (ours, peer)]
    assert sizes[0] == sizes[1], sizes
    return ours, peer


def nets():
    """DDPM's U-Net, ours and theirs."""
    from diffusers import UNet2DModel

    from mmdl_lib.nn.unet import UNetConfig

    config = UNetConfig(widths=(32, 64, 64), blocks=2, attention=(1,), groups=8)
    plain, attending = "DownBlock2D", "AttnDownBlock2D"
    peer = UNet2DModel(
        block_out_channels=config.widths,
        layers_per_block=config.blocks,
        down_block_types=(plain, attending, plain),
        up_block_types=("UpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=None,
        norm_num_groups=config.groups,
        flip_sin_to_cos=False,
    )
    return equal(config.build(), peer)


def readers():
    """Latent diffusion's U-Net, which reads words, ours and theirs."""
    from diffusers import UNet2DConditionModel

    from mmdl_lib.models.latent_diffusion import TextUNetConfig

    config = TextUNetConfig(
        widths=(32, 64, 64), blocks=2, attention=(0, 1), context=CONTEXT, heads=4,
        groups=8,
    )  # fmt: skip
    peer = UNet2DConditionModel(
        block_out_channels=config.widths,
        layers_per_block=config.blocks,
        norm_num_groups=config.groups,
        cross_attention_dim=config.context,
        attention_head_dim=config.heads,  # the number of heads, whatever it is called
        down_block_types=("CrossAttnDownBlock2D",) * 2 + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 2,
    )
    return equal(config.build(), peer)


def sides(words: bool):
    """What both say of the same noised pictures, and the noise."""
    ours, peer = readers() if words else nets()
    shape = (4, LATENT, LATENT) if words else (3, PIXELS, PIXELS)
    x, noise = torch.randn(2, ROWS, *shape)
    read = (torch.randn(ROWS, WORDS, CONTEXT),) if words else ()
    when = torch.randint(1000, (ROWS,))
    says = [lambda: ours(x, when, *read), lambda: peer(x, when, *read).sample]
    return [(ours, says[0]), (peer, says[1])], noise


def training(words: bool = False):
    pairs, noise = sides(words)
    return [step(net, lambda say=say: F.mse_loss(say(), noise)) for net, say in pairs]


def sampling(words: bool = False):
    pairs, _ = sides(words)
    return [torch.no_grad()(say) for _, say in pairs]


CASES = {
    "training": training,
    "sampling": sampling,
    "with words, training": partial(training, words=True),
    "with words, sampling": partial(sampling, words=True),
}


def repeated(make, repeats: int, seconds: float) -> dict:
    """Median milliseconds of both sides and the ratio of each repeat."""
    ours, peer, ratios, pairs = [], [], [], 0
    for repeat in range(repeats):
        torch.manual_seed(repeat)
        times = measure(*make(), seconds=seconds)
        for kept, side in zip((ours, peer), zip(*times, strict=True), strict=True):
            kept.extend(side)
        ratios.append(round(statistics.median(a / b for a, b in times), 3))
        pairs += len(times)
    medians = [round(1e3 * statistics.median(side), 2) for side in (ours, peer)]
    found = dict(zip(("ours_ms", "peer_ms"), medians, strict=True))
    ratio = round(statistics.median(ratios), 3)
    return found | {"ratio": ratio, "repeats": ratios, "pairs": pairs}


def compare(cases: dict, what: str) -> None:
    """The command line of a file of such cases."""
    parser = argparse.ArgumentParser(description=f"{what}: ours beside a peer's.")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=20.0, help="of a repeat")
    parser.add_argument("--out", type=Path, help="file for the numbers, as JSON")
    options = parser.parse_args()
    torch.set_num_threads(1)
    whole = {"device": "one thread of a CPU", "torch": torch.__version__}
    for name, make in cases.items():
        whole[name] = found = repeated(make, options.repeats, options.seconds)
        verdict = "ok" if found["ratio"] <= ALLOWED else f"above {ALLOWED}"
        print(
            f"{what}, {name}: ours {found['ours_ms']} ms, peer {found['peer_ms']} ms, "
            f"ratio {found['ratio']} of {found['pairs']} pairs ({verdict}); repeats "
            f"{found['repeats']}",
            flush=True,
        )
    if options.out:
        options.out.write_text(json.dumps(whole, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    compare(CASES, "U-Net")
