"""What recipes of pictures with captions share."""

import torch
from torch import nn

from mmdl_lib.data import shapes
from mmdl_lib.data.text import WordTokenizer
from mmdl_lib.lab.captioned import captioned, foil_accuracy, retrieval
from mmdl_lib.lab.tasks import BagOfWords, Captioner
from mmdl_lib.models.clip import CLIP


def test_each_picture_keeps_its_own_caption():
    image = torch.arange(20, dtype=torch.uint8).view(20, 1, 1, 1).expand(20, 3, 2, 2)
    texts = [
        (torch.arange(20)[:, None] + 100 * k, torch.ones(20, 1, dtype=torch.bool))
        for k in range(3)
    ]
    batches = captioned(8, 0, image=image.contiguous(), texts=texts)
    columns = set()
    for step in range(12):
        batch = batches(step)
        number = ((batch["image"][:, 0, 0, 0] + 1) * 127.5).round().long()
        assert torch.equal(batch["tokens"][:, 0] % 100, number)
        assert "row" not in batch
        columns |= set((batch["tokens"][:, 0] // 100).tolist())
    assert columns == {0, 1, 2}


class Reader(nn.Module):
    """Knows pictures by their first row of pixels, and texts by being told."""

    def __init__(self, scenes, right):
        super().__init__()
        self.right, self.asked = right, 0

    def encode_image(self, image):
        return torch.ones(len(image), 1)

    def encode_text(self, tokens, mask):
        self.asked += 1
        true = self.asked == 1
        return torch.where(self.right[: len(tokens)] == true, 0.25, -0.25)[:, None]


def test_the_share_of_foils_that_lie_farther_is_counted():
    scenes = shapes.sample(60, seed=0, objects=2)
    words = sorted({*shapes.caption_words(), *shapes.foil_words()})
    tokenizer = WordTokenizer(words, length=32)
    _, count = foil_accuracy(Reader(scenes, torch.ones(60)), tokenizer, scenes, "noun")
    assert count > 40
    right = torch.arange(60) % 4 != 0
    model = Reader(scenes, right)
    share, _ = foil_accuracy(model, tokenizer, scenes, "noun")
    assert share == right[:count].double().mean().item()


def test_retrieval_asks_for_the_diagonal():
    table = torch.eye(12)
    table[0, 1:] = 2.0  # the first is last of twelve
    assert retrieval(table) == {"R@1": 11 / 12, "R@5": 11 / 12, "R@10": 11 / 12,
                                "median_rank": 1}  # fmt: skip


def tiny():
    config = CLIP.PRESETS["tiny"]
    return config, CLIP.example_batch(
        config, 4, generator=torch.Generator().manual_seed(0)
    )


def test_padding_says_nothing_to_the_captioner():
    config, batch = tiny()
    torch.manual_seed(0)
    model = Captioner(config).eval()
    features = torch.randn(4, config.embed)
    tokens, mask = batch["tokens"], batch["mask"]
    other = torch.where(mask, tokens, (tokens + 1) % config.vocab)
    one, two = (model.log_likelihood(features, t, mask) for t in (tokens, other))
    assert torch.allclose(one, two, atol=1e-5)


def test_padding_start_and_end_are_no_words_of_the_bag():
    config, batch = tiny()
    torch.manual_seed(0)
    model = BagOfWords(config).eval()
    batch["tokens"] = batch["tokens"].clamp(min=3)
    plain = model.loss(batch)["loss"]
    for special in (0, 1, 2):
        with_it = torch.cat([batch["tokens"], torch.full((4, 1), special)], 1)
        assert torch.equal(model.loss(batch | {"tokens": with_it})["loss"], plain)
