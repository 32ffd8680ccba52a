"""A made spoken language: 24 words of 3 to 6 phones, in eight voices.

No one speaks it and nothing is recorded: each clip is computed here, by a source and a
filter, the oldest picture of a voice. The source is a train of pulses (the pitch) or
noise (breath); the filter lets some bands through and says which phone is heard. So of
every clip we know the word, the voice, the pitch, and which phone sounds when.

What is like speech: vowels with formants, nasals, hisses, stops with a silence before
their burst; phones that blend into each other; voices of other pitch, tract and speed,
and one voice never says a word twice in the same way. What is not: grammar, stress,
melody, rooms, and the thousand ways in which real people differ. Results on it say so.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
import torch

from mmdl_lib.borders import check_integers, check_number
from mmdl_lib.core import generator

RATE, SECONDS = 16_000, 1.0  # of a clip; a word takes 0.3 to 0.92 s of it
FRAME = 320  # samples: 20 ms, for which the phone is known
WORDS, SPEAKERS = 24, 8
SLOW = 1.35  # phones last longer than in fluent speech
WINDOW, HOP = 512, 256  # samples, of the filter

# name -> (kind, seconds, bands); a band is (hertz, width in hertz, strength)
PHONES = {
    "a": ("vowel", 0.13, ((750, 110, 1.0), (1150, 130, 0.6), (2450, 200, 0.25))),
    "e": ("vowel", 0.13, ((500, 90, 1.0), (1850, 140, 0.5), (2500, 200, 0.3))),
    "i": ("vowel", 0.12, ((280, 70, 1.0), (2250, 150, 0.45), (3000, 220, 0.35))),
    "o": ("vowel", 0.13, ((520, 90, 1.0), (880, 110, 0.6), (2400, 200, 0.12))),
    "u": ("vowel", 0.12, ((310, 70, 1.0), (860, 110, 0.35), (2250, 200, 0.08))),
    "m": ("nasal", 0.08, ((260, 90, 0.6), (1000, 200, 0.08), (2200, 300, 0.04))),
    "n": ("nasal", 0.08, ((260, 90, 0.6), (1500, 200, 0.12), (2500, 300, 0.06))),
    "l": ("nasal", 0.08, ((360, 90, 0.7), (1200, 180, 0.25), (2700, 300, 0.15))),
    "s": ("hiss", 0.11, ((6000, 2200, 0.9),)),
    "f": ("hiss", 0.10, ((4200, 6000, 0.25),)),
    "h": ("hiss", 0.08, ((1500, 1800, 0.35),)),
    "p": ("stop", 0.09, ((700, 900, 0.9),)),
    "t": ("stop", 0.09, ((4200, 2200, 0.9),)),
    "k": ("stop", 0.10, ((1900, 900, 0.9),)),
}
NAMES = ("", *PHONES)  # a phone's number is its place; 0 is silence
CLOSED = 0.6  # share of a stop that is silent


class Voice(NamedTuple):
    """Who speaks: pitch in hertz, formants and speed against the table, breath."""

    pitch: float | int
    tract: float | int
    speed: float | int
    breath: float | int


class Spoken(NamedTuple):
    """Clips and what is known of them; `n` clips of one second.

    Attributes:
        wave: (n, 16000) in [-1, 1].
        length: (n,) samples until the word has ended; the rest is near silence.
        word: (n,) places in `words()`.
        speaker: (n,) places in `voices()`.
        pitch: (n,) hertz, the mean over the word.
        phone: (n, 50) places in `NAMES` for each 20 ms.
    """

    wave: np.ndarray
    length: np.ndarray
    word: np.ndarray
    speaker: np.ndarray
    pitch: np.ndarray
    phone: np.ndarray


@cache
def words() -> tuple[str, ...]:
    """The words of the language, each spelled by its phones."""
    vowels = [p for p in PHONES if PHONES[p][0] == "vowel"]
    others = [p for p in PHONES if p not in vowels]
    shapes = ("cvc", "vcv", "cvcv", "vcvc", "cvcvc", "cvcvcv")
    rng, found = generator(0), []
    while len(found) < WORDS:
        shape = shapes[len(found) % len(shapes)]
        pools = [vowels if sort == "v" else others for sort in shape]
        word = "".join(pool[_draw(len(pool), rng)] for pool in pools)
        if word not in found:
            found.append(word)
    return tuple(found)


@cache
def voices() -> tuple[Voice, ...]:
    """The speakers, from the lowest pitch to the highest."""
    rng, found = generator(1), []
    for i in range(SPEAKERS):
        shift = _uniform(3, rng)
        pitch = 90 * 2 ** (1.4 * i / (SPEAKERS - 1))  # 90 to 238 Hz
        tract = 0.88 + 0.3 * i / (SPEAKERS - 1) + 0.06 * (shift[0] - 0.5)
        values = (pitch, tract, 0.85 + 0.4 * shift[1], 0.1 + 0.3 * shift[2])
        found.append(Voice(*(round(float(value), 3) for value in values)))
    return tuple(found)


def speak(n: int, *, seed: int = 0, speakers=range(SPEAKERS)) -> Spoken:
    """Draw words, voices and a way to say each; equal arguments give equal clips.

    Args:
        n: how many clips.
        seed: of all that is drawn.
        speakers: the voices that speak, places in `voices()`; all by default.

    Raises:
        ValueError: no whole number, no speaker or one that does not exist.
    """
    check_number("n", n, 1, whole=True)
    check_number("seed", seed, 0, whole=True)
    speakers = torch.as_tensor([*speakers], device="cpu")
    if not len(speakers):
        raise ValueError(f"speakers expected some of 0 to {SPEAKERS - 1}, got none.")
    check_integers("speakers", speakers, 0, SPEAKERS - 1)
    rng = generator(seed)
    draw = lambda k: torch.randint(k, (n,), generator=rng, device="cpu")  # noqa: E731
    word, speaker = draw(WORDS).numpy(), speakers[draw(len(speakers))].numpy()
    who = np.array(voices())[speaker]
    # a voice is never twice the same: pitch by a sixth, tract and speed by a little
    vary = 2 * _uniform((n, 3), rng) - 1
    who[:, :3] *= 2 ** (vary * (0.12, 0.03, 0.12))
    loud, start = 0.35 + 0.55 * _uniform(n, rng), _uniform(n, rng)
    times = _times(word, who[:, 2], start, _uniform((n, 6), rng))
    seeds = torch.randint(2**31, (n,), generator=rng, device="cpu").tolist()
    parts = [
        _sound(word[i : i + 100], who[i : i + 100], times[i : i + 100], seeds[i])
        for i in range(0, n, 100)
    ]
    wave = np.concatenate(parts)
    wave *= (32767 * loud / np.abs(wave).max(1)).astype(np.float32)[:, None]
    wave = np.rint(wave, out=wave) / np.float32(32768)  # 16 bits, as in a file
    middle = (np.arange(int(RATE * SECONDS) // FRAME) + 0.5) * FRAME / RATE
    length = np.ceil(times[:, -1] * RATE).astype(np.int64)
    phone = _phones(word, times, middle)
    return Spoken(wave, length, word, speaker, who[:, 0], phone)


def _times(word, speed, start, vary) -> np.ndarray:
    """(n, 7) seconds at which the phones begin and, in the end, the word ends."""
    table = np.zeros((WORDS, 6))
    for i, spelled in enumerate(words()):
        table[i, : len(spelled)] = [SLOW * PHONES[p][1] for p in spelled]
    took = table[word] * (0.8 + 0.4 * vary) / speed[:, None]
    took *= np.minimum(1, 0.92 / took.sum(1))[:, None]
    ends = np.concatenate([np.zeros((len(word), 1)), took.cumsum(1)], 1)
    return ends + (0.02 + start * (0.96 - ends[:, -1]))[:, None]


def _phones(word, times, at) -> np.ndarray:
    """(n, t) the phone at each time."""
    table = np.zeros((WORDS, 7), np.int64)
    for i, spelled in enumerate(words()):
        table[i, : len(spelled)] = [NAMES.index(p) for p in spelled]
    place = (at >= times[:, :, None]).sum(1) - 1  # 6 when the word has ended
    found = table[word[:, None], place.clip(0, 6)]
    return np.where(place < 0, 0, found)


def _sound(word, who, times, seed: int) -> np.ndarray:
    """(n, 16000): the source, cut into frames, each passed through its filter."""
    n, t, rng = len(word), int(RATE * SECONDS), generator(seed)
    now = np.arange(t) / RATE
    # the pitch falls by a tenth over the word and trembles a little
    along = ((now - times[:, :1]) / (times[:, -1:] - times[:, :1])).clip(0, 1)
    cycle = (5 * now + _uniform((n, 1), rng)).astype(np.float32)
    tremble = 1 + 0.01 * np.sin(2 * np.pi * cycle)
    turns = (who[:, :1] * (1.05 - 0.1 * along) * tremble / RATE).cumsum(1)
    pulse = np.diff(np.floor(turns).astype(np.float32), axis=1, prepend=np.float32(0))
    pulse *= np.sqrt(RATE / who[:, :1]).astype(np.float32)  # as strong at each pitch
    noise = torch.randn((n, t), generator=rng, dtype=torch.float32, device="cpu")
    voiced, breathed = _filters(who)
    weight = _weights(word, times)
    passed = _spectrum(pulse) * (weight @ voiced)
    passed += _spectrum(noise.numpy()) * (weight @ breathed)
    hiss = torch.randn((n, t), generator=rng, dtype=torch.float32, device="cpu")
    return _overlap(passed)[:, :t] + 0.004 * hiss.numpy()


def _filters(who) -> tuple[np.ndarray, np.ndarray]:
    """Of each clip, what each phone lets through of pulses and of noise: (n, 15, f)."""
    hertz = np.linspace(0, RATE / 2, WINDOW // 2 + 1, dtype=np.float32)
    pulses = np.zeros((len(who), len(NAMES), len(hertz)), np.float32)
    noises = np.zeros_like(pulses)
    for i, (kind, _, bands) in enumerate(PHONES.values(), 1):
        for middle, width, strength in bands:
            at = (middle * who[:, 1:2]).clip(max=0.45 * RATE)
            shape = strength / (1 + ((hertz - at) / (width / 2)) ** 2)
            if kind in ("hiss", "stop"):
                noises[:, i] += 0.25 * shape
            else:
                pulses[:, i] += shape
                noises[:, i] += 0.1 * who[:, 3:] * shape
    return pulses, noises


def _weights(word, times) -> np.ndarray:
    """(n, frames, 15): how much of each phone each frame has; phones blend."""
    frames = _frames(int(RATE * SECONDS))
    at = (np.arange(frames) + 0.5 - WINDOW / HOP / 2 + 0.5) * HOP / RATE
    phone = _phones(word, times, at)
    place = ((at >= times[:, :, None]).sum(1) - 1).clip(0, 5)
    begun = np.take_along_axis(times, place, 1)
    lasts = np.take_along_axis(times, place + 1, 1) - begun
    share = (at - begun) / np.maximum(lasts, 1e-6)  # 0 where the word has ended
    stops = [i for i, p in enumerate(NAMES) if p and PHONES[p][0] == "stop"]
    phone[np.isin(phone, stops) & (share < CLOSED)] = 0
    one = np.eye(len(NAMES), dtype=np.float32)[phone]
    padded = np.pad(one, ((0, 0), (1, 1), (0, 0)), "edge")
    return 0.25 * padded[:, :-2] + 0.5 * padded[:, 1:-1] + 0.25 * padded[:, 2:]


def _frames(samples: int) -> int:
    return -(-samples // HOP) + WINDOW // HOP - 1


def _hann() -> np.ndarray:
    return np.sqrt(np.hanning(WINDOW + 1)[:-1]).astype(np.float32)


def _spectrum(wave: np.ndarray) -> np.ndarray:
    """(n, frames, f) of overlapping frames; the first begins before the clip."""
    whole, t = HOP * (_frames(wave.shape[1]) - 1) + WINDOW, wave.shape[1]
    padded = np.pad(wave, ((0, 0), (WINDOW - HOP, whole - t - WINDOW + HOP)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW, 1)[:, ::HOP]
    # torch's transform takes a third of numpy's time
    return torch.fft.rfft(torch.from_numpy(frames * _hann())).numpy()


def _overlap(spectrum: np.ndarray) -> np.ndarray:
    """The frames added up where they overlap; without a filter, the clip itself."""
    parts = torch.fft.irfft(torch.from_numpy(spectrum), WINDOW).numpy() * _hann()
    n, frames, _ = parts.shape
    steps = parts.reshape(n, frames, WINDOW // HOP, HOP)
    total = np.zeros((n, frames + WINDOW // HOP - 1, HOP), np.float32)
    for i in range(WINDOW // HOP):
        total[:, i : i + frames] += steps[:, :, i]
    return total.reshape(n, -1)[:, WINDOW - HOP :] / (WINDOW / HOP / 2)


def _draw(k: int, rng: torch.Generator) -> int:
    return int(torch.randint(k, (), generator=rng, device="cpu"))


def _uniform(shape, rng: torch.Generator) -> np.ndarray:
    shape = (shape,) if isinstance(shape, int) else shape
    kind = {"dtype": torch.float64, "device": "cpu"}
    return torch.rand(shape, generator=rng, **kind).numpy()
