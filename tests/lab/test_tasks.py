"""The tasks that CLIP is compared with, and changes of its own."""

import torch

from mmdl_lib.core import generator
from mmdl_lib.lab.tasks import BagOfWords, Contrastive, Grouped, HardNegatives
from mmdl_lib.models.clip import CLIP

CONFIG = CLIP.PRESETS["tiny"]


def made(kind, n=32):
    torch.manual_seed(0)
    model = kind(CONFIG).eval()
    return model, CLIP.example_batch(CONFIG, n, generator=generator(1))


def test_the_bag_asks_for_the_last_two_words_whatever_stands_before_them():
    model, batch = made(BagOfWords, 3)
    tokens = torch.tensor([[1, 7, 9, 2, 0, 0], [1, 5, 7, 9, 2, 0], [1, 5, 6, 7, 9, 2]])
    mask = tokens > 0
    table = model.scores(batch["image"], tokens, mask)
    words = model.words(model.vision(batch["image"])).log_softmax(-1)
    expected = (words[:, 7] + words[:, 9])[:, None].expand(3, 3)
    assert torch.allclose(table, expected)


def test_pairs_of_another_group_are_no_rivals():
    model, batch = made(Grouped)
    loss = model.loss(batch)["loss"]
    first, second = ({k: v[part] for k, v in batch.items()}
                     for part in (slice(16), slice(16, 32)))  # fmt: skip
    plain = Contrastive(CONFIG).eval()
    plain.load_state_dict(model.state_dict())
    each = [plain.loss(half)["loss"] for half in (first, second)]
    assert torch.allclose(loss, torch.stack(each).mean(), atol=1e-5)
    assert plain.loss(batch)["loss"] > loss + 0.1


def test_a_foil_competes_for_pictures_and_for_nothing_else():
    model, batch = made(HardNegatives, 4)
    other = CLIP.example_batch(CONFIG, 4, generator=generator(9))
    foils = {"foil": other["tokens"], "foil_mask": other["mask"]}
    loss = model.loss(batch | foils)["loss"]
    image = model.encode_image(batch["image"])
    text = model.encode_text(batch["tokens"], batch["mask"])
    false = model.encode_text(other["tokens"], other["mask"])
    rows = model.logit_scale * image @ torch.cat([text, false]).T
    columns = model.logit_scale * text @ image.T
    chosen = [rows.log_softmax(1).diag(), columns.log_softmax(1).diag()]
    assert torch.allclose(loss, -(chosen[0] + chosen[1]).mean() / 2, atol=1e-5)
