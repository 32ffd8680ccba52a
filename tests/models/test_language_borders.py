"""What the models of language cannot read is refused in one sentence, not computed."""

from functools import partial

import pytest
import torch

from mmdl_lib.data import verses, words
from mmdl_lib.models.bahdanau import Bahdanau
from mmdl_lib.models.bert import BERT, hide
from mmdl_lib.models.fasttext import FastText, FastTextConfig
from mmdl_lib.models.gpt import GPT
from mmdl_lib.models.seq2seq import Seq2Seq
from mmdl_lib.models.t5 import T5, span_counts, visible
from mmdl_lib.models.transformer import Transformer, noam
from mmdl_lib.models.translation import translate
from mmdl_lib.models.word2vec import SkipGram, Word2VecConfig
from mmdl_lib.nn import decode

TOKENS = torch.full((2, 4), 7)
REAL = torch.ones(2, 4, dtype=torch.bool)
LEFT = torch.tensor([[False, False, True, True], [True] * 4])
NONE = torch.tensor([[False] * 4, [True] * 4])
MODELS = {m.__name__: m for m in (BERT, GPT, T5, Transformer, Seq2Seq, Bahdanau)}

pytestmark = pytest.mark.usefixtures("as_a_reader")


def make(name):
    torch.manual_seed(0)
    return MODELS[name].from_preset("tiny").eval()


def batch(**changes):
    """A batch that every model of the chapters can learn from."""
    good = {"tokens": TOKENS, "mask": REAL, "source": TOKENS, "source_mask": REAL}
    return good | {"target": TOKENS, "target_mask": REAL} | changes


MASKS = [
    (LEFT, "padding on the left"),
    (NONE, "got 1 of padding only"),
    (REAL.float(), "mask expected bool"),
    (REAL[:, :3], "mask expected shape"),
]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(("mask", "sentence"), MASKS)
def test_a_batch_with_another_mask_teaches_nothing(name, mask, sentence):
    model = make(name)
    assert torch.isfinite(model.loss(batch())["loss"])
    with pytest.raises(ValueError, match=sentence):
        model.loss(batch(mask=mask))


@pytest.mark.parametrize("name", ["BERT", "GPT", "T5", "Seq2Seq", "Bahdanau"])
@pytest.mark.parametrize("tokens", [TOKENS + 90, TOKENS - 8, TOKENS.float()])
def test_a_batch_with_unknown_tokens_teaches_nothing(name, tokens):
    with pytest.raises(ValueError, match="tokens expected"):
        make(name).loss(batch(tokens=tokens))


@pytest.mark.parametrize(("mask", "sentence"), MASKS)
def test_bert_and_the_transformer_read_no_text_with_another_mask(mask, sentence):
    with pytest.raises(ValueError, match=sentence):
        make("BERT")(TOKENS, mask)
    for method in ("logits", "attention"):
        with pytest.raises(ValueError, match=sentence):
            getattr(make("Transformer"), method)(TOKENS, mask, TOKENS, REAL)


def test_bert_is_told_of_each_token_to_which_text_it_belongs():
    for segments in (torch.zeros_like(TOKENS[:, :3]), torch.zeros_like(TOKENS[0])):
        with pytest.raises(ValueError, match=r"segments expected shape \(2, 4\)"):
            make("BERT")(TOKENS, REAL, segments)


@pytest.mark.parametrize("name", ["Transformer", "Seq2Seq", "Bahdanau"])
def test_each_source_has_one_translation(name):
    """One source for two targets would be taken for both, or fail somewhere inside."""
    ask = {"tokens": TOKENS, "source": TOKENS[:1], "source_mask": REAL[:1]}
    if name == "Transformer":
        ask["mask"] = REAL
    for method in ("logits", "attention")[: 1 if name == "Seq2Seq" else 2]:
        with pytest.raises(ValueError, match="tokens expected as many as source"):
            getattr(make(name), method)(**ask)


def test_a_translation_without_a_token_has_no_logits():
    for empty in (TOKENS[:, :0], TOKENS[0]):
        mask = torch.ones_like(empty, dtype=torch.bool)
        with pytest.raises(ValueError, match="mask expected"):
            make("Transformer").logits(empty, mask, TOKENS, REAL)


@pytest.mark.parametrize("target", [TOKENS[:, :0], TOKENS[0, :2], TOKENS[:1]])
def test_t5_is_given_one_target_for_each_text(target):
    with pytest.raises(ValueError, match=r"target expected shape \(2, u\)"):
        make("T5")(TOKENS, REAL, target)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (partial(span_counts, 1), "n expected a whole number from 2 up, got 1"),
        (partial(span_counts, 10, share=2), "share expected"),
        (partial(span_counts, 10, mean=0), "mean expected"),
        (partial(visible, "full", 0), "n expected a whole number from 1 up, got 0"),
        (partial(noam, 1, width=0), "width expected a whole number from 1 up"),
        (partial(decode.gnmt, float("nan")), "alpha expected a number, got nan"),
        (partial(decode.power, "much"), "alpha expected a number, got 'much'"),
        (
            partial(hide, TOKENS, REAL.float(), vocab=60, mask_token=4),
            "words expected bool",
        ),
        (
            partial(translate, torch.ones(2, 3), torch.eye(2), torch.ones(5, 2)),
            r"matrix expected shape \(3, 2\), got \(2, 2\)",
        ),
        (
            partial(SkipGram, Word2VecConfig(vocab=3, negatives=0)),
            "negatives expected a whole number from 1 up, got 0",
        ),
        (
            partial(FastText, FastTextConfig(vocab=3, negatives=0, buckets=9)),
            "negatives expected",
        ),
        (partial(FastText, FastTextConfig(vocab=3, buckets=0)), "buckets expected"),
    ],
)
def test_numbers_with_which_nothing_can_be_done_are_named(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


@pytest.mark.parametrize("name", ["T5", "Transformer", "Seq2Seq"])
def test_half_a_token_is_not_written(name):
    with pytest.raises(ValueError, match="max_length expected a whole number, got 2.5"):
        make(name).generate(TOKENS, REAL, max_length=2.5)


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("the", "query expected a tensor, got str 'the'"),
        (torch.tensor(1.0), r"query expected floats of shape \(d,\)"),
        (torch.full((50,), torch.nan), "query expected finite numbers, got 50"),
    ],
)
def test_neighbors_are_those_of_a_vector(query, sentence):
    with pytest.raises(ValueError, match=sentence):
        words.glove(100).nearest(query)


def test_a_word_for_a_list_of_words_is_not_cut_into_letters():
    table = words.glove(1000)
    with pytest.raises(ValueError, match="without expected a list of strings"):
        table.nearest(table["king"], without="king")


def test_the_number_of_a_word_is_no_word():
    with pytest.raises(KeyError, match="expected one of 100 words, got 3"):
        words.glove(100)[3]


def test_a_verse_has_no_empty_word():
    with pytest.raises(ValueError, match="a letter in each, got an empty word"):
        verses.pieces("english").encode(["in", "", "the"])
