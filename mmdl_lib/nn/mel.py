"""A sound as a picture: how strong each band of frequencies is, frame by frame."""

import torch
from jaxtyping import Float
from torch import Tensor

from mmdl_lib.borders import check_number, check_numbers


def to_mel(hertz: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """The mel scale, in which equal steps sound about equally large.

    `2595 log10(1 + hertz / 700)`: nearly linear below 700 Hz, logarithmic above.
    """
    return 2595 * torch.log10(1 + hertz / 700)


def to_hertz(mel: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """The inverse of `to_mel`."""
    return 700 * (10 ** (mel / 2595) - 1)


def mel_bands(bands: int, window: int, rate: int) -> Float[Tensor, "f bands"]:
    """Triangles over frequencies from 0 to half the rate, equally wide in mel.

    Each rises from the middle of the band below to its own and falls to the middle of
    the next; 1 at its middle.
    """
    kind = {"dtype": torch.float64, "device": "cpu"}
    hertz = torch.linspace(0, rate / 2, window // 2 + 1, **kind)
    top = to_mel(torch.tensor(rate / 2, **kind)).item()
    edge = to_hertz(torch.linspace(0, top, bands + 2, **kind))
    rise = (hertz[:, None] - edge[:-2]) / (edge[1:-1] - edge[:-2])
    fall = (edge[2:] - hertz[:, None]) / (edge[2:] - edge[1:-1])
    return torch.minimum(rise, fall).clamp(min=0)


def log_mel(
    wave: Float[Tensor, "b t"],
    rate: int = 16_000,
    *,
    bands: int = 40,
    window: int = 400,
    hop: int = 320,
    floor: float | int = 1e-5,
) -> Float[Tensor, "b frames bands"]:
    """Frames of log energies in mel bands: the usual front end before raw waves.

    Args:
        wave: samples in [-1, 1].
        rate: of them, a second.
        bands: how many.
        window: samples that a frame sees (400: 25 ms), under a Hann window.
        hop: samples from frame to frame (320: 20 ms, 50 frames a second). Frame i has
            its middle at `(i + 1/2) hop`; beyond the ends there is silence.
        floor: added to the energies, so that silence has a logarithm.

    Returns:
        natural logarithms; `t // hop` frames.

    Raises:
        ValueError: another shape, NaN, numbers out of range, or a sound shorter than
            one hop.
    """
    check_numbers("wave", wave, "b t")
    for name, value in {"bands": bands, "hop": hop, "rate": rate}.items():
        check_number(name, value, 1, whole=True)
    check_number("window", window, hop, whole=True)
    check_number("floor", floor, above=0)
    check_number("samples of wave", wave.shape[1], hop, whole=True)
    frames = wave.shape[1] // hop
    left = (window - hop) // 2
    padded = torch.nn.functional.pad(wave, (left, window))
    cut = padded.unfold(1, window, hop)[:, :frames]
    hann = torch.hann_window(window, dtype=wave.dtype, device=wave.device)
    energy = torch.fft.rfft(cut * hann).abs() ** 2
    table = mel_bands(bands, window, rate).to(energy)
    return (energy @ table + floor).log()
