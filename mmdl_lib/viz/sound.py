"""A sound: what it looks like over time, and a player, in the look of `viz`."""

import base64
import html
import io
import wave as wav
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mmdl_lib.borders import check_number, check_numbers
from mmdl_lib.data.sounds import resample
from mmdl_lib.viz import look
from mmdl_lib.viz.look import Figure

PLAYED = 8_000  # samples a second of the player, at most; a page must stay light
BYTES = 100_000  # of a clip, as it stands in the page
DEPTH = 60  # decibels below the loudest that are still drawn
CELLS = 200, 96  # frames and bands of the picture, at most


def sound(
    wave: Tensor,
    rate: int,
    *,
    marks: Sequence[tuple] = (),
    hidden: Sequence[tuple] = (),
    title: str,
    alt: str,
) -> Figure:
    """A spectrogram and, below it, a player that starts when the reader wants it.

    Args:
        wave: (t,) samples in [-1, 1].
        rate: of them, a second. The player has at most 8,000, as a telephone.
        marks: (begin, end, word), seconds: what sounds there, written above.
        hidden: (begin, end), seconds: parts that are covered.
        title: shown below.
        alt: what is heard and seen, for those who cannot hear or see it.

    Raises:
        ValueError: another shape or range, more than four and a half seconds, a mark
            outside, or a missing `alt`.
    """
    look.check_words(title, alt)
    check_numbers("wave", wave, "t")
    check_number("rate", rate, 2_000, 192_000, whole=True)
    wave = wave.detach().cpu().float()
    if len(wave) < 0.02 * rate or wave.abs().max() > 1.001:
        most = f" up to {wave.abs().max():.3g}" if len(wave) else ""
        raise ValueError(
            f"wave expected at least 20 ms of samples in [-1, 1], got "
            f"{len(wave) / rate:.3f} s{most}."
        )
    seconds = len(wave) / rate
    for begin, end, *_ in (*marks, *hidden):
        if not 0 <= begin < end <= seconds + 1e-6:
            raise ValueError(
                f"sound expected marks from 0 to {seconds:.2f} s, got {begin:g} to "
                f"{end:g}."
            )
    power, top = _decibels(wave, rate)

    def paint(canvas):
        ax = canvas.add_subplot()
        extent = (0, seconds, 0, top / 1000)
        style = {"interpolation": "none", "aspect": "auto", "origin": "lower"}
        ax.imshow(power, "viridis", extent=extent, **style).set_clip_on(False)
        ax.set(xlabel="seconds", ylabel="frequency in kHz")
        ax.tick_params(length=0, pad=5)
        ax.spines[:].set_visible(False)
        for begin, end in hidden:
            ax.axvspan(begin, end, color="#8c929c", linewidth=0)
        for begin, end, word in marks:
            middle = (begin + end) / 2
            ax.text(middle, 1.03 * top / 1000, str(word), ha="center", va="bottom")
            if begin > 0:
                ax.axvline(begin, color="white", alpha=0.55, linewidth=0.9)

    drawn = look.draw(paint, 2.5, title, alt)
    player = _player(wave, rate, f"{title}: {seconds:.1f} seconds of sound")
    return Figure(title, drawn.body.replace("<figcaption", f"{player}<figcaption", 1))


def _decibels(wave: Tensor, rate: int) -> tuple[np.ndarray, float]:
    """(bins, frames) and the highest frequency; the loudest of all is 0."""
    window = 2 ** round(np.log2(0.025 * rate))
    hop = max(round(0.01 * rate), -(-len(wave) // CELLS[0]))
    spectrum = torch.stft(
        F.pad(wave, (0, max(0, window - len(wave)))),
        **{"n_fft": window, "hop_length": hop, "pad_mode": "constant"},
        window=torch.hann_window(window, device="cpu"),
        return_complex=True,
    )
    power = spectrum.abs().square()[1:].T
    power = F.avg_pool1d(power, -(-power.shape[1] // CELLS[1]))
    decibels = 10 * (power.T + 1e-12).log10()
    decibels -= decibels.max().item()
    return decibels.clamp(min=-DEPTH).numpy(), rate / 2


def _player(wave: Tensor, rate: int, name: str) -> str:
    """The browser's own controls; nothing sounds before the reader starts it."""
    kept = min(rate, PLAYED)
    samples = resample(wave, rate, kept).clamp(-1, 1).numpy()
    buffer = io.BytesIO()
    with wav.open(buffer, "wb") as file:
        file.setnchannels(1), file.setsampwidth(2), file.setframerate(kept)
        file.writeframes(np.rint(samples * 32767).astype("<i2").tobytes())
    data = base64.b64encode(buffer.getvalue()).decode()
    if len(data) > BYTES:
        raise ValueError(
            f"sound expected at most {0.75 * BYTES / 2 / kept:.1f} s for a page, got "
            f"{len(wave) / rate:.1f} s."
        )
    return (
        f'<audio controls preload="metadata" aria-label="{html.escape(name)}" '
        'style="display:block;width:100%;max-width:26em;height:2.4em;margin:.4em 0 0" '
        f'src="data:audio/wav;base64,{data}"></audio>'
    )
