"""The made language: its words, its voices, and sounds that are what labels say."""

import time
from itertools import pairwise

import numpy as np
import pytest
import torch

from mmdl_lib.data import voices

RATE = voices.RATE


@pytest.fixture(scope="module")
def said():
    return voices.speak(300, seed=5)


def spectrum(wave, begin, end):
    """Hertz and power of a part of a clip, given in seconds."""
    part = wave[int(begin * RATE) : int(end * RATE)]
    power = np.abs(np.fft.rfft(part * np.hanning(len(part)), 1 << 14)) ** 2
    return np.fft.rfftfreq(1 << 14, 1 / RATE), power


def longest(row, number):
    """First and last second of the frames in which a phone sounds, if there are any."""
    at = np.flatnonzero(row == number)
    return (at[0] * 0.02, (at[-1] + 1) * 0.02) if len(at) else None


def test_words_differ_and_are_spelled_by_three_to_six_phones():
    words = voices.words()
    assert len(set(words)) == len(words) == voices.WORDS == 24
    assert {len(word) for word in words} == {3, 4, 5, 6}
    assert set("".join(words)) <= {*voices.PHONES}
    # a vowel never meets a vowel
    assert not any(a in "aeiou" and b in "aeiou" for w in words for a, b in pairwise(w))


def test_voices_go_from_low_to_high():
    found = voices.voices()
    pitch = [voice.pitch for voice in found]
    assert len(found) == 8 and pitch == sorted(pitch)
    assert 80 < pitch[0] < 100 and 220 < pitch[-1] < 260


def test_clips_have_the_shapes_and_ranges_that_are_told(said):
    n = 300
    assert said.wave.shape == (n, 16_000) and said.wave.dtype == np.float32
    assert np.abs(said.wave).max() <= 1 and np.abs(said.wave).max(1).min() > 0.3
    assert said.phone.shape == (n, 50) and said.phone.max() <= 14
    assert {*said.word.tolist()} == {*range(24)}
    assert {*said.speaker.tolist()} == {*range(8)}
    assert said.length.min() > 0.3 * RATE and said.length.max() <= RATE
    # sixteen bits, as in a file
    assert np.array_equal(np.rint(said.wave * 32768), said.wave * 32768)


def test_the_phones_of_a_clip_spell_its_word(said):
    for word, row, length in zip(said.word, said.phone, said.length, strict=True):
        heard = [i for i, j in zip(row, [-1, *row], strict=False) if i != j and i]
        assert "".join(voices.NAMES[i] for i in heard) == voices.words()[word]
        last = np.flatnonzero(row)[-1] + 1
        assert abs(last * voices.FRAME - length) <= voices.FRAME


def test_it_is_loud_where_a_word_is_and_nearly_silent_elsewhere(said):
    frames = said.wave.reshape(300, 50, 320)
    power = (frames**2).mean(2)
    vowels = np.isin(said.phone, [1, 2, 3, 4, 5])
    inside = (said.phone > 0) & ~vowels
    silent = said.phone == 0
    # the frame beside a word holds the end of its last window
    away = silent & np.roll(silent, 1, 1) & np.roll(silent, -1, 1)
    away[:, [0, -1]] = False
    quiet = np.median(power[away])
    assert np.median(power[vowels]) > 300 * quiet
    assert np.median(power[inside]) > 10 * quiet


def test_the_pitch_that_is_told_is_heard(said):
    """The distance of harmonics in the longest vowel, against the label."""
    close = 0
    for wave, row, pitch in zip(said.wave, said.phone, said.pitch, strict=True):
        span = next(filter(None, (longest(row, i) for i in (1, 2, 3, 4, 5))))
        part = wave[int(span[0] * RATE) : int(span[1] * RATE)]
        part = part - part.mean()
        same = np.correlate(part, part, "full")[len(part) - 1 :]
        low, high = int(RATE / 330), int(RATE / 65)
        found = RATE / (low + same[low:high].argmax())
        close += abs(found / pitch - 1) < 0.12
    assert close > 0.9 * 300


@pytest.mark.parametrize(("phone", "hertz"), [("a", 750), ("i", 280), ("u", 310)])
def test_a_vowel_has_its_first_formant_where_the_table_says(said, phone, hertz):
    found = []
    for wave, row, who in zip(said.wave, said.phone, said.speaker, strict=True):
        span = longest(row, voices.NAMES.index(phone))
        # with a low voice the harmonics lie close enough to see the band
        if span and who < 3 and span[1] - span[0] < 0.4:
            f, power = spectrum(wave, *span)
            smooth = np.convolve(power, np.hanning(200), "same")  # 100 Hz wide
            middle = f[np.where((f > 150) & (f < 1_000), smooth, 0).argmax()]
            found.append(middle / voices.voices()[who].tract)
    assert len(found) > 5
    assert abs(np.median(found) / hertz - 1) < 0.25


def test_a_hiss_is_high_and_has_no_pitch(said):
    shares = {"s": [], "a": []}
    for phone, found in shares.items():
        for wave, row in zip(said.wave, said.phone, strict=True):
            span = longest(row, voices.NAMES.index(phone))
            if span:
                f, power = spectrum(wave, *span)
                found.append(power[f > 3500].sum() / power.sum())
    assert np.median(shares["s"]) > 0.9 and np.median(shares["a"]) < 0.1


def test_a_vowel_repeats_itself_and_a_hiss_does_not(said):
    repeats = {"s": [], "f": [], "a": []}
    for phone, found in repeats.items():
        for wave, row in zip(said.wave, said.phone, strict=True):
            span = longest(row, voices.NAMES.index(phone))
            if span and span[1] - span[0] > 0.08:
                part = wave[int((span[0] + 0.02) * RATE) : int((span[1] - 0.02) * RATE)]
                same = np.correlate(part, part, "full")[len(part) - 1 :]
                found.append(same[int(RATE / 330) : int(RATE / 75)].max() / same[0])
    middle = {phone: np.median(found) for phone, found in repeats.items()}
    assert middle["a"] > 0.6 > 0.35 > max(middle["s"], middle["f"]), middle


def test_a_stop_is_silent_before_its_burst(said):
    number, before, burst = voices.NAMES.index("t"), [], []
    for wave, row in zip(said.wave, said.phone, strict=True):
        span = longest(row, number)
        if span and 0.1 < span[1] - span[0] < 0.18:
            cut = span[0] + 0.6 * (span[1] - span[0])
            _, closed = spectrum(wave, span[0] + 0.03, cut - 0.02)
            f, opened = spectrum(wave, cut, span[1])
            before.append(closed[f > 3000].mean())
            burst.append(opened[f > 3000].mean())
    assert len(before) > 10
    assert np.median(np.array(burst) / np.array(before)) > 10


def test_equal_seeds_give_equal_clips_and_others_do_not(said):
    again = voices.speak(300, seed=5)
    assert all(np.array_equal(a, b) for a, b in zip(said, again, strict=True))
    other = voices.speak(300, seed=6)
    assert not np.array_equal(said.wave, other.wave)
    assert (said.word == other.word).mean() < 0.2


def test_a_voice_says_a_word_never_twice_in_the_same_way(said):
    key = 24 * said.speaker + said.word
    twice = next(np.flatnonzero(key == k) for k in key if (key == k).sum() > 1)
    assert len({round(said.pitch[i], 3) for i in twice}) == len(twice)
    assert len({said.phone[i].tobytes() for i in twice}) == len(twice)


def test_only_the_speakers_that_are_asked_for_speak():
    found = voices.speak(60, seed=1, speakers=[6, 7])
    assert {*found.speaker.tolist()} == {6, 7}
    assert found.pitch.min() > 150


def test_frames_without_a_filter_add_up_to_the_clip(said):
    wave = said.wave[:4]
    again = voices._overlap(voices._spectrum(wave))[:, :16_000]
    assert np.abs(again - wave).max() < 1e-5


def test_a_thousand_clips_take_seconds():
    voices.speak(100)
    began = time.process_time()
    voices.speak(200)
    # 0.3 s on a quiet core; the machine may be busy
    assert time.process_time() - began < 3


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"n": 0}, "n expected a whole number from 1 up, got 0"),
        ({"seed": -1}, "seed expected a whole number from 0 up"),
        ({"speakers": []}, "speakers expected some of 0 to 7, got none"),
        ({"speakers": [8]}, "speakers expected numbers from 0 to 7, got 8 to 8"),
        ({"speakers": [0.5]}, "speakers expected integers"),
    ],
)
def test_mistakes_are_named(options, words, as_a_reader):
    with pytest.raises(ValueError, match=words):
        voices.speak(**{"n": 3} | options)


def test_the_global_random_state_is_left_alone():
    before = torch.random.get_rng_state()
    voices.speak(3)
    assert torch.equal(torch.random.get_rng_state(), before)
