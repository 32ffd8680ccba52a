"""A training and a sampling step of our U-Net beside diffusers' of equal size.

Run: python benchmarks/unet_step.py

Both sides run in one process, in turns, with one thread, on the same batch: forward,
loss, backward, AdamW; and for sampling one forward pass without gradients. Printed as
in `vision_steps.py`; a step may take 1.05 times as long as theirs.
"""

import statistics

import torch
import torch.nn.functional as F
from vision_steps import measure, step

ROWS, PIXELS, ALLOWED = 8, 32, 1.05


def nets():
    """Ours and theirs, with equally many parameters."""
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
    ours = config.build()
    sizes = [sum(p.numel() for p in net.parameters()) for net in (ours, peer)]
    assert sizes[0] == sizes[1], sizes
    return ours, peer


def sides():
    """What both say of the same noised pictures, and the noise."""
    ours, peer = nets()
    x, noise = torch.randn(2, ROWS, 3, PIXELS, PIXELS)
    when = torch.randint(1000, (ROWS,))
    says = [lambda: ours(x, when), lambda: peer(x, when).sample]
    return [(ours, says[0]), (peer, says[1])], noise


def training():
    pairs, noise = sides()
    return [step(net, lambda say=say: F.mse_loss(say(), noise)) for net, say in pairs]


def sampling():
    pairs, _ = sides()
    return [torch.no_grad()(say) for _, say in pairs]


CASES = {"training": training, "sampling": sampling}


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    for kind, make in CASES.items():
        times = measure(*make())
        one, two = (statistics.median(side) for side in zip(*times, strict=True))
        ratio = statistics.median(a / b for a, b in times)
        verdict = "ok" if ratio <= ALLOWED else f"above {ALLOWED}"
        print(
            f"U-Net, {kind}: ours {1e3 * one:.2f} ms, peer {1e3 * two:.2f} ms, ratio "
            f"{ratio:.3f} of {len(times)} pairs ({verdict})"
        )


if __name__ == "__main__":
    main()
