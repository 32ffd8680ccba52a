"""Same weights in, same numbers out: ResNet of `transformers`."""

import pytest
import torch
from transformers import ResNetConfig as PeerConfig
from transformers import ResNetForImageClassification

from mmdl_lib.core import generator
from mmdl_lib.models.resnet import ResNet, ResNetConfig
from tests.parity.conftest import rows_differ

BASIC = ResNetConfig(block="basic", stages=(2, 1, 2), width=16, classes=7)
BOTTLENECK = ResNetConfig(stages=(2, 1, 2), width=16, classes=7)


def peer_of(config):
    layers = [config.width * 2**i for i in range(len(config.stages))]
    grow = 4 if config.block == "bottleneck" else 1
    return ResNetForImageClassification(
        PeerConfig(
            embedding_size=config.width,
            hidden_sizes=[grow * n for n in layers],
            depths=list(config.stages),
            layer_type=config.block,
            downsample_in_bottleneck=True,
            num_labels=config.classes,
        )
    ).eval()


def in_order(model, shortcut):
    """(shortcut?, tensors) of each convolution or norm, in the order of the blocks."""
    parts = {True: [], False: []}
    for name, value in model.state_dict().items():
        parts[shortcut in name].append(value)
    return parts


@torch.no_grad()
@pytest.mark.parametrize("config", [BASIC, BOTTLENECK])
def test_transformers_agrees_on_features_and_logits(config, agree):
    torch.manual_seed(0)
    ours, peer = ResNet(config).eval(), peer_of(config)
    g = generator(1)
    mine, theirs = in_order(ours, "shortcut"), in_order(peer, "shortcut")
    for kind in (True, False):
        assert len(mine[kind]) == len(theirs[kind])
        for a, b in zip(mine[kind], theirs[kind], strict=True):
            assert a.shape == b.shape
            if a.is_floating_point():
                noise = 0.05 * torch.randn(a.shape, generator=g)
                a += noise.abs() if a.ndim == 1 else noise  # no negative variance
                b.copy_(a)
    image = torch.rand(3, 3, 64, 64, generator=g) * 2 - 1
    peers = {
        "ours": "mmdl_lib.models.resnet.ResNet",
        "package": "transformers",
        "reference": "transformers ResNet",
    }
    features = peer.resnet(image).last_hidden_state
    # values grow with depth, so the difference is taken of features of length one
    assert rows_differ(features)
    scale = features.abs().max()
    name = f"ResNet {config.block}, "
    found = ours.feature_map(image)
    agree(name + "features", found / scale, features / scale, tolerance=1e-5, **peers)
    logits, other = ours(image), peer(image).logits
    scale = other.abs().max()
    agree(name + "logits", logits / scale, other / scale, tolerance=1e-5, **peers)
