"""One training step of our vision models beside the reference implementation's.

Run: python benchmarks/vision_steps.py [case ...]

Both sides run in one process, in turns, with one thread, the same weights' shapes and
the same batch: forward, loss, backward, AdamW. Printed: the median step of each side,
the median of the ratios of neighboring steps, and what 1.05 allows. Cases: resnet
(ResNet-18 on 32 x 32), efficientnet (B0 on 64 x 64), vit (tiny on 32 x 32), ntxent
(N = 256, d = 128; the reference is pytorch-metric-learning's).
"""

import statistics
import sys
import time

import torch
import torch.nn.functional as F

ALLOWED = 1.05


def resnet():
    from transformers import ResNetConfig as PeerConfig
    from transformers import ResNetForImageClassification

    from mmdl_lib.models.resnet import ResNet

    ours = ResNet.from_preset("ResNet-18")
    sizes = [64, 128, 256, 512]
    config = PeerConfig(
        hidden_sizes=sizes, depths=[2, 2, 2, 2], layer_type="basic", num_labels=1000
    )
    peer = ResNetForImageClassification(config)
    return classifiers(ours, peer, pixels=32, rows=32)


def efficientnet():
    from transformers import EfficientNetConfig as PeerConfig
    from transformers import EfficientNetForImageClassification

    from mmdl_lib.models.efficientnet import EfficientNet

    ours = EfficientNet.from_preset("B0")
    config = PeerConfig(
        image_size=64,
        width_coefficient=1.0,
        depth_coefficient=1.0,
        hidden_dim=1280,
        num_labels=1000,
    )
    return classifiers(
        ours, EfficientNetForImageClassification(config), pixels=64, rows=16
    )


def vit():
    from transformers import ViTConfig as PeerConfig
    from transformers import ViTForImageClassification

    from mmdl_lib.models.vit import ViT

    ours = ViT.from_preset("tiny")
    c = ours.config
    config = PeerConfig(
        hidden_size=c.width,
        num_hidden_layers=c.depth,
        num_attention_heads=c.heads,
        intermediate_size=4 * c.width,
        image_size=32,
        patch_size=c.patch,
        num_labels=c.classes,
    )
    return classifiers(ours, ViTForImageClassification(config), pixels=32, rows=64)


def classifiers(ours, peer, *, pixels, rows):
    """Training steps of two classifiers on the same batch."""
    count = [sum(p.numel() for p in m.parameters()) for m in (ours, peer)]
    assert abs(count[0] / count[1] - 1) < 0.01, f"expected equal sizes, got {count}"
    image = torch.rand(rows, 3, pixels, pixels) * 2 - 1
    label = torch.randint(peer.config.num_labels, (rows,))
    return (
        step(ours, lambda: F.cross_entropy(ours(image), label)),
        step(peer, lambda: F.cross_entropy(peer(pixel_values=image).logits, label)),
    )


def step(model, loss):
    optimizer = torch.optim.AdamW(model.train().parameters(), lr=1e-4)

    def run():
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()

    return run


def ntxent():
    from pytorch_metric_learning.losses import NTXentLoss

    from mmdl_lib.models.simclr import nt_xent, pairs

    z = torch.randn(512, 128, requires_grad=True)
    label, peer = torch.arange(256).repeat(2), NTXentLoss(temperature=0.1)

    def ours():
        nt_xent(*pairs(*z.chunk(2)), temperature=0.1).backward()

    return ours, lambda: peer(z, label).backward()


def measure(ours, peer, *, seconds=20.0):
    """Seconds of both sides in turns; each side leads every second time."""
    for _ in range(3):
        ours(), peer()
    times, began = [], time.perf_counter()
    while time.perf_counter() - began < seconds or len(times) < 10:
        pair = {}
        sides = [("ours", ours), ("peer", peer)]
        for name, run in sides if len(times) % 2 else reversed(sides):
            start = time.perf_counter()
            run()
            pair[name] = time.perf_counter() - start
        times.append((pair["ours"], pair["peer"]))
    return times


CASES = {"resnet": resnet, "efficientnet": efficientnet, "vit": vit, "ntxent": ntxent}


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    for name in sys.argv[1:] or CASES:
        times = measure(*CASES[name]())
        ours, peer = (statistics.median(side) for side in zip(*times, strict=True))
        ratio = statistics.median(a / b for a, b in times)
        verdict = "ok" if ratio <= ALLOWED else f"above {ALLOWED}"
        print(
            f"{name}: ours {1e3 * ours:.2f} ms, peer {1e3 * peer:.2f} ms, "
            f"ratio {ratio:.3f} of {len(times)} pairs ({verdict})",
            flush=True,
        )


if __name__ == "__main__":
    main()
