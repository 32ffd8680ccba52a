"""Which word a clip begins with: real spoken captions, or words of a made language.

Captions of Tux Paint's stamps were read aloud by volunteers, in Catalan, Spanish,
French and Romanian among others. Most begin with one of three words: an article for a
masculine noun, one for a feminine noun, or what the names of letters begin with. So it
is known what is said first, and by cutting off the silence before it, also when. Few
people read the captions of a language: who tells the language may tell the voice, the
room or the microphone.

Words of the made language go through the same door and the same cuts; there the word
and the voice are known for sure.
"""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from mmdl_lib.borders import check_choice
from mmdl_lib.core import generator
from mmdl_lib.data import sounds
from mmdl_lib.lab.three_senses import BANDS
from mmdl_lib.models.data2vec import Data2Vec
from mmdl_lib.nn.mel import log_mel

RATE, LONGEST, MADE = 16_000, 3, 3_000  # samples of a second, seconds, made clips
FRAMES, HOP = 20, 320  # 0.4 s from the first sound on: what is asked about
LOUD = 0.1  # deviation of all samples of a clip
BEGIN = {
    "ca": ("un", "una", "la"),
    "es": ("un", "una", "la"),
    "fr": ("un", "une", "la"),
    "ro": ("un", "o", "litera"),
}
KNOWN = 0.7  # share of what is said that is learned from


class Speech(NamedTuple):
    """Clips from their first sound on, equally loud.

    Attributes:
        wave: (n, t), zeros after the sound.
        length: (n,) samples.
        word: (n,) what is said first; -1 for none of the words that are asked.
        voice: (n,) the language of a caption, the voice of a made word.
        thing: (n,) a number of what it is said of: the same stamp, the same number.
    """

    wave: Float[Tensor, "n t"]
    length: Int[Tensor, " n"]
    word: Int[Tensor, " n"]
    voice: Int[Tensor, " n"]
    thing: Int[Tensor, " n"]

    def take(self, rows: Tensor) -> "Speech":
        """Some of the clips."""
        return Speech(*(part[rows] for part in self))


@cache
def load(source: str, *, n: int = MADE, root: str | Path = sounds.ROOT) -> Speech:
    """All clips of a source.

    Args:
        source: "stamps", or "made".
        n: how many, if they are made.
        root: of the stamps: the folder that has `share`.

    Raises:
        ValueError: another source.
        FileNotFoundError: the package is missing; the sentence names it.
    """
    check_choice("source", source, ("made", "stamps"))
    if source == "made":
        found = sounds.load("made", n=n, rate=RATE)
        labels = found.labels["word"].long(), found.labels["speaker"].long()
        return Speech(*begun(found.wave, found.length), *labels, torch.arange(n))
    parts = [
        sounds.load("stamps", language=name, rate=RATE, seconds=LONGEST, root=root)
        for name in BEGIN
    ]
    names = [name.rsplit("_desc", 1)[0] for part in parts for name in part.name]
    number = {name: i for i, name in enumerate(sorted(set(names)))}
    word = [
        first_word(text, words)
        for part, words in zip(parts, BEGIN.values(), strict=True)
        for text in part.text
    ]
    voice = [i for i, part in enumerate(parts) for _ in part.text]
    wave, length = (
        torch.cat([getattr(p, k) for p in parts]) for k in ("wave", "length")
    )
    labels = (word, voice, [number[name] for name in names])
    return Speech(*begun(wave, length), *(torch.tensor(label) for label in labels))


def first_word(text: str, words: tuple[str, ...]) -> int:
    """The place of a text's first word among those that are asked, or -1.

    Example:
        >>> first_word("Une chouette.", ("un", "une", "la"))
        1
    """
    first = text.split()[0].lower().strip("¡.,!?")
    return words.index(first) if first in words else -1


def begun(
    wave: Float[Tensor, "n t"], length: Int[Tensor, " n"]
) -> tuple[Float[Tensor, "n t"], Int[Tensor, " n"]]:
    """From the first 20 ms on that are a tenth as loud as the loudest; equally loud."""
    strength = wave.unfold(1, HOP, HOP).square().mean(2).sqrt()
    start = HOP * (strength > strength.amax(1, keepdim=True) / 10).int().argmax(1)
    rows = []
    for row, low, high in zip(wave, start.tolist(), length.tolist(), strict=True):
        said = row[low:high]
        said = LOUD * (said - said.mean()) / said.std().clamp(min=1e-6)
        rows.append(F.pad(said, (0, wave.shape[1] - len(said))))
    return torch.stack(rows), length - start


def split(speech: Speech, seed: int, *, even: bool) -> tuple[Speech, Speech, Speech]:
    """Clips to learn from, those of them with labels for a probe, and others to ask.

    What is said of one thing is all learned from or all asked, in whatever language.

    Args:
        speech: all clips.
        seed: of the choice of things, and of the order.
        even: of labeled clips, each word is kept equally often in each voice.
    """
    random = generator(seed)
    things = int(speech.thing.max()) + 1
    learned = torch.rand(things, generator=random) < KNOWN
    order = torch.randperm(len(speech.word), generator=random)
    speech, inside = speech.take(order), learned[speech.thing[order]]
    parts = [speech.take(inside)]
    for which in (inside, ~inside):
        labeled = speech.take(which & (speech.word >= 0))
        parts.append(balanced(labeled) if even else labeled)
    return tuple(parts)


def balanced(speech: Speech) -> Speech:
    """The first clips of each word and voice, as many as the rarest pair has."""
    pair = speech.word * (int(speech.voice.max()) + 1) + speech.voice
    kinds, count = pair.unique(return_counts=True)
    rows = [(pair == kind).nonzero()[: int(count.min()), 0] for kind in kinds]
    return speech.take(torch.cat(rows))


def seconds(speech: Speech, rows: Tensor, *, random) -> Float[Tensor, "b t"]:
    """One second of each row, from anywhere in it; shorter ones have zeros behind."""
    spare = (speech.length[rows] - RATE).clamp(min=0)
    start = (torch.rand(len(rows), generator=random) * (spare + 1)).long()
    place = start[:, None] + torch.arange(RATE)
    return speech.wave[rows].gather(1, place.clamp(max=speech.wave.shape[1] - 1))


@torch.no_grad()
def heard(model: Data2Vec, speech: Speech) -> Float[Tensor, "n d"]:
    """The mean over the first 0.4 s of what the student says, which hears a second."""
    model.eval()
    parts = speech.wave[:, :RATE].split(250)
    return torch.cat(
        [model.hear({"sound": part})[:, :FRAMES].mean(1) for part in parts]
    )


def bands(speech: Speech, *, order: bool) -> Float[Tensor, "n d"]:
    """Log-mel frames of the same 0.4 s: their mean, or all of them in order."""
    found = log_mel(speech.wave[:, :RATE], RATE, bands=BANDS)[:, :FRAMES]
    return found.flatten(1) if order else found.mean(1)
