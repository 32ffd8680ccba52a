"""Randomness of a run: a pure function of the seed and the place in the run."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def draws(device: torch.device, *place: int | str) -> Iterator[torch.Generator]:
    """A generator for one place of a run, such as (seed, step, phase, slice).

    Layers that know no generator, such as dropout, draw from torch's global ones:
    inside they are seeded for this place too, afterwards they are as before. So a
    resumed run needs no stored random state, and a caller's own is left alone.
    """
    digest = hashlib.sha256(repr(place).encode()).digest()
    # two seeds: noise from the generator must not be the bits behind a dropout mask
    own, common = (int.from_bytes(digest[i : i + 4], "big") for i in (0, 4))
    sources = [(torch, torch.default_generator)]
    if device.type != "cpu":
        sources.append((torch.get_device_module(device),) * 2)
    states = [kind.get_rng_state() for kind, _ in sources]
    try:
        for _, source in sources:
            source.manual_seed(common)
        yield torch.Generator(device).manual_seed(own)
    finally:
        for (kind, _), state in zip(sources, states, strict=True):
            kind.set_rng_state(state)
