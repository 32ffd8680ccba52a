"""The checker's solutions of EfficientNet's exercises are what the model does."""

import torch

from mmdl_lib.exercises import efficientnet as chapter
from mmdl_lib.models.efficientnet import (
    EfficientNetConfig,
    MBConv,
    StageSpec,
    round_filters,
)


def test_the_solutions_are_what_the_model_does():
    rounded, weights = (chapter.SOLUTIONS[i] for i in (2, 3))
    assert round_filters(24, 1.2, 8) == rounded(24, 1.2, 8)
    block = MBConv(16, StageSpec(5, 6, 24, 1, 1), EfficientNetConfig(squeeze=0.0), 0.0)
    convs = [m for m in block.modules() if isinstance(m, torch.nn.Conv2d)]
    assert sum(m.weight.numel() for m in convs) == weights(16, 24, 5, 6)
