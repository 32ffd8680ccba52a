"""data2vec: TODO parity, a closed form or a law for each part."""

import torch

from mmdl_lib.core import generator
from mmdl_lib.models.data2vec import Data2Vec


def test_places_of_patches_do_not_matter():
    model = Data2Vec.from_preset("tiny")
    image = Data2Vec.example_batch(model.config, 2, generator=generator(0))["image"]
    moved = image.roll(model.config.patch, 3)
    assert torch.allclose(model(image), model(moved), atol=1e-5)
    assert not torch.allclose(model(image), model(image.roll(1, 3)), atol=1e-5)
