"""Same numbers in, same numbers out: Imagen's threshold is that of `diffusers`."""

import diffusers
import torch

from mmdl_lib.core import generator
from mmdl_lib.models.imagen import dynamic, static

NAMES = {"package": "diffusers"}


def theirs(x, **options):
    """What the sampler of diffusers makes of believed pictures."""
    how = {"thresholding": True, "clip_sample": False} | options
    return diffusers.DDPMScheduler(**how)._threshold_sample(x)


def test_diffusers_agrees_on_dynamic_thresholding(agree):
    names = NAMES | {"ours": "mmdl_lib.models.imagen.dynamic"}
    names["reference"] = "diffusers DDPMScheduler, sample_max_value of 100"
    for i, size in enumerate((0.3, 1.0, 4.0, 20.0)):
        x = size * torch.randn(4, 3, 16, 16, generator=generator(i))
        # with the default sample_max_value of 1 it would be plain clipping
        known = theirs(x, sample_max_value=100.0)
        agree("dynamic thresholding", dynamic(x), known, tolerance=1e-6, **names)
        known = theirs(x, sample_max_value=100.0, dynamic_thresholding_ratio=0.9)
        agree("another percentile", dynamic(x, 0.9), known, tolerance=1e-6, **names)


def test_the_default_of_diffusers_is_the_static_threshold():
    x = 4 * torch.randn(4, 3, 16, 16, generator=generator(0))
    assert torch.allclose(theirs(x), static(x))
    assert not torch.allclose(theirs(x), dynamic(x), atol=0.1)
