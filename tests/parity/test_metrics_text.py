"""Text metrics: the numbers of sacrebleu, coco-caption, METEOR's jar, rouge-score.

Java programs are run where Java is there; elsewhere what they answered stands in
`tests/metrics/reference.json`, written by `recipes/metrics.py`. A fresh answer must be
the stored one.
"""

import importlib.util
import json
import shutil
from pathlib import Path

import pytest
import sacrebleu
import torch
from nltk.stem import PorterStemmer
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.meteor.meteor import Meteor
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer
from rouge_score.rouge_scorer import RougeScorer
from torchmetrics.functional.text import squad as peer_squad

from mmdl_lib.data import shapes
from mmdl_lib.data.shapes.language import captions
from mmdl_lib.metrics._words.ptb import caption_words, ptb_tokenize
from mmdl_lib.metrics.bleu import bleu, coco_bleu, sentence_bleu, tokenize_13a
from mmdl_lib.metrics.cider import cider_d
from mmdl_lib.metrics.meteor import METEOR_2005, corpus_meteor, meteor
from mmdl_lib.metrics.rouge_l import coco_rouge_l, rouge_l
from mmdl_lib.metrics.spice import spice
from mmdl_lib.metrics.squad import squad
from mmdl_lib.metrics.squad_v2 import squad_v2

ROOT = Path(__file__).resolve().parents[2]
CASES = json.loads((ROOT / "tests/metrics/cases.json").read_text())
OFFICIAL = json.loads((ROOT / "tests/metrics/reference.json").read_text())
SAID = [item["candidate"] for item in CASES["captions"]]
TRUE = [item["references"] for item in CASES["captions"]]
JAVA = shutil.which("java") is not None
COCO = {"package": "pycocoevalcap", "reference": "coco-caption (pycocoevalcap)"}
SACREBLEU = {"package": "sacrebleu", "reference": "sacrebleu"}


def values(numbers):
    return torch.tensor([float(x) for x in numbers], dtype=torch.float64)


def recipe():
    spec = importlib.util.spec_from_file_location("made", ROOT / "recipes/metrics.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def shapes_world():
    """Three thousand captions of the book's own grammar, one of five as candidate."""
    rows = captions(shapes.sample(600, seed=5))
    return [row[4] for row in rows], [row[:4] for row in rows]


def as_coco(said, true):
    """Cut by the official words, as coco-caption wants them."""
    return {i: some for i, some in enumerate(true)}, {
        i: [s] for i, s in enumerate(said)
    }


@pytest.fixture(scope="module")
def cut():
    """Candidates and references in the official words."""
    rows = OFFICIAL["captions"]
    return [row[0] for row in rows], [row[1:] for row in rows]


def test_words_of_captions(agree):
    flat = [
        t
        for item in CASES["captions"]
        for t in (item["candidate"], *item["references"])
    ]
    stored = [text for row in OFFICIAL["captions"] for text in row]
    if JAVA:
        # a line between keeps one caption's end from the next one's capital
        apart = {2 * i: [{"caption": text}] for i, text in enumerate(flat)}
        apart |= {2 * i + 1: [{"caption": "x"}] for i in range(len(flat))}
        found = PTBTokenizer().tokenize(dict(sorted(apart.items())))
        assert [found[2 * i][0] for i in range(len(flat))] == stored
    names = {"ours": "mmdl_lib.metrics._words.ptb", "tolerance": 0, **COCO}
    mine = [" ".join(caption_words(text)) for text in flat]
    agree("words of captions", mine, stored, **names)


def test_words_and_punctuation(agree):
    stored = OFFICIAL["ptb"]
    if JAVA:
        assert recipe().ptb(CASES["strings"]) == stored
    mine = [ptb_tokenize(text) for text in CASES["strings"]]
    wrong = sum(a != b for a, b in zip(mine, stored, strict=True)) / len(stored)
    names = {"package": "pycocoevalcap", "reference": "CoreNLP 3.4.1, pycocoevalcap"}
    names |= {"ours": "mmdl_lib.metrics._words.ptb", "tolerance": 0.009}
    # nine strings of code, faces and French, which the docstring names
    what = f"share of {len(stored)} hard strings that are cut otherwise"
    agree(what, values([wrong]), values([0]), **names)


@pytest.mark.parametrize("tokenizer", ["13a", "PTB"])
def test_bleu(tokenizer, cut, agree):
    names = {"ours": "mmdl_lib.metrics.bleu"}
    for said, true, what in (
        (SAID, TRUE, "captions"),
        (*shapes_world(), "captions of shapes"),
    ):
        if tokenizer == "13a":
            columns = [
                [some[i] if i < len(some) else None for some in true] for i in range(4)
            ]
            peer = sacrebleu.corpus_bleu(said, columns).score / 100
            names |= {"tolerance": 1e-12, **SACREBLEU}
            mine = values([bleu(said, true)])
            agree(f"BLEU, 13a, {what}", mine, values([peer]), **names)
            continue
        words = cut if what == "captions" else (said, true)
        peer, _ = Bleu(4).compute_score(*as_coco(*words), verbose=0)
        names |= {"tolerance": 1e-12, **COCO}
        mine = values(coco_bleu(said, true))
        agree(f"BLEU-1 to 4, PTB, {what}", mine, values(peer), **names)


@pytest.mark.parametrize("smoothing", ["none", "exp", "floor", "add1"])
def test_bleu_of_sentences(smoothing, agree):
    method = {"add1": "add-k"}.get(smoothing, smoothing)
    names = {"ours": "mmdl_lib.metrics.bleu", "tolerance": 1e-12, **SACREBLEU}
    pairs = list(zip(SAID, TRUE, strict=True))
    mine = values(sentence_bleu(s, t, smoothing=smoothing) for s, t in pairs)
    theirs = values(
        sacrebleu.sentence_bleu(s, t, smooth_method=method).score / 100
        for s, t in pairs
    )
    agree(f"BLEU of sentences, smoothing {smoothing}", mine, theirs, **names)
    mine = values([bleu(SAID[:3], TRUE[:3], smoothing=smoothing, order=3)])
    columns = [
        [some[i] if i < len(some) else None for some in TRUE[:3]] for i in (0, 1, 2)
    ]
    peer = sacrebleu.BLEU(smooth_method=method, max_ngram_order=3)
    theirs = values([peer.corpus_score(SAID[:3], columns).score / 100])
    agree(f"BLEU-3, smoothing {smoothing}", mine, theirs, **names)


def test_bleu_of_sentences_as_coco_smooths_them(cut, agree):
    _, peer = Bleu(4).compute_score(*as_coco(*cut), verbose=0)
    pairs = zip(SAID, TRUE, strict=True)
    mine = values(
        sentence_bleu(s, t, smoothing="coco", tokenize=caption_words) for s, t in pairs
    )
    names = {"ours": "mmdl_lib.metrics.bleu", "tolerance": 1e-12, **COCO}
    agree("BLEU-4 of sentences, smoothing coco", mine, values(peer[3]), **names)


def test_words_of_13a(agree):
    peer = sacrebleu.BLEU().tokenizer
    theirs = [peer(text.rstrip()).split() for text in CASES["strings"]]
    mine = [tokenize_13a(text) for text in CASES["strings"]]
    names = {"ours": "mmdl_lib.metrics.bleu", "tolerance": 0, **SACREBLEU}
    agree(f"words of {len(mine)} strings, 13a", mine, theirs, **names)


def test_rouge_l(cut, agree):
    names = {"ours": "mmdl_lib.metrics.rouge_l", "tolerance": 1e-12}
    pairs = list(zip(SAID, TRUE, strict=True))
    for stemmed in (False, True):
        scorer = RougeScorer(["rougeL"], use_stemmer=stemmed)
        theirs = [scorer.score_multi(t, s)["rougeL"] for s, t in pairs]
        stem = PorterStemmer().stem if stemmed else None
        mine = [rouge_l(s, t, stem=stem).f for s, t in pairs]
        what = "ROUGE-L, stemmed" if stemmed else "ROUGE-L"
        peers = {"package": "rouge-score", "reference": "rouge-score"}
        agree(what, values(mine), values(s.fmeasure for s in theirs), **peers, **names)
    _, peer = Rouge().compute_score(*as_coco(*cut))
    mine = values(coco_rouge_l(SAID, TRUE))
    agree("ROUGE-L of captions", mine, values(peer), **names, **COCO)


def test_cider_d(cut, agree):
    names = {"ours": "mmdl_lib.metrics.cider", "tolerance": 1e-10, **COCO}
    _, peer = Cider().compute_score(*as_coco(*cut))
    agree("CIDEr-D, captions", values(cider_d(SAID, TRUE)), values(peer), **names)
    said, true = shapes_world()
    _, peer = Cider().compute_score(*as_coco(said, true))
    mine = values(cider_d(said, true))
    agree("CIDEr-D, captions of shapes", mine, values(peer), **names)


@pytest.mark.parametrize("stages", list(OFFICIAL["meteor"]))
def test_meteor(stages, cut, agree):
    stored = OFFICIAL["meteor"][stages]
    if JAVA and "paraphrase" in stages:
        # this is how coco-caption calls it
        whole, each = Meteor().compute_score(*as_coco(*cut))
        assert (whole, each) == (stored["corpus"], stored["each"])
    elif JAVA:
        assert recipe().meteor(list(zip(*cut, strict=True)), stages) == stored
    tables = {}
    if "synonym" in stages:
        tables["synonyms"] = OFFICIAL["synonyms"].__getitem__
    if "paraphrase" in stages:
        tables["paraphrases"] = OFFICIAL["paraphrases"]
    names = {"ours": "mmdl_lib.metrics.meteor", "tolerance": 1e-12}
    names |= {"package": "pycocoevalcap", "reference": "METEOR 1.5, pycocoevalcap"}
    mine = values(meteor(SAID, TRUE, **tables))
    agree(f"METEOR, {stages}", mine, values(stored["each"]), **names)
    mine = values([corpus_meteor(SAID, TRUE, **tables)])
    what = f"METEOR of the corpus, {stages}"
    agree(what, mine, values([stored["corpus"]]), **names)


def test_meteor_of_2005(agree):
    from nltk.translate.meteor_score import single_meteor_score

    # no word twice, so that any search finds the same alignment; NLTK punishes a text
    # that is all one chunk, so none is
    pairs = [
        ("red cat x dog", "red cat saw dog"),
        ("sitting cats see one dog", "a cat sits and sees two dogs"),
        ("one two three", "three two one four"),
        ("nothing", "else"),
    ]
    theirs = [
        single_meteor_score(t.split(), s.split(), wordnet=NoWordNet()) for s, t in pairs
    ]
    mine = meteor(
        [s for s, _ in pairs], [[t] for _, t in pairs], parameters=METEOR_2005
    )
    names = {"ours": "mmdl_lib.metrics.meteor", "tolerance": 1e-12}
    names |= {"package": "nltk", "reference": "NLTK"}
    what = "METEOR of 2005, no WordNet, no word twice"
    agree(what, values(mine), values(theirs), **names)


class NoWordNet:
    """What NLTK asks for synonyms; it has none."""

    def synsets(self, word):
        return []


def test_spice_on_graphs_made_by_hand(agree):
    """The Java original fetches its models from the network: nothing else to ask."""
    rows = [
        # (said, true, tuples in common, tuples said, tuples true)
        ("a red circle", "a red circle and a blue star", 2, 2, 4),
        ("a blue circle above a red star", "a red circle above a blue star", 3, 5, 5),
        ("a star left of a moon", "a moon left of a star", 2, 3, 3),
        ("a photo of two small crosses", "there are three crosses", 1, 3, 2),
        ("there is no red circle", "a red circle", 0, 0, 2),
    ]
    mine = [score.f for score in spice([r[0] for r in rows], [[r[1]] for r in rows])]
    # 2 P R / (P + R) is twice what is common over the sum of both sizes
    theirs = [2 * common / (said + true) for *_, common, said, true in rows]
    names = {"ours": "mmdl_lib.metrics.spice", "tolerance": 1e-12}
    names |= {"package": "mmdl_lib", "reference": "graphs made by hand, mmdl_lib"}
    agree("SPICE, captions of shapes", values(mine), values(theirs), **names)


def test_squad_1_1(agree):
    case = CASES["squad"]
    rows = [
        (p, a) for p, a in zip(case["predictions"], case["answers"], strict=True) if a
    ]
    said, true = zip(*rows, strict=True)
    theirs = peer_squad(
        [{"prediction_text": p, "id": str(i)} for i, p in enumerate(said)],
        [
            {"answers": {"answer_start": [0] * len(a), "text": a}, "id": str(i)}
            for i, a in enumerate(true)
        ],
    )
    mine = squad(said, true)
    names = {"ours": "mmdl_lib.metrics.squad", "tolerance": 1e-5}
    names |= {"package": "torchmetrics", "reference": "torchmetrics"}
    keys = ("exact_match", "f1")
    mine, theirs = (values(d[k] for k in keys) for d in (mine, theirs))
    agree("SQuAD 1.1, exact match and F1 in percent", mine, theirs, **names)


@pytest.mark.parametrize("threshold", ["1.0", "0.5", "0.0"])
def test_squad_2_0(threshold, agree):
    case, theirs = CASES["squad"], OFFICIAL["squad"][threshold]
    mine = squad_v2(
        case["predictions"],
        case["answers"],
        no_answer=case["no_answer"],
        threshold=float(threshold),
    )
    pairs = [
        (key, key.replace("has_answer", "HasAns").replace("no_answer", "NoAns"))
        for key in mine
    ]
    pairs = [(key, name.replace("threshold", "thresh")) for key, name in pairs]
    names = {"ours": "mmdl_lib.metrics.squad_v2", "tolerance": 1e-10}
    # a script of an earlier release, whose answers are stored
    names |= {"package": "transformers", "reference": "SQuAD script in 4.57.1, before"}
    a, b = values(mine[k] for k, _ in pairs), values(theirs[n] for _, n in pairs)
    agree(f"SQuAD 2.0, threshold {threshold}, in percent", a, b, **names)
