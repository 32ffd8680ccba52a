"""Things: the committed file is what it says, and rows belong together."""

import hashlib

import torch

from mmdl_lib.data import things, words

SUM = "7ad4fa63eae23a0fb9ca478b6840a12421ce4c67b16b97ddded2848ecb011416"


def test_the_file_holds_what_was_counted_and_summed():
    found = things.load()
    assert len(found) == 321 == len(set(found.words))
    assert found.text.shape == found.picture.shape == (321, 50)
    assert found.topics == ["animal", "artifact", "food or plant", "person"]
    assert found.topic[found.filed].bincount().tolist() == [55, 103, 37, 37]
    assert found.topic[~found.filed].max() == 0
    content = "\n".join(found.words).encode()
    for value in (found.picture, found.color, found.topic):
        content += value.numpy().tobytes()
    assert hashlib.sha256(content).hexdigest() == SUM
    assert things.FILE.stat().st_size < 50_000


def test_words_pictures_colors_and_topics_stand_in_one_order():
    found = things.load()
    row = {word: i for i, word in enumerate(found.words)}
    animal, food = (found.topics.index(t) for t in ("animal", "food or plant"))
    assert found.topic[row["cat"]] == animal and found.topic[row["lemon"]] == food
    assert torch.equal(found.text[row["cat"]], words.glove().unit()["cat"])
    lemon, leaf = found.color[row["lemon"]], found.color[row["herb"]]
    assert lemon[2] > 30 > lemon[1] and leaf[1] < -5  # yellow; green
    # pictures of animals are more alike than pictures of animals and artifacts
    unit = torch.nn.functional.normalize(found.picture - found.picture.mean(0), dim=1)
    beasts = unit[found.filed & (found.topic == animal)]
    tools = unit[found.filed & (found.topic == found.topics.index("artifact"))]
    same = (beasts @ beasts.T).sum() - len(beasts)
    same = same / len(beasts) / (len(beasts) - 1)
    assert same > (beasts @ tools.T).mean() + 0.2
