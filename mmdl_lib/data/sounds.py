"""Sounds: a made language, telephone prompts and spoken captions, through one door.

`load(source)` gives clips of one length, one rate and one channel, and says where they
are from, so that no result on a made sound passes for one on speech:

- "made": words of a made language, computed here (`voices.py`); word, voice, pitch and
  phones are known. Needs nothing.
- "asterisk": 568 prompts of a telephone exchange, one professional voice, English, with
  their texts; CC BY-SA 3.0. Debian packages `asterisk-core-sounds-en-wav` (sounds) and
  `asterisk-core-sounds-en` (texts).
- "stamps": captions of Tux Paint's stamps, spoken by volunteers in a dozen languages;
  GPL, version 2. Debian package `tuxpaint-stamps-default`; its files are Ogg Vorbis,
  which the Python package `soundfile` reads.

Nothing is downloaded. Without root, `apt-get download PACKAGE`, then `dpkg-deb -x` of
what came, and `load(..., root=FOLDER + "/usr")`.
"""

import gzip
import math
import wave as wav
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from mmdl_lib.borders import check_choice, check_finite, check_number, check_text
from mmdl_lib.core import generator
from mmdl_lib.data import voices
from mmdl_lib.data.stamps import PACKAGE as STAMPS
from mmdl_lib.data.stamps import read_captions

SOURCES = ("made", "asterisk", "stamps")
PROMPTS = "asterisk-core-sounds-en"
ROOT = Path("/usr")
MADE = 1_000  # clips, unless n is given


@dataclass(frozen=True)
class Sounds:
    """Clips of one length; `load` makes it.

    Attributes:
        wave: (n, t) in [-1, 1], zero after the sound.
        length: (n,) samples of sound.
        rate: samples a second.
        source: one of `SOURCES`.
        name: of each: "digits/5", "animals/cow_desc_fr", "made/3".
        text: what is said.
        labels: by name, where they are known: "word", "speaker" and "pitch" (n,), and
            "phone" (n, k), one for each 20 ms; of real sounds nothing.
    """

    wave: Float[Tensor, "n t"]
    length: Int[Tensor, " n"]
    rate: int
    source: str
    name: tuple[str, ...]
    text: tuple[str, ...]
    labels: dict[str, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.name)

    def take(self, rows: Iterable[int] | Tensor) -> "Sounds":
        """Some of the clips, in the order given."""
        rows = [int(i) for i in rows]
        name, text = (tuple(part[i] for i in rows) for part in (self.name, self.text))
        labels = {key: value[rows] for key, value in self.labels.items()}
        parts = {"wave": self.wave[rows], "length": self.length[rows]}
        return replace(self, name=name, text=text, labels=labels, **parts)


def load(
    source: str = "made",
    *,
    n: int | None = None,
    seed: int = 0,
    rate: int = voices.RATE,
    seconds: float | int = voices.SECONDS,
    speakers: Iterable[int] = range(voices.SPEAKERS),
    language: str = "en",
    root: str | Path = ROOT,
) -> Sounds:
    """Clips of a source; equal arguments give equal clips.

    Args:
        source: one of `SOURCES`.
        n: how many; of real sounds the seed chooses, their order stays. By default a
            thousand made ones, or all that there are.
        seed: of what is made or chosen.
        rate: samples a second, to which all are resampled.
        seconds: of each clip: shorter sounds are filled up with zeros, files of longer
            ones are left out.
        speakers: of the source "made": which voices speak.
        language: of the source "stamps": "en", "fr", and the codes of the package.
        root: of real sounds: the folder that has `share`.

    Raises:
        ValueError: an unknown source, an option of another one, numbers out of range,
            nothing that fits, or a file that is not as expected.
        FileNotFoundError: a package is missing; the sentence names it.
        ModuleNotFoundError: a Python package is missing; the sentence names it.
    """
    check_choice("source", source, SOURCES)
    check_number("rate", rate, 4_000, 192_000, whole=True)
    least = voices.SECONDS if source == "made" else 0.02
    check_number("seconds", seconds, least, 3600)
    check_number("seed", seed, 0, whole=True)
    if n is not None:
        check_number("n", n, 1, whole=True)
    _own(source, language, speakers)
    if source == "made":
        return _made(n or MADE, seed, rate, round(seconds * rate), speakers)
    if source == "asterisk":
        found = _prompts(Path(root))
    else:
        found = _spoken(Path(root), language)
    found = [one for one in found if _seconds(one[1]) <= seconds]
    if len(found) < (n or 1):
        raise ValueError(
            f"expected {n or 1} sounds of at most {seconds:g} s from {source!r}, got "
            f"{len(found)}: allow more seconds."
        )
    if n is not None:
        order = torch.randperm(len(found), generator=generator(seed), device="cpu")
        found = [found[i] for i in sorted(order[:n].tolist())]
    name, path, text = zip(*found, strict=True)
    heard, most = [read(one, rate) for one in path], round(seconds * rate)
    length = [min(len(one), most) for one in heard]
    filled = [F.pad(one[:most], (0, most - len(one[:most]))) for one in heard]
    lengths = torch.tensor(length, device="cpu")
    return Sounds(torch.stack(filled), lengths, rate, source, name, text)


def _own(source: str, language: str, speakers: Iterable[int]) -> None:
    """Refuse what another source is asked: it would change nothing, silently."""
    if source != "stamps" and language != "en":
        raise ValueError(
            f"expected a language for the source 'stamps' alone, got {language!r} for "
            f"{source!r}."
        )
    if source != "made" and speakers != range(voices.SPEAKERS):
        raise ValueError(
            f"expected speakers for the source 'made' alone, got some for {source!r}."
        )


def read(path: str | Path, rate: int = voices.RATE) -> Float[Tensor, " t"]:
    """One file, its two channels mixed into one, at a rate of our choice.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a damaged file, no samples, more than two channels, or a WAV file
            that does not hold integers of 16 bits.
        ModuleNotFoundError: no WAV file, and `soundfile` is missing.
    """
    path = Path(path)
    check_number("rate", rate, 4_000, 192_000, whole=True)
    if not path.is_file():
        raise FileNotFoundError(f"expected a file of sound, got none at {path}.")
    sound, own = (_wav if _is_wav(path) else _other)(path)
    if sound.shape[1] > 2 or not len(sound):
        raise ValueError(
            f"{path} expected samples of one or two channels, got {len(sound)} samples "
            f"of {sound.shape[1]}."
        )
    # a steep edge swings a little beyond 1, and so may what a decoder makes of one
    return resample(torch.from_numpy(sound.mean(1)), own, rate).clamp(-1, 1)


def resample(wave: Float[Tensor, "*b t"], old: int, new: int) -> Float[Tensor, "*b t2"]:
    """The same sound with another number of samples a second, by scipy's filter.

    Where the new rate is lower, what it cannot hold (above half of it) is taken out
    first, else it would come back as other tones.

    Raises:
        ValueError: no finite floats, or a rate that is no whole number of at least 1.
        ModuleNotFoundError: scipy is missing.
    """
    check_finite("wave", wave)
    if not wave.is_floating_point() or not wave.ndim:
        raise ValueError(
            f"wave expected floats along time, got {wave.dtype} of shape "
            f"{tuple(wave.shape)}."
        )
    check_number("old", old, 1, whole=True)
    check_number("new", new, 1, whole=True)
    if old == new:
        return wave
    try:
        from scipy.signal import resample_poly
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"expected scipy, to go from {old:,} samples a second to {new:,}: "
            "pip install scipy."
        ) from error
    shared = math.gcd(old, new)
    found = resample_poly(wave.cpu().numpy(), new // shared, old // shared, axis=-1)
    return torch.from_numpy(found).to(wave)


def _made(n: int, seed: int, rate: int, samples: int, speakers) -> Sounds:
    said = voices.speak(n, seed=seed, speakers=speakers)
    wave = resample(torch.from_numpy(said.wave), voices.RATE, rate).clamp(-1, 1)
    wave = F.pad(wave, (0, samples - wave.shape[1]))
    length = -(-torch.from_numpy(said.length) * rate // voices.RATE)
    labels = {
        key: torch.from_numpy(getattr(said, key))
        for key in ("word", "speaker", "pitch", "phone")
    }
    labels["pitch"] = labels["pitch"].to(torch.float32)
    frames = samples * voices.RATE // (rate * voices.FRAME)
    labels["phone"] = F.pad(labels["phone"], (0, frames - said.phone.shape[1]))
    text = tuple(voices.words()[i] for i in said.word)
    name = tuple(f"made/{i}" for i in range(n))
    return Sounds(wave, length, rate, "made", name, text, labels)


def _prompts(root: Path) -> list[tuple[str, Path, str]]:
    """Name, file and text of each prompt that says something."""
    folder = root / "share/asterisk/sounds/en_US_f_Allison"
    texts = root / f"share/doc/{PROMPTS}/core-sounds-en.txt.gz"
    if not folder.is_dir():
        raise _missing(folder, f"{PROMPTS}-wav")
    if not texts.exists():
        raise _missing(texts, PROMPTS)
    found = []
    with gzip.open(texts, "rt", encoding="utf-8") as stream:
        for line in stream:
            name, mark, text = line.strip().partition(": ")
            path, text = folder / f"{name}.wav", text.strip()
            # "[beep]" and the like are no speech; lines after ";" are remarks
            said = mark and text and text[0] not in "[(<" and line[0] != ";"
            if said and path.exists():
                found.append((name, path, text))
    if not found:
        raise ValueError(f"{texts} expected lines such as 'digits/5: five', got none.")
    return sorted(found)


def _spoken(root: Path, language: str) -> list[tuple[str, Path, str]]:
    """Name, file and text of each caption that is spoken in a language."""
    check_text("language", language)
    folder = root / "share/tuxpaint/stamps"
    if not folder.is_dir():
        raise _missing(folder, STAMPS)
    tail = "_desc.ogg" if language == "en" else f"_desc_{language}.ogg"
    found = []
    for path in sorted(folder.rglob(f"*{tail}")):
        texts = path.with_name(path.name.removesuffix(tail) + ".txt")
        text = read_captions(texts).get(language) if texts.exists() else None
        if text:
            name = path.relative_to(folder).with_suffix("").as_posix()
            found.append((name, path, text))
    if not found:
        raise ValueError(
            f"language expected one in which stamps of {folder} are spoken, such as "
            f"'fr', got {language!r}."
        )
    return found


def _is_wav(path: Path) -> bool:
    return path.suffix.lower() == ".wav"


def _wav(path: Path) -> tuple[np.ndarray, int]:
    """(t, channels) and the rate of a WAV file."""
    try:
        with wav.open(str(path)) as opened:
            bits, rate = 8 * opened.getsampwidth(), opened.getframerate()
            channels, data = opened.getnchannels(), opened.readframes(2**31 - 1)
    except (wav.Error, EOFError) as error:
        raise ValueError(f"{path} expected a whole WAV file, got: {error}.") from error
    if bits != 16:
        raise ValueError(f"{path} expected integers of 16 bits, got {bits} bits.")
    sound = np.frombuffer(data[: len(data) // (2 * channels) * 2 * channels], "<i2")
    return (sound.reshape(-1, channels) / 32768).astype(np.float32), rate


def _other(path: Path) -> tuple[np.ndarray, int]:
    """(t, channels) and the rate of any file that libsndfile reads."""
    soundfile = _soundfile()
    try:
        return soundfile.read(str(path), dtype="float32", always_2d=True)
    except RuntimeError as error:
        raise ValueError(f"{path} expected a sound, got: {error}") from error


def _seconds(path: Path) -> float:
    """How long a file lasts; of a WAV file only the beginning is read."""
    if _is_wav(path):
        try:
            with wav.open(str(path)) as opened:
                return opened.getnframes() / opened.getframerate()
        except (wav.Error, EOFError) as error:
            raise ValueError(
                f"{path} expected a whole WAV file, got: {error}."
            ) from error
    soundfile = _soundfile()
    try:
        return soundfile.info(str(path)).duration
    except RuntimeError as error:
        raise ValueError(f"{path} expected a sound, got: {error}") from error


def _soundfile():
    try:
        import soundfile
    except (ModuleNotFoundError, OSError) as error:  # OSError: without libsndfile
        raise ModuleNotFoundError(
            "expected the package soundfile, which reads what is no WAV file, got "
            "none: pip install soundfile."
        ) from error
    return soundfile


def _missing(path: Path, package: str) -> FileNotFoundError:
    return FileNotFoundError(
        f"expected {path}, got nothing there: install the Debian package {package}, or "
        "give root=."
    )
