"""Clips that begin with a known word: cuts, labels, who is learned from and asked."""

import pytest
import torch

from mmdl_lib.core import generator
from mmdl_lib.data import sounds
from mmdl_lib.lab import speech
from mmdl_lib.lab import three_senses as senses
from mmdl_lib.lab.speech import FRAMES, HOP, RATE, Speech, begun
from mmdl_lib.models.data2vec import Data2Vec


def clips(n=60, t=48_000):
    """Noise; every thing is said in each of three voices."""
    row = torch.arange(n)
    wave = torch.randn(n, t, generator=generator(0))
    return Speech(wave, torch.full((n,), t), row % 4 - 1, row % 3, row // 3)


def test_a_clip_begins_with_its_first_sound_and_all_are_equally_loud():
    wave = torch.zeros(2, 5 * RATE // 10)
    tone = torch.sin(torch.arange(3200) * 0.3)
    wave[0, 5 * HOP : 5 * HOP + 3200] = 0.01 * tone
    wave[1, :3200] = tone
    wave[:, -1] = 1e-5  # hum behind the sound is none of it
    cut, length = begun(wave, torch.tensor([5 * HOP + 3200, 3200]))
    assert length.tolist() == [3200, 3200] and cut.shape == wave.shape
    assert torch.allclose(cut[0, :3200], cut[1, :3200], atol=1e-4)
    assert cut[0, :3200].std().item() == pytest.approx(speech.LOUD, abs=1e-3)
    assert (cut[:, 3200:] == 0).all()


@pytest.mark.parametrize("text", ["Un chat.", "¡Un gato!", "UN"])
def test_first_words_are_read_without_marks(text):
    assert speech.first_word(text, ("une", "un", "la")) == 1


def test_other_first_words_are_none_that_is_asked():
    assert speech.first_word("Unes flors.", ("un", "una", "la")) == -1


def test_no_thing_is_both_learned_from_and_asked():
    learned, known, asked = speech.split(clips(300), 3, even=False)
    assert not set(learned.thing.tolist()) & set(asked.thing.tolist())
    assert set(known.thing.tolist()) <= set(learned.thing.tolist())
    assert len(known.word) == (learned.word >= 0).sum() < len(learned.word)
    assert min(known.word.min(), asked.word.min()) == 0
    assert 0.55 < len(learned.word) / 300 < 0.85
    other = speech.split(clips(300), 4, even=False)[0]
    assert not torch.equal(other.thing.unique(), learned.thing.unique())


def test_each_word_is_kept_equally_often_in_each_voice():
    _, known, asked = speech.split(clips(300), 3, even=True)
    for part in (known, asked):
        _, count = (3 * part.word + part.voice).unique(return_counts=True)
        assert len(count) == 9 and len(count.unique()) == 1


def test_a_second_is_from_inside_a_clip_and_a_short_one_starts_at_its_start():
    wave = torch.arange(48_000.0).expand(50, -1)
    length = torch.tensor([9_000] * 25 + [40_000] * 25)
    none = torch.zeros(50, dtype=torch.long)
    some = Speech(wave, length, none, none, none)
    found = speech.seconds(some, torch.arange(50), random=generator(1))
    assert found.shape == (50, RATE) and (found[:25, 0] == 0).all()
    assert (found[:, -1] - found[:, 0] == RATE - 1).all()
    assert found[25:, 0].unique().numel() > 20 and found.max() < 40_000


def test_what_is_asked_about_is_the_first_moments():
    some = clips(6)
    later = some.wave.clone()
    later[:, (FRAMES + 1) * HOP :] = 0
    changed = some._replace(wave=later)
    for order, width in ((False, 1), (True, FRAMES)):
        x, y = (speech.bands(c, order=order) for c in (some, changed))
        assert torch.equal(x, y) and x.shape == (6, width * senses.BANDS)
    frames = speech.bands(some, order=True).view(6, FRAMES, -1)
    assert torch.allclose(frames.mean(1), speech.bands(some, order=False), atol=1e-5)


def test_the_net_hears_a_second_and_answers_for_its_first_moments():
    torch.manual_seed(0)
    model, some = Data2Vec(senses.CONFIGS["sounds"]), clips(3)
    found = speech.heard(model, some)
    whole = model.hear({"sound": some.wave[:, :RATE]})
    assert torch.allclose(found, whole[:, :FRAMES].mean(1), atol=1e-5)
    assert found.shape == (3, 48)


def test_captions_of_four_languages_come_with_word_language_and_stamp(monkeypatch):
    def load(source, *, language, rate, seconds, root):
        assert source == "stamps" and rate == RATE and root == "here"
        names = tuple(f"animals/{n}_desc_{language}" for n in ("owl", "cow"))
        words = speech.BEGIN[language]
        text = f"{words[1].title()} x.", "Zzz."
        wave = torch.randn(2, RATE, generator=generator(0))
        long = torch.tensor([RATE, RATE])
        return sounds.Sounds(wave, long, rate, source, names, text)

    monkeypatch.setattr(sounds, "load", load)
    found = speech.load.__wrapped__("stamps", root="here")
    assert found.word.tolist() == 4 * [1, -1]
    assert found.voice.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert found.thing.tolist() == 4 * [1, 0]


def test_made_words_come_with_word_and_voice():
    found = speech.load("made", n=9)
    said = sounds.load("made", n=9)
    assert found.word.tolist() == said.labels["word"].tolist()
    assert found.voice.tolist() == said.labels["speaker"].tolist()
    assert found.thing.tolist() == list(range(9))


def test_a_missing_package_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="package tuxpaint-stamps-default, or"):
        speech.load("stamps", root=tmp_path)


def test_another_source_is_refused():
    with pytest.raises(ValueError, match="source expected .* got 'asterisk'"):
        speech.load("asterisk")
