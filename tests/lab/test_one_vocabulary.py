"""Both languages in one vocabulary: ids, texts, and what is measured of a model."""

import pytest
import torch

from mmdl_lib import pretrained
from mmdl_lib.data import verses
from mmdl_lib.data.verses import END, START
from mmdl_lib.lab import one_vocabulary as one
from mmdl_lib.lab import translation
from mmdl_lib.models.transformer import KEYS, Transformer, TransformerConfig
from mmdl_lib.record import results


@pytest.fixture(scope="module")
def data():
    return translation.pairs("valid", longest=8).take(range(5))


def make():
    torch.manual_seed(0)
    config = TransformerConfig(
        **{"vocab": one.size(), "width": 16, "depth": 2, "heads": 2},
        **{"dropout": 0.0, "start": START, "end": END},
    )
    return Transformer(config).eval()


def test_no_id_is_shared_but_the_frames(data):
    batch = data.batch(range(5))
    found = one.joined(batch)
    english, spanish = (verses.pieces(name).vocab for name in verses.LANGUAGES)
    assert one.size() == english + spanish - 3
    assert torch.equal(found["tokens"], batch["tokens"])
    words = batch["source"] > END
    assert torch.equal(found["source"][~words], batch["source"][~words])
    assert torch.equal(found["source"][words] - english, batch["source"][words] - 3)
    assert found["source"].max() < one.size()
    assert found["source"][words].min() >= english


def test_texts_come_back_in_both_languages(data):
    batch = one.joined(data.batch(range(5)))
    english = [" ".join(words) for words in data.text.english]
    spanish = [" ".join(words) for words in data.text.spanish]
    assert one.said(batch["tokens"]) == english
    assert one.said(batch["source"]) == spanish
    assert one.pieces([START, END, 5]) == []


@torch.no_grad()
def test_surprise_is_the_loss_and_knows_what_is_likeliest(data):
    model = make()
    found = one.surprise(model, data)
    batch = one.joined(data.batch(range(5)))
    assert found["nats"] == pytest.approx(model.loss(batch)["nats"].item(), abs=1e-4)
    logits, tokens = model.logits(*(batch[k] for k in KEYS)), batch["tokens"]
    real = batch["mask"][:, 1:]
    right = logits[:, :-1].argmax(-1)[real] == tokens[:, 1:][real]
    assert found["accuracy"] == pytest.approx(right.double().mean().item())
    sure = logits[:, :-1].softmax(-1).amax(-1)[real].double().mean().item()
    assert found["sure"] == pytest.approx(sure, abs=1e-5)
    model.embedding.weight.zero_()
    assert one.surprise(model, data)["sure"] == pytest.approx(1 / one.size(), rel=1e-3)


def test_translations_stand_in_the_order_of_the_clauses(data):
    model = make()
    whole = one.translated(model, data, size=2)
    alone = [one.translated(model, data.take([i]))[0] for i in range(5)]
    assert whole == alone


def test_beams_reach_the_search_and_texts_end_where_it_says(data):
    asked = []

    class Echo(Transformer):
        def generate(self, source, source_mask, **options):
            asked.append(options)
            return torch.tensor([[5, END, 6]]).expand(len(source), -1)

    found = one.translated(Echo(make().config), data, beams=3)
    assert asked == [{"beams": 3, "max_length": 30}]
    assert found == one.said(torch.tensor([[5]])) * 5


def test_cross_weights_are_those_of_words(data):
    model = make()
    found = one.cross_weights(model, data)
    whole = model.attention(*(one.joined(data.batch(range(5)))[k] for k in KEYS)).cross
    assert torch.allclose(found[2][1, 0], translation.pooled(whole[2, 1, 0], data, 2))
    for i, weights in enumerate(found):
        e, s = len(data.text.english[i]), len(data.text.spanish[i])
        assert weights.shape == (2, 2, e, s)
        # what falls on the frame of the source is left out
        assert (weights.sum(-1) < 1).all() and (weights >= 0).all()


def test_the_shipped_weights_have_their_recorded_surprise_and_align_words(monkeypatch):
    monkeypatch.delenv("MMDL_RESULTS")  # the stored results are asked for
    model = pretrained.load("transformer", "verses")
    test = translation.pairs("test", longest=12)
    found = one.surprise(model, test)
    stored = results("transformer")["weights"]
    # weights were rounded to half precision on the way
    assert found["nats"] == pytest.approx(stored["nats"], abs=0.01)
    assert sum(p.numel() for p in model.parameters()) == stored["params"]
    some = test.take(range(0, len(test.source), 4))
    weights = one.cross_weights(model, some)
    # one by one: an annotated list has one size
    links = [translation.best([w[1].mean(0)])[0] for w in weights]
    rate = translation.error_rate(links, some.text)
    rule = translation.error_rate(translation.diagonal(some.text), some.text)
    assert rate < rule - 0.05
