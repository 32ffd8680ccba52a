import pytest
import torch

from mmdl_lib.core import generator
from mmdl_lib.data.shapes import to_float
from mmdl_lib.lab import drawn_emoji as de
from mmdl_lib.record import results
from tests.lab.making import recipe


def noise(n, seed=0):
    return torch.rand(n, 3, 8, 8, generator=generator(seed)) * 2 - 1


def flat(color, n=1):
    """Pictures of one color, given from -1 to 1."""
    return torch.tensor(color).reshape(1, 3, 1, 1).expand(n, 3, 32, 32)


def test_differences_are_those_of_pixels_from_0_to_255():
    one, two = flat([-1.0, -1.0, -1.0]), flat([1.0, -1.0, -1.0])
    far = de.apart(torch.cat([one, two]), torch.cat([one, two, two]))
    # a third of the numbers differs by 255
    away = 255 / 3**0.5
    expected = torch.tensor([[0, away, away], [away, 0, 0]])
    assert torch.allclose(far, expected, atol=1e-3)


def test_own_pictures_are_nearest_and_other_ones_are_not():
    real, group = noise(12), [str(i) for i in range(12)]
    assert de.nearer(real + 0.01, real, group) == 1
    assert de.nearer(noise(12, seed=1), real, group) == pytest.approx(0.5, abs=0.2)
    # a picture that is the same for all names is exactly at one half
    same = noise(1, seed=2).expand(12, -1, -1, -1)
    assert de.nearer(same, real, group) == pytest.approx(0.5)
    # and so are real pictures that cannot be told apart
    assert de.nearer(real, same, group) == pytest.approx(0.5)


def test_pictures_of_the_same_group_are_not_counted_as_others():
    real = torch.stack([torch.full((3, 2, 2), v) for v in (-1.0, -0.6, 1.0)])
    drawn = real[[1, 0, 2]]  # the first two are taken for each other
    assert de.nearer(drawn, real, ["a", "a", "b"]) == 1
    assert de.nearer(drawn, real, ["a", "c", "b"]) == pytest.approx(2 / 3)


def test_a_color_is_known_however_weak_and_gray_is_none():
    red = torch.nn.functional.normalize(torch.tensor([[2.0, -1.0, -1.0]]), dim=1)
    palette = torch.cat([red, -red])
    drawn = [[1.0, -1.0, -1.0], [0.1, -0.2, -0.2], [-1.0, 1.0, 1.0], [0.5, 0.5, 0.5]]
    found = de.hues(torch.cat([flat(color) for color in drawn]), palette)
    assert found.tolist() == [0, 0, 1, -1]


def test_a_strong_color_counts_more_than_a_weak_one():
    red, blue = de.palette()[[0, 4]][..., None, None]
    # three quarters of a weak red have more red in all than a quarter has blue
    image = (0.4 * red).expand(3, 32, 32).clone()
    image[..., :8] = blue
    assert de.COLORS[de.hues(image[None], de.palette()).item()] == "blue"


def test_real_squares_and_held_out_hearts_have_the_color_of_their_name():
    assert de.baseline()["colors"] == {"square": 1.0, "heart": 1.0}


def test_training_shows_painted_things_in_six_colors_and_plain_ones_in_none():
    seen = set(de.names(de.world("train")))
    pairs = {t: {f"{c} {t}" for c in de.COLORS} for t in (*de.PAINTED, *de.PLAIN)}
    assert all(pairs[thing] <= seen for thing in de.PAINTED)
    assert not any(pairs[thing] & seen for thing in de.PLAIN)
    # but each of the words is known
    assert all(de.heard(f"red {thing}") == f"red {thing}" for thing in de.PLAIN)


def test_a_draw_of_the_asked_color_is_told_from_one_that_does_not_listen():
    def listens(texts):
        rows = [de.COLORS.index(text.split()[0]) for text in texts]
        return de.palette()[rows][..., None, None].expand(-1, 3, 4, 4)

    def deaf(texts):
        return listens(["blue thing"] * len(texts))

    assert de.painted(listens, ("car",)) == {"asked": 1.0, "next": 0.0}
    assert de.painted(deaf, ("car", "bird"))["asked"] == pytest.approx(1 / 6)


def test_asked_names_are_what_their_kind_says():
    found = {kind: de.asked(kind) for kind in ("known", "new", "unheard")}
    seen, unseen = (set(de.names(de.world(s))) for s in ("train", "test"))
    assert set(found["known"].name) <= seen
    assert set(found["new"].name) | set(found["unheard"].name) <= unseen
    assert not set(found["new"].group) & set(de.world("train").group)
    assert de.heard("Red banana") == "red" and de.heard("banana") == ""
    assert all(map(de.heard, found["new"].name)) and found["unheard"].name
    assert not any(map(de.heard, found["unheard"].name))
    assert all(de.readable(name) for one in found.values() for name in one.name)
    assert len(found["known"].name) == len(found["new"].name) == de.ASKED
    again = de.asked("new")
    assert again.name == found["new"].name and again.image.equal(found["new"].image)
    with pytest.raises(ValueError, match="kind expected"):
        de.asked("old")


def test_the_frozen_reader_reads_word_by_word_and_skips_what_it_does_not_know():
    words, mask = de.read(["red apple", "apple", "red snowman"])
    assert mask.tolist() == [[True, True], [True, False], [True, False]]
    assert words[0, 1].equal(words[1, 0]) and words[0, 0].equal(words[2, 0])
    assert not words[1, 1].any()
    with pytest.raises(ValueError, match="a word that GloVe knows, got 'snowman'"):
        de.read(["red apple", "snowman"])


def test_training_pictures_are_alike_to_training_pictures():
    known = to_float(de.asked("known").image)
    assert de.near(known) == {"distance": 0.0, "alike": 1.0}
    assert de.baseline()["held out"]["alike"] == 0
    assert de.near(known + 0.1)["distance"] == pytest.approx(12.75, abs=0.1)


def test_the_nearest_training_picture_is_found_with_its_name_and_distance():
    data, row = de.world("train"), de.names(de.world("train")).index("red apple")
    image = to_float(data.image[[row, 3]])
    found = de.nearest(image)
    assert found.image.equal(data.image[[row, 3]])
    assert found.name == ["red apple", de.names(data)[3]]
    assert found.distance.tolist() == pytest.approx([0, 0], abs=1e-4)
    assert de.nearest(image + 0.1).distance.tolist() == pytest.approx([12.75] * 2, 1e-3)
    # nothing held out is ever found
    heart = de.world("test").image[[de.names(de.world("test")).index("red heart")]]
    assert de.nearest(to_float(heart)).name[0] in de.names(data)


def test_draws_stand_beside_the_nearest_picture_of_training():
    image, labels = de.beside("glide", ("yellow square", "owl"))
    assert len(image) == len(labels) == 4 and labels[::2] == ["yellow square", "owl"]
    rows = [de.PROMPTS.index(one) for one in ("yellow square", "owl")]
    drawn = de.shown("glide")[rows]
    found = de.nearest(to_float(drawn))
    assert image[::2].equal(drawn) and image[1::2].equal(found.image)
    far = [f"{value:.0f} away" for value in found.distance]
    assert labels[1::2] == [", ".join(x) for x in zip(found.name, far, strict=True)]


def test_a_copyist_is_measured_as_one():
    pictures = dict(zip(de.asked("known").name, de.asked("known").image, strict=True))
    plain = dict(zip(de.names(de.world("all")), de.world("all").image, strict=True))

    def copies(texts):
        return to_float(torch.stack([(pictures | plain)[text] for text in texts]))

    image = copies(de.asked("known").name)
    own = de.nearer(image, image, de.asked("known").group)
    assert own == 1 and de.near(image)["alike"] == 1
    assert de.painted(copies, de.PAINTED) == {"asked": 1.0, "next": 0.0}


def test_pictures_come_back_as_they_were_saved(tmp_path, monkeypatch):
    monkeypatch.setattr(de, "FOLDER", tmp_path / "made")
    image = torch.randint(256, (5, 3, 32, 32), generator=generator(0)).to(torch.uint8)
    de.save("glide", image)
    assert de.shown("glide").equal(image)
    de.save("glide", to_float(image))
    assert de.shown("glide").equal(image)
    with pytest.raises(ValueError, match="kind expected"):
        de.save("vae", image)
    with pytest.raises(ValueError, match="missing or damaged file: run"):
        de.shown("imagen")
    with pytest.raises(ValueError, match="recipes/emoji_gan_dalle.py"):
        de.shown("dalle")
    (tmp_path / "made" / de.FILES["imagen"]).write_bytes(b"no picture")
    with pytest.raises(ValueError, match="missing or damaged file: run"):
        de.shown("imagen")


def test_prompts_are_of_the_group_under_which_the_pages_show_them():
    seen, unseen = (set(de.names(de.world(s))) for s in ("train", "test"))
    assert set(de.SHOWN["in training"]) <= seen
    assert set(de.SHOWN["held out"]) <= unseen
    assert not set(de.SHOWN["no such emoji"]) & (seen | unseen)
    assert all(de.heard(prompt) and de.readable(prompt) for prompt in de.PROMPTS)


@pytest.mark.parametrize("kind", de.FILES)
def test_the_book_has_a_picture_for_each_prompt(kind):
    image = de.shown(kind)
    assert image.shape == (len(de.PROMPTS), 3, 32, 32)
    assert (de.FOLDER / de.FILES[kind]).stat().st_size < 60_000
    assert kind != "real" or image.equal(de.real())


@pytest.mark.parametrize("name", sorted({*de.FILES} - {"real"}))
def test_a_model_of_the_recipe_runs_and_leaves_the_shown_pictures(name, monkeypatch):
    monkeypatch.setenv("MMDL_SMOKE", "1")
    before = (de.FOLDER / de.FILES[name]).read_bytes()
    made = recipe(de.RECIPES[name])
    what = f"{name}:0" if name in made.LAB.groups else name  # one seed is enough
    assert made.LAB.run([what], debug=True) == 0
    found = results(de.RECIPES[name])[name]
    found = found.get("0", found)  # of a model with several seeds
    assert set(found) >= {"known", "new", "painted", "plain", "params", "minutes"}
    assert (de.FOLDER / de.FILES[name]).read_bytes() == before


def test_parti_draws_with_guidance_and_a_deaf_draw_follows_no_name(monkeypatch):
    monkeypatch.setenv("MMDL_SMOKE", "1")
    made, seen = recipe("emoji_parti"), []

    def sample(self, tokens, mask, *, scale, generator):
        seen.append(scale)
        return torch.zeros(len(tokens), self.config.grid**2, dtype=torch.long)

    monkeypatch.setattr(made, "STEPS", 1)
    monkeypatch.setattr(made.Parti, "sample", sample)
    found = made.once(100)
    assert {*seen} == {1.5}
    # a draw that is the same for all names follows none
    assert found["known"]["own"] == found["known"]["other"]


@pytest.mark.parametrize("slug", sorted({*de.RECIPES.values()}))
def test_all_that_the_recipe_measures_is_stored(slug, monkeypatch):
    monkeypatch.delenv("MMDL_RESULTS")
    made, whole = recipe(slug).LAB, results(slug)
    names = {*made.once, *made.groups}
    assert set(whole) == names | {"stamps"}
    assert names == {kind for kind in de.FILES if de.RECIPES[kind] == slug}
    assert all("0" in whole[name] for name in made.groups)


def test_tables_and_pairs_show_what_was_measured(monkeypatch):
    monkeypatch.delenv("MMDL_RESULTS")
    found = results("real_pictures")["imagen"]
    rows = de.table(found)
    assert [row["draws"] for row in rows[:2]] == [de.ASKED, de.ASKED]
    assert len(rows) == 5 and rows[2]["own emoji nearer"] == round(
        found["unheard"]["own"], 2
    )
    assert rows[3]["asked color"] == round(found["painted"]["asked"], 2)
    assert [row["draws"] for row in rows[3:]] == [48, 96]
    twice = de.table(found, {k: found["known"] | found["plain"] for k in found})
    own = twice[1]["own emoji nearer"]
    assert own == f"{found['new']['own']:.2f}, {found['known']['own']:.2f}"
    assert twice[4]["next color"].endswith(f", {found['plain']['next']:.2f}")
    assert [row["draws"] for row in twice] == [row["draws"] for row in rows]
    both = de.pairs("imagen")
    assert both[..., :32].equal(de.shown("real"))
    assert both[..., 32:].equal(de.shown("imagen"))
