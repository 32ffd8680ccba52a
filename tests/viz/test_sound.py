"""A sound on a page: its picture, its player, and nothing that plays by itself."""

import base64
import io
import math
import re
import sys
import wave as wav
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mmdl_lib import viz
from mmdl_lib.data import sounds
from mmdl_lib.viz.sound import _decibels

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from browser import browser, serious, serve, visit  # noqa: E402

__all__ = ["browser", "serious", "visit"]  # fixtures

WORDS = {"title": "A word", "alt": "A spectrogram of <one> word."}


def tone(hertz, rate=16_000, seconds=0.5):
    return 0.5 * (2 * math.pi * hertz * torch.arange(int(seconds * rate)) / rate).sin()


@pytest.fixture(scope="module")
def spoken():
    return sounds.load(n=1, seed=4)


@pytest.fixture(scope="module")
def drawn(spoken):
    marks = [(0.1, 0.3, "k"), (0.3, 0.5, "u")]
    hidden = [(0.5, 0.7)]
    return viz.sound(spoken.wave[0], 16_000, marks=marks, hidden=hidden, **WORDS)


def played(figure):
    """Samples in [-1, 1] and the rate of what the player holds."""
    data = re.search(r'src="data:audio/wav;base64,([^"]+)"', figure.body)[1]
    with wav.open(io.BytesIO(base64.b64decode(data))) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        samples = np.frombuffer(file.readframes(10**7), "<i2") / 32767
        return samples, file.getframerate()


def test_the_player_holds_the_sound_at_the_rate_of_a_telephone(drawn, spoken):
    found, rate = played(drawn)
    assert rate == 8_000 and len(found) == 8_000
    wanted = sounds.resample(spoken.wave[0], 16_000, 8_000).numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    slow = viz.sound(tone(300, 4_000), 4_000, **WORDS)
    assert played(slow)[1] == 4_000  # nothing is added to a slow one
    np.testing.assert_allclose(played(slow)[0], tone(300, 4_000).numpy(), atol=1e-4)


def test_nothing_plays_before_the_reader_wants_it(drawn):
    player = re.search(r"<audio[^>]*>", drawn.body)[0]
    assert " controls" in player and "autoplay" not in player
    assert 'aria-label="A word: 1.0 seconds of sound"' in player
    assert drawn.body.count("<audio") == drawn.body.count("</audio>") == 1
    assert "<script" not in drawn.body and "<style" not in drawn.body


def test_the_picture_has_its_alternative_and_takes_the_ink_of_the_page(drawn):
    assert 'aria-label="A spectrogram of &lt;one&gt; word."' in drawn.body
    assert "<figcaption" in drawn.body and repr(drawn) == "A word"
    assert "currentColor" in drawn.body and "font-family: " not in drawn.body
    assert " id=" not in drawn.body and "url(#" not in drawn.body
    sizes = [float(s) for s in re.findall(r"font-size: ([\d.]+)px", drawn.body)]
    assert min(sizes) >= 10
    assert len(drawn.body) < 100_000
    said = re.findall(r"<text[^>]*>([^<]+)</text>", drawn.body)
    assert {"k", "u", "seconds", "frequency in kHz"} <= {*said}


def test_a_second_of_sound_is_light(drawn):
    long = viz.sound(torch.randn(4 * 16_000).clamp(-4, 4) / 4, 16_000, **WORDS)
    assert len(drawn.body) < 70_000 < len(long.body) < 200_000


def painted(figure):
    """(h, w, 3) what a reader sees of the picture, black ink on white."""
    import resvg_py

    svg = re.search(r"<svg.*?</svg>", figure.body, re.S)[0]
    svg = svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    svg = svg.replace("currentColor", "#000000").replace("color:inherit;", "")
    data = bytes(resvg_py.svg_to_bytes(svg_string=svg, background="white"))
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), dtype=float)


def test_what_is_hidden_is_covered(spoken):
    gray = (140, 146, 156)

    def share(figure):
        seen = painted(figure)
        return (np.abs(seen - gray).max(2) < 4).mean()

    plain = viz.sound(spoken.wave[0], 16_000, **WORDS)
    both = viz.sound(spoken.wave[0], 16_000, hidden=[(0, 0.2), (0.5, 1)], **WORDS)
    whole = viz.sound(spoken.wave[0], 16_000, hidden=[(0, 1)], **WORDS)
    assert share(plain) < 0.01 and share(whole) > 0.5
    assert share(both) / share(whole) == pytest.approx(0.7, abs=0.02)


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
@pytest.mark.parametrize("hertz", [500, 3_000])
def test_a_tone_is_bright_where_it_is(rate, hertz):
    decibels, top = _decibels(tone(hertz, rate), rate)
    assert top == rate / 2 and decibels.shape[0] <= 96 and decibels.max() == 0
    at = decibels[:, decibels.shape[1] // 2].argmax()
    assert abs((at + 0.5) * top / decibels.shape[0] - hertz) < top / 60
    assert decibels.min() == -60


def test_low_tones_stand_below_and_early_ones_on_the_left():
    wave = torch.cat([tone(500), 0 * tone(500), tone(7_000)])  # half a second each
    seen = painted(viz.sound(wave, 16_000, **WORDS))
    high, wide = seen.shape[:2]
    # the yellow of the loudest, which is red and green and not blue
    bright = (seen[..., 0] > 150) & (seen[..., 1] > 150) & (seen[..., 2] < 120)
    rows, columns = np.nonzero(bright)
    left = columns < 0.45 * wide
    assert left.any() and (~left).any()
    assert rows[left].min() > 0.55 * high > 0.45 * high > rows[~left].max()


@pytest.mark.parametrize(
    ("wave", "options", "words"),
    [
        (torch.zeros(2, 800), {}, r"wave expected floats of shape \(t,\)"),
        (torch.zeros(100), {}, "at least 20 ms of samples in .* got 0.006 s"),
        (torch.zeros(0), {}, "at least 20 ms"),
        (torch.full((800,), 2.0), {}, r"samples in \[-1, 1\], got 0.050 s up to 2"),
        (torch.full((800,), math.nan), {}, "finite numbers"),
        (tone(300), {"rate": 100}, "rate expected a whole number from 2000"),
        (tone(300), {"marks": [(0.4, 0.6, "a")]}, "marks from 0 to 0.50 s, got 0.4"),
        (tone(300), {"hidden": [(0.4, 0.3)]}, "got 0.4 to 0.3"),
        (tone(300, seconds=5), {}, "at most 4.7 s for a page, got 5.0 s"),
        (tone(300), {"alt": " "}, "'A word' expected alt, a sentence"),
    ],
)
def test_mistakes_are_named(wave, options, words, as_a_reader):
    options = {"rate": 16_000} | WORDS | options
    with pytest.raises(ValueError, match=words):
        viz.sound(wave, options.pop("rate"), **options)


def test_a_browser_plays_it_under_the_policy_of_our_pages(
    visit, serious, drawn, tmp_path
):
    page = '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>t</title>'
    page += f'<link rel="icon" href="data:,"></head><body>{drawn.body}</body></html>'
    (tmp_path / "page.html").write_text(page, "utf-8")
    with serve(tmp_path) as url:
        opened, faults = visit(f"{url}page.html")
        player = opened.locator("audio")
        assert player.evaluate("x => x.paused")  # nothing has begun by itself
        js = """x => new Promise((resolve, reject) => {
          const told = () => resolve(x.duration);
          if (x.error) reject(new Error("refused"));
          if (x.readyState > 0) told();
          x.onloadedmetadata = told;
          x.onerror = () => reject(new Error("refused"));
        })"""
        assert player.evaluate(js) == pytest.approx(1.0, abs=0.01)
        assert serious(opened, "figure") == [] and faults == []
        opened.close()
