"""Sounds: three sources through one door, files of other kinds, missing packages."""

import gzip
import importlib.util
import sys
import wave as wav

import numpy as np
import pytest
import torch

from mmdl_lib.data import sounds, voices
from mmdl_lib.data.sounds import load, read, resample

NO_PROMPTS = (
    "the Debian packages asterisk-core-sounds-en and asterisk-core-sounds-en-wav are "
    "not there: sudo apt-get install them."
)
NO_STAMPS = (
    "the Debian package tuxpaint-stamps-default or the package soundfile is not there."
)
NO_OGG = "soundfile is not there: pip install soundfile."
has_ogg = importlib.util.find_spec("soundfile") is not None
prompts = pytest.mark.skipif(
    not (sounds.ROOT / "share/asterisk/sounds/en_US_f_Allison/digits/5.wav").exists(),
    reason=NO_PROMPTS,
)
stamps = pytest.mark.skipif(
    not has_ogg or not (sounds.ROOT / "share/tuxpaint/stamps/animals").exists(),
    reason=NO_STAMPS,
)
ogg = pytest.mark.skipif(not has_ogg, reason=NO_OGG)


def tone(hertz, rate, seconds=0.5):
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)


def put_wav(path, sound, rate, width=2):
    """Write samples in [-1, 1], (t,) or (t, channels)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wav.open(str(path), "wb") as file:
        file.setnchannels(1 if sound.ndim == 1 else sound.shape[1])
        file.setsampwidth(width), file.setframerate(rate)
        kind = {1: np.uint8, 2: "<i2", 4: "<i4"}[width]
        file.writeframes((sound * 32767).astype(kind).tobytes())


def peak(wave, rate):
    """The strongest frequency, in hertz."""
    power = torch.fft.rfft(wave * torch.hann_window(len(wave))).abs()
    return power.argmax().item() * rate / len(wave)


@pytest.fixture
def root(tmp_path):
    """A folder as the two packages of prompts lay it out, with three prompts."""
    folder = tmp_path / "share/asterisk/sounds/en_US_f_Allison"
    put_wav(folder / "digits/5.wav", tone(500, 8_000, 0.6), 8_000)
    put_wav(folder / "goodbye.wav", tone(700, 8_000, 0.9), 8_000)
    put_wav(folder / "long.wav", tone(900, 8_000, 1.7), 8_000)
    put_wav(folder / "beep.wav", tone(900, 8_000, 0.2), 8_000)
    lines = [
        "; remarks: none",
        "",
        "digits/5: five",
        "goodbye: Goodbye: bye.",
        "long: L",
    ]
    lines += ["beep: [a short tone]", "absent: nothing has this name", "empty:  "]
    texts = tmp_path / "share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz"
    texts.parent.mkdir(parents=True)
    texts.write_bytes(gzip.compress("\n".join(lines).encode()))
    return tmp_path


def test_made_sounds_come_with_all_that_is_known_of_them():
    found = load("made", n=40, seed=2)
    said = voices.speak(40, seed=2)
    assert found.source == "made" and found.rate == 16_000 and len(found) == 40
    assert torch.equal(found.wave, torch.from_numpy(said.wave))
    assert found.text[7] == voices.words()[found.labels["word"][7]]
    for key in ("word", "speaker", "phone"):
        assert found.labels[key].tolist() == getattr(said, key).tolist()
    assert found.labels["pitch"].dtype == torch.float32
    assert set(found.labels) == {"word", "speaker", "pitch", "phone"}
    assert found.length.tolist() == said.length.tolist()


def test_made_sounds_at_another_rate_and_length_keep_their_phones_in_time():
    found, usual = load(n=6, rate=8_000, seconds=1.5), load(n=6)
    assert found.wave.shape == (6, 12_000)
    assert found.labels["phone"].shape == (6, 75)
    assert torch.equal(found.labels["phone"][:, :50], usual.labels["phone"])
    assert not found.labels["phone"][:, 50:].any() and not found.wave[:, 8_000:].any()
    assert (found.length - usual.length / 2).abs().max() <= 0.5
    assert len(load(n=3, speakers=[1])) == 3
    assert load(n=9, speakers=[1]).labels["speaker"].tolist() == [1] * 9


def test_some_are_taken_in_the_order_that_is_asked_for():
    found = load(n=9)
    some = found.take(torch.tensor([4, 0]))
    assert some.name == ("made/4", "made/0") and len(some) == 2
    assert torch.equal(some.wave, found.wave[[4, 0]])
    assert some.labels["phone"].tolist() == found.labels["phone"][[4, 0]].tolist()
    assert some.text == (found.text[4], found.text[0])
    assert some.length.tolist() == found.length[[4, 0]].tolist()


def test_prompts_have_their_texts_and_long_ones_are_left_out(root):
    found = load("asterisk", root=root)
    assert found.name == ("digits/5", "goodbye")  # sorted; the beep is no speech
    assert found.text == ("five", "Goodbye: bye.")
    assert found.wave.shape == (2, 16_000) and found.labels == {}
    assert found.length.tolist() == [9_600, 14_400]
    assert not found.wave[0, 9_600:].any()
    for wave, length, hertz in zip(found.wave, found.length, (500, 700), strict=True):
        assert abs(peak(wave[:length], 16_000) - hertz) < 3
    assert len(load("asterisk", root=root, seconds=2)) == 3


def test_the_seed_chooses_among_real_sounds(root):
    names = {load("asterisk", root=root, n=1, seed=s).name for s in range(8)}
    assert names == {("digits/5",), ("goodbye",)}
    again = load("asterisk", root=root, n=2, seed=3, seconds=2)
    assert again.name == load("asterisk", root=root, n=2, seed=3, seconds=2).name
    with pytest.raises(ValueError, match="expected 3 sounds .* got 2: allow more"):
        load("asterisk", root=root, n=3)


def test_two_channels_become_their_mean(tmp_path):
    both = np.stack([tone(500, 16_000), 0 * tone(500, 16_000)], 1)
    put_wav(tmp_path / "two.wav", both, 16_000)
    put_wav(tmp_path / "one.wav", both[:, 0] / 2, 16_000)
    two, one = (read(tmp_path / f"{name}.wav") for name in ("two", "one"))
    assert two.dtype == torch.float32 and len(two) == 8_000
    torch.testing.assert_close(two, one, atol=1e-4, rtol=0)


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000])
def test_any_rate_becomes_ours_and_tones_stay_what_they_are(tmp_path, rate):
    put_wav(tmp_path / "a.wav", tone(1_234, rate), rate)
    found = read(tmp_path / "a.wav")
    assert abs(len(found) - 8_000) <= 1
    assert abs(peak(found, 16_000) - 1_234) < 3
    assert 0.45 < found[1_000:-1_000].max() < 0.55


def test_what_the_new_rate_cannot_hold_is_taken_out():
    low, high = (torch.from_numpy(tone(f, 16_000)).float() for f in (1_000, 6_000))
    found = resample(low + high, 16_000, 8_000)
    assert abs(peak(found, 8_000) - 1_000) < 3
    # 6,000 Hz would come back as 2,000
    power = torch.fft.rfft(found[200:-200]).abs()
    at = round(2_000 * len(found[200:-200]) / 8_000)
    assert power[at - 3 : at + 4].max() < 0.02 * power.max()
    assert resample(low, 16_000, 16_000) is low
    assert resample(low.view(2, -1), 16_000, 8_000).shape == (2, 2_000)


def test_a_file_is_read_by_its_kind_however_its_name_is_written(tmp_path, as_a_reader):
    put_wav(tmp_path / "A.WAV", tone(500, 8_000), 8_000)
    assert abs(peak(read(tmp_path / "A.WAV"), 16_000) - 500) < 3
    for name in ("none.wav", "none.ogg", ""):
        with pytest.raises(FileNotFoundError, match="a file of sound, got none at"):
            read(tmp_path / name)


def test_what_is_read_stays_within_one_and_resample_cuts_nothing_off(tmp_path):
    edge = np.sign(tone(100, 8_000))
    put_wav(tmp_path / "a.wav", edge, 8_000)
    assert read(tmp_path / "a.wav").abs().max() == 1
    loud = resample(torch.full((800,), 5.0), 16_000, 8_000)
    assert (loud[100:-100] - 5).abs().max() < 0.05


def test_waves_that_are_no_floats_are_refused(as_a_reader):
    for wave, words in (
        (torch.ones(9, dtype=torch.int16), "floats along time, got torch.int16"),
        (torch.tensor(0.5), r"floats along time, got torch.float32 of shape \(\)"),
        (torch.tensor([0.5, float("nan")]), "finite numbers, got 1 NaN"),
        (np.zeros(9), "a tensor, got"),
    ):
        with pytest.raises(ValueError, match=f"wave expected {words}"):
            resample(wave, 16_000, 8_000)


def test_files_of_other_kinds_are_refused_by_name(tmp_path, as_a_reader):
    put_wav(tmp_path / "bits.wav", tone(500, 8_000), 8_000, width=1)
    put_wav(tmp_path / "many.wav", np.zeros((80, 3)), 8_000)
    put_wav(tmp_path / "none.wav", np.zeros(0), 8_000)
    (tmp_path / "text.wav").write_text("no sound at all, but long enough for a head")
    (tmp_path / "short.wav").write_bytes(b"RIFF")
    for name, words in {
        "bits": "integers of 16 bits, got 8 bits",
        "many": "one or two channels, got 80 samples of 3",
        "none": "one or two channels, got 0 samples",
        "text": "a whole WAV file, got: file does not start",
        "short": "a whole WAV file, got",
    }.items():
        with pytest.raises(ValueError, match=f"{name}.wav expected .*{words}"):
            read(tmp_path / f"{name}.wav")


def test_a_missing_package_is_named(tmp_path, root, as_a_reader):
    with pytest.raises(FileNotFoundError, match="asterisk-core-sounds-en-wav, or"):
        load("asterisk", root=tmp_path / "nowhere")
    next(root.rglob("*.gz")).unlink()
    with pytest.raises(FileNotFoundError, match="package asterisk-core-sounds-en, or"):
        load("asterisk", root=root)
    with pytest.raises(FileNotFoundError, match="package tuxpaint-stamps-default, or"):
        load("stamps", root=tmp_path)


def test_missing_python_packages_are_named(root, monkeypatch, as_a_reader):
    monkeypatch.setitem(sys.modules, "soundfile", None)
    (root / "a.ogg").write_bytes(b"OggS")
    with pytest.raises(ModuleNotFoundError, match="pip install soundfile"):
        read(root / "a.ogg")
    monkeypatch.setitem(sys.modules, "scipy.signal", None)
    with pytest.raises(ModuleNotFoundError, match="pip install scipy"):
        load("asterisk", root=root)
    assert len(load("asterisk", root=root, rate=8_000)) == 2  # nothing to change


def test_texts_without_a_prompt_are_refused(root, as_a_reader):
    path = next(root.rglob("*.gz"))
    path.write_bytes(gzip.compress(b"; only a remark: here\nbeep: (a tone)\n"))
    with pytest.raises(ValueError, match="core-sounds-en.txt.gz expected lines such"):
        load("asterisk", root=root)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"source": "speech"}, "source expected one of 'made', 'asterisk', 'stamps'"),
        ({"n": 0}, "n expected a whole number from 1 up"),
        ({"rate": 0}, "rate expected a whole number from 4000"),
        ({"rate": 16_000.0}, "rate expected a whole number"),
        ({"seconds": 0.5}, "seconds expected a number from 1.0"),
        ({"source": "asterisk", "seconds": 0}, "seconds expected a number from 0.02"),
        ({"seed": -1}, "seed expected a whole number from 0"),
        ({"language": "fr"}, "language for the source 'stamps' alone, got 'fr' for"),
        ({"source": "asterisk", "speakers": [1]}, "speakers for the source 'made' al"),
    ],
)
def test_mistakes_are_named(options, words, as_a_reader):
    with pytest.raises(ValueError, match=words):
        load(**options)


@pytest.fixture
def painted(tmp_path):
    """A folder as the package of stamps lays it out, with an owl that is spoken."""
    soundfile = pytest.importorskip("soundfile", reason=NO_OGG)
    folder = tmp_path / "share/tuxpaint/stamps/animals"
    folder.mkdir(parents=True)
    (folder / "owl.txt").write_text("An owl.\nfr.utf8=Une chouette.\n", "utf-8")
    for tail, hertz in (("", 400), ("_fr", 600), ("_es", 800)):
        both = np.stack([tone(hertz, 44_100)] * 2, 1)
        soundfile.write(folder / f"owl_desc{tail}.ogg", both, 44_100)
    soundfile.write(folder / "lost_desc.ogg", tone(400, 44_100), 44_100)
    soundfile.write(folder / "owl.ogg", tone(400, 44_100), 44_100)  # its own cry
    return tmp_path


@ogg
def test_spoken_captions_are_found_by_language(painted, as_a_reader):
    found = load("stamps", root=painted)
    assert (found.name, found.text) == (("animals/owl_desc",), ("An owl.",))
    assert abs(peak(found.wave[0, :8_000], 16_000) - 400) < 3
    french = load("stamps", root=painted, language="fr")
    assert french.text == ("Une chouette.",) and french.source == "stamps"
    assert abs(peak(french.wave[0, :8_000], 16_000) - 600) < 3
    for language in ("es", "zz"):  # Spanish is spoken, but its text is missing
        with pytest.raises(ValueError, match=f"language expected .* got '{language}'"):
            load("stamps", root=painted, language=language)
    with pytest.raises(ValueError, match="expected 1 sounds of at most 0.1 s"):
        load("stamps", root=painted, seconds=0.1)


@ogg
def test_a_damaged_ogg_is_refused_by_name(painted, as_a_reader):
    path = painted / "share/tuxpaint/stamps/animals/owl_desc.ogg"
    path.write_bytes(b"OggS no")
    for call in (lambda: read(path), lambda: load("stamps", root=painted)):
        with pytest.raises(ValueError, match="owl_desc.ogg expected a sound, got"):
            call()


@prompts
def test_the_prompts_of_the_package_are_all_there():
    found = load("asterisk", seconds=80)
    assert len(found) == 551 and len(set(found.name)) == 551
    text = dict(zip(found.name, found.text, strict=True))
    assert text["digits/5"] == "five" and text["letters/z"] == "z"
    assert sum(name.startswith("digits/") for name in text) == 94
    short = load("asterisk")
    assert len(short) == 189 and (short.length > 0.15 * 16_000).all()
    assert short.wave.abs().amax(1).min() > 0.05


@stamps
def test_the_captions_of_the_package_are_all_there():
    found = load("stamps", seconds=2.5)
    assert len(found) == 65 and "A frog." in found.text
    assert found.wave.abs().amax(1).min() > 0.01
    french = load("stamps", language="fr", seconds=2.5, n=30)
    assert len(french) == 30 and french.wave.shape == (30, 40_000)
