"""Log-mel frames: against a public implementation, and on tones that we know."""

import math

import pytest
import torch

from mmdl_lib.core import generator
from mmdl_lib.nn.mel import log_mel, mel_bands, to_hertz, to_mel


def tone(hertz, seconds=0.5, rate=16_000):
    at = torch.arange(int(seconds * rate)) / rate
    return (2 * math.pi * hertz * at).sin()[None]


def test_energies_agree_with_transformers():
    audio = pytest.importorskip("transformers.audio_utils")
    wave = 0.3 * torch.randn(2, 8_000, generator=generator(0))
    wave += tone(440)
    found = log_mel(wave, hop=160, window=400, bands=40)
    filters = audio.mel_filter_bank(
        201, 40, 0.0, 8_000.0, 16_000, norm=None, mel_scale="htk"
    )
    for row, ours in zip(wave, found, strict=True):
        # frame i of theirs begins at i * hop, of ours (window - hop) / 2 before
        theirs = audio.spectrogram(
            torch.nn.functional.pad(row, (120, 400)).numpy(),
            audio.window_function(400, "hann"),
            frame_length=400,
            hop_length=160,
            power=2.0,
            center=False,
            mel_filters=filters,
            mel_floor=0.0,
        )
        wanted = torch.from_numpy(theirs.T[: len(ours)] + 1e-5).log().float()
        torch.testing.assert_close(ours, wanted, atol=1e-3, rtol=0)


def test_the_scale_is_linear_below_and_logarithmic_above():
    hertz = torch.tensor([0.0, 100, 700, 4_000, 8_000], dtype=torch.float64)
    torch.testing.assert_close(to_hertz(to_mel(hertz)), hertz)
    assert to_mel(torch.tensor(0.0)) == 0
    # 1000 Hz is 1000 mel, as the scale was laid out
    assert abs(to_mel(torch.tensor(1000.0)).item() - 1000) < 0.1
    one, two, far = (to_mel(torch.tensor(float(x))) for x in (8_000, 16_000, 32_000))
    assert abs((far - two) / (two - one) - 1) < 0.05


def test_bands_are_triangles_that_add_up_to_one():
    table = mel_bands(8, 4_096, 16_000)
    assert table.shape == (2_049, 8) and (table >= 0).all()
    assert (table.max(0).values > 0.95).all()
    top = table.argmax(0)
    assert (top.diff() > 0).all()
    torch.testing.assert_close(
        table[top[0] : top[-1]].sum(1), torch.ones(int(top[-1] - top[0])).double()
    )


@pytest.mark.parametrize("hertz", [200, 440, 1_500, 5_000])
def test_a_tone_is_in_its_band(hertz):
    found = log_mel(tone(hertz))[0, 10]
    table = mel_bands(40, 400, 16_000)
    assert found.argmax() in table[round(hertz / 40)].topk(2).indices


def test_a_frame_sees_its_own_place_only():
    wave = torch.zeros(1, 3_200)
    wave[0, 5 * 320 + 160] = 0.9  # the middle of frame 5
    found = log_mel(wave)
    assert found.shape == (1, 10, 40)
    changed = (found > math.log(1.1e-5)).any(-1)[0]
    assert changed.nonzero().flatten().tolist() == [5]


def test_twice_as_loud_is_the_logarithm_of_four_more():
    wave = tone(700)
    more = log_mel(wave, floor=1e-12) - log_mel(wave / 2, floor=1e-12)
    strong = log_mel(wave)[0].mean(0) > 0
    assert strong.any()
    torch.testing.assert_close(
        more[0][:, strong].mean(), torch.tensor(math.log(4)), atol=1e-3, rtol=0
    )


def test_silence_is_the_floor_and_half_precision_and_gradients_pass():
    assert (log_mel(torch.zeros(1, 640)) == math.log(1e-5)).all()
    assert log_mel(tone(300).double()).dtype == torch.float64
    wave = tone(300).requires_grad_()
    log_mel(wave).sum().backward()
    assert wave.grad.isfinite().all() and wave.grad.abs().max() > 0


@pytest.mark.parametrize(
    ("wave", "options", "words"),
    [
        (torch.zeros(640), {}, r"wave expected floats of shape \(b, t\)"),
        (torch.full((1, 640), math.nan), {}, "wave expected finite numbers"),
        (torch.zeros(1, 319), {}, "samples of wave expected a whole number from 320"),
        (torch.zeros(1, 640), {"bands": 0}, "bands expected a whole number from 1"),
        (torch.zeros(1, 640), {"window": 300}, "window expected a whole number from"),
        (torch.zeros(1, 640), {"floor": 0}, "floor expected a number above 0"),
    ],
)
def test_mistakes_are_named(wave, options, words, as_a_reader):
    with pytest.raises(ValueError, match=words):
        log_mel(wave, **options)
