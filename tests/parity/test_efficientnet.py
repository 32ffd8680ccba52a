"""Same weights in, same numbers out: EfficientNet of `transformers`."""

import pytest
import torch
from transformers import EfficientNetConfig as PeerConfig
from transformers import EfficientNetForImageClassification

from mmdl_lib.core import generator
from mmdl_lib.models.efficientnet import EfficientNet, EfficientNetConfig, StageSpec
from mmdl_lib.pretrained import efficientnet
from tests.parity.conftest import rows_differ

# every kind of block, a width and a depth that round, an odd map in the middle
ROWS = (
    StageSpec(kernel=3, expand=1, channels=16, layers=1, stride=1),
    StageSpec(kernel=5, expand=6, channels=24, layers=2, stride=2),
    StageSpec(kernel=3, expand=6, channels=40, layers=1, stride=2),
)
SMALL = EfficientNetConfig(
    stages=ROWS, width=1.1, depth=1.2, resolution=64, classes=7, dropout=0.0
)


def peer_of(config, padded=()):
    """The same net in transformers, with noise in every weight and statistic.

    Where a block of stride two meets an odd map, transformers must be told its number
    (`depthwise_padding`); ours sees it.
    """
    columns = list(zip(*config.stages, strict=True))
    kernels, expands, channels, layers, strides = (list(c) for c in columns)
    peer = EfficientNetForImageClassification(
        PeerConfig(
            kernel_sizes=kernels,
            in_channels=[config.stem, *channels[:-1]],
            out_channels=channels,
            expand_ratios=expands,
            num_block_repeats=layers,
            strides=strides,
            width_coefficient=config.width,
            depth_coefficient=config.depth,
            image_size=config.resolution,
            hidden_dim=len(EfficientNet(config).head.norm.weight),
            depthwise_padding=list(padded),
            num_labels=config.classes,
        )
    ).eval()
    g = generator(3)
    for name, value in peer.state_dict().items():
        if value.is_floating_point():
            noise = torch.randn(value.shape, generator=g)
            small = noise.abs() if "running_var" in name else noise
            if value.ndim == 1:
                # the start of some norms is zero, and then no picture comes through
                value.copy_((name.endswith(("weight", "running_var"))) + 0.3 * small)
            else:
                value.copy_((4 / value[0].numel()) ** 0.5 * small)
    return peer


def normalized(image, config):
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (config.mean, config.std))
    return ((image + 1) / 2 - mean) / std


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "config", "side", "padded"),
    [
        ("small", SMALL, 64, []),
        # 66 pixels: maps of 33 and 17, so both blocks of stride two meet an odd one
        ("small, odd maps", SMALL, 66, [2, 5]),
        ("B0", EfficientNetConfig(classes=7), 224, []),
    ],
)
def test_transformers_agrees_on_features_and_logits(
    tmp_path, name, config, side, padded, agree
):
    torch.manual_seed(0)
    peer = peer_of(config, padded)
    peer.save_pretrained(tmp_path)
    ours = efficientnet.load(tmp_path)
    image = torch.rand(2, 3, side, side, generator=generator(1)) * 2 - 1
    seen = normalized(image, config)
    peers = {
        "ours": "mmdl_lib.models.efficientnet.EfficientNet",
        "package": "transformers",
        "reference": "transformers EfficientNet",
    }
    features = peer.efficientnet(seen).last_hidden_state
    # noise in every layer makes large values, so both are divided by the largest
    assert rows_differ(features)
    scale = features.abs().max()
    found = ours.feature_map(image)
    name = f"EfficientNet {name}, "
    agree(name + "features", found / scale, features / scale, tolerance=1e-5, **peers)
    logits = peer(seen).logits
    scale = logits.abs().max()
    found = ours(image)
    agree(name + "logits", found / scale, logits / scale, tolerance=1e-5, **peers)
