"""Every public function of every metric, fed with wrong kinds in each of its arguments.

A kind is what readers mix up: bytes or probabilities for a mask, a bare string for a
list, floats for labels, NaN, an empty list, a list that is too short, a choice in
capitals. Each must end in one sentence, without the help of checked annotations.
"""

import importlib
import inspect
import pkgutil
import re

import pytest
import torch

from mmdl_lib import metrics
from mmdl_lib.data import shapes
from mmdl_lib.metrics.features import Features
from mmdl_lib.metrics.mean_ap import Detections, Truth
from mmdl_lib.metrics.panoptic_quality import Segments

pytestmark = pytest.mark.usefixtures("as_a_reader")
BOX = torch.tensor([[0.0, 0.0, 10.0, 10.0], [20.0, 20.0, 40.0, 40.0]])
MASK = torch.zeros(2, 8, 8, dtype=torch.bool).index_fill(1, torch.arange(4), True)
LABEL = torch.tensor([1, 0])
FLAGS = torch.tensor([True, False])
TABLE = torch.tensor([[0.9, 0.1, 0.3], [0.2, 0.5, 0.7]])
SURE = torch.tensor([[0.75, 0.25], [0.5, 0.5]])
FEATURES = Features(torch.arange(12.0).reshape(6, 2).sin(), "ours")
ROWS = torch.arange(12.0).reshape(6, 2).sin()
CLASSES = torch.tensor([0, 1, 0, 1, 0, 1])
COUNTS = torch.tensor([[3, 1], [0, 2]])
SAID, TRUE = ["a red cat", "a dog"], [["a cat"], ["a dog", "dogs"]]
ANSWERS, SETS = {1: "red", 2: "no"}, {1: {"red"}, 2: {"yes"}}
IDS = torch.tensor([[1, 1], [2, 2]])
FOUND = [Detections(BOX, LABEL, torch.tensor([0.9, 0.8]))]
OBJECTS = [Truth(BOX, LABEL, FLAGS, torch.tensor([9.0, 9.0]))]
PANOPTIC = [Segments(IDS, {1: 7, 2: 0})]
LOGITS = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0))
SCENES = {
    "images": shapes.sample(2, seed=0).render(),
    "scenes": shapes.sample(2, seed=0),
}
TOKENS = {"logits": LOGITS, "target": torch.ones(2, 3).long()}
TOKENS |= {"mask": torch.ones(2, 3).bool()}
TEXTS = {"candidates": SAID, "references": TRUE}
PROBE = {"features": ROWS, "labels": CLASSES}
PROBE |= {"test_features": ROWS, "test_labels": CLASSES}
PAIR, BOTH = {"real": FEATURES, "fake": FEATURES}, {"predicted": LABEL, "label": LABEL}
MOMENTS = {"mean": torch.zeros(2), "covariance": torch.eye(2)}
MOMENTS |= {f"other_{name}": value for name, value in MOMENTS.items()}
COLUMN = [1.0, 2.0, 4.0]
AGREED = {"r_xy": 0.3, "r_zy": 0.4, "r_xz": 0.5}
LINKS = [{(0, 0), (2, 1)}, {(1, 1)}]
GOOD = {
    "alignment_error_rate.alignment_error_rate": {
        "links": LINKS,
        "sure": LINKS,
        "possible": LINKS,
    },
    "best_of_n.best_of_n": {"values": TABLE, "n": 2, "judged": TABLE},
    "best_of_n.normal_maximum": {"n": 3},
    "bleu.bleu": TEXTS | {"order": 2, "smoothing": "exp"},
    "bleu.coco_bleu": TEXTS | {"order": 2},
    "bleu.sentence_bleu": {
        "candidate": "a cat",
        "references": ["a cat"],
        "order": 2,
        "smoothing": "exp",
    },
    "bleu.tokenize_13a": {"text": "a cat"},
    "calibration.expected_calibration_error": {
        "probability": SURE,
        "label": LABEL,
        "bins": 5,
    },
    "cider.cider": TEXTS,
    "cider.cider_d": TEXTS | {"sigma": 6.0},
    "cider.rarity": {"references": [["a cat"], ["a dog"]]},
    "clip_score.clip_s": {"image": FEATURES, "text": FEATURES, "weight": 2.5},
    "clip_score.clip_score": {"image": FEATURES, "text": FEATURES, "scale": 100.0},
    "collapse.effective_rank": {"vectors": ROWS},
    "collapse.spread": {"vectors": ROWS},
    "correlation_gain.correlation_gain": {
        "x": COLUMN,
        "z": [2.0, 1.0, 3.0],
        "y": COLUMN,
        "samples": 5,
        "level": 0.9,
    },
    "cost.block_weights": {"depth": 3, "width": 8},
    "cost.co2_kg": {"kwh": 3.0, "intensity": "coal"},
    "cost.device_hours": {"flops": 3.0, "peak": 2.0, "utilization": 0.5},
    "cost.energy_kwh": {"watts": 3.0, "hours": 2.0, "pue": 1.5},
    "cost.language_flops": {"weights": 3.0, "tokens": 2.0},
    "cost.training_flops": {
        "loss": lambda: (torch.ones(2, 2) @ torch.ones(2, 1).requires_grad_()).sum()
    },
    "f1.f1": BOTH | {"average": "macro"},
    "faithfulness.exactly": SCENES,
    "faithfulness.faithfulness": SCENES,
    "fid.fid": PAIR,
    "fid.frechet_distance": MOMENTS,
    "fid_bias.fid_at_infinity": PAIR | {"sizes": [3, 5], "repeats": 2},
    "fid_bias.fid_bias": {"covariance": torch.eye(2), "real": 9, "fake": 9},
    "foil.classification": {"predicted": FLAGS, "is_foil": FLAGS},
    "foil.correction": {"predicted": ["cat", "dog"], "right": ["cat", "car"]},
    "foil.detection": {"predicted": [1, 2], "wrong": [1, 3]},
    "foil.foil_word": {"caption": "a cat", "foil": "a dog"},
    "gqa.accuracy": {"predictions": ANSWERS, "answers": ANSWERS},
    "gqa.consistency": {
        "predictions": ANSWERS,
        "answers": ANSWERS,
        "entailed": {1: [2]},
        "balanced": [1],
    },
    "gqa.distribution": {
        "predictions": ANSWERS,
        "answers": ANSWERS,
        "group": {1: 0, 2: 0},
        "balanced": [1],
    },
    "gqa.plausibility": {"predictions": ANSWERS, "plausible": SETS},
    "gqa.validity": {"predictions": ANSWERS, "valid": SETS},
    "inception_score.inception_score": {"logits": FEATURES, "splits": 2},
    "iou.area": {"boxes": BOX},
    "iou.giou": {"boxes": BOX, "others": BOX},
    "iou.iou": {"boxes": BOX, "others": BOX, "crowd": FLAGS},
    "iou.mask_iou": {"masks": MASK, "others": MASK, "crowd": FLAGS},
    "kid.kid": PAIR | {"subsets": 2, "size": 3},
    "kid.mmd2": {"x": ROWS, "y": ROWS},
    "many_tests.benjamini_hochberg": {"p": [0.1, 0.4, 0.2]},
    "many_tests.bonferroni": {"p": [0.1, 0.4, 0.2]},
    "many_tests.holm": {"p": [0.1, 0.4, 0.2]},
    "matthews.matthews": BOTH,
    "mean_ap.mean_ap": {"found": FOUND, "truth": OBJECTS},
    "mean_iou.class_iou": {"counts": COUNTS},
    "mean_iou.confusion": {
        "found": CLASSES,
        "truth": CLASSES,
        "classes": 2,
        "ignore": 255,
    },
    "mean_iou.mean_iou": {"counts": COUNTS, "ignore": 255},
    "mean_iou.pixel_accuracy": {"counts": COUNTS},
    "meteor.corpus_meteor": TEXTS,
    "meteor.meteor": TEXTS,
    "meteor.meteor_words": {"text": "a cat"},
    "modes.modes": {"points": ROWS, "centers": ROWS, "deviation": 1},
    "panoptic_quality.panoptic_quality": {"found": PANOPTIC, "truth": PANOPTIC},
    "pearson.pearson": {"x": COLUMN, "y": COLUMN},
    "perplexity.bits_per_byte": TOKENS | {"text": ["abc", "abc"]},
    "perplexity.perplexity": TOKENS,
    "precision_recall.precision_recall": PAIR | {"k": 2},
    "probe.knn": PROBE | {"k": 2, "temperature": 0.1},
    "probe.linear_probe": PROBE | {"l2": 0.1},
    "probe.logistic_regression": {"features": ROWS, "labels": CLASSES, "l2": 0.1},
    "r_precision.r_precision": {
        "image": FEATURES,
        "text": FEATURES,
        "candidates": 3,
        "group": torch.arange(6),
    },
    "real.real_accuracy": {"predicted": LABEL, "labels": [{1}, {0, 2}]},
    "retrieval.median_rank": {"rank": torch.tensor([1, 3])},
    "retrieval.ranks": {"similarity": TABLE[:, :2], "right": torch.eye(2).bool()},
    "retrieval.recall_at": {"rank": torch.tensor([1, 3]), "k": 2},
    "rouge_l.ascii_words": {"text": "a cat"},
    "rouge_l.coco_rouge_l": TEXTS | {"beta": 1.2},
    "rouge_l.rouge_l": {"candidate": "a cat", "references": ["a cat"]},
    "spearman.ranks": {"values": COLUMN},
    "spearman.spearman": {"x": COLUMN, "y": COLUMN},
    "spice.scene_graph": {"caption": "a cat"},
    "spice.spice": TEXTS,
    "spice.tuple_f1": {"candidate": {("cat",)}, "references": [{("cat",)}]},
    "squad.answer_f1": {"prediction": "a cat", "answer": "a cat"},
    "squad.exact_match": {"prediction": "a cat", "answer": "a cat"},
    "squad.normalize_answer": {"text": "a cat"},
    "squad.squad": {"predictions": SAID, "answers": TRUE},
    "squad_v2.squad_v2": {
        "predictions": SAID,
        "answers": TRUE,
        "no_answer": [0.1, 0.4],
        "threshold": 0.5,
    },
    "top_k.top_k_accuracy": {"logits": TABLE, "label": LABEL, "k": 2},
    "valse.auroc": {"positive": TABLE[0], "negative": TABLE[1]},
    "valse.valse": {"caption": TABLE[0], "foil": TABLE[1], "threshold": 0.5},
    "vcr.vcr": {
        "answer_scores": TABLE,
        "reason_scores": TABLE,
        "answer": LABEL,
        "reason": LABEL,
    },
    "voc_ap.voc_ap": {
        "found": FOUND,
        "truth": OBJECTS,
        "eleven_points": False,
        "threshold": 0.5,
    },
    "vqa_accuracy.answer_scores": {"predictions": SAID, "answers": [["a", "b"]] * 2},
    "vqa_accuracy.normalize": {"text": "a cat"},
    "vqa_accuracy.vqa_accuracy": {"predictions": SAID, "answers": [["a", "b"]] * 2},
    "williams.pairs_needed": AGREED | {"power": 0.8, "alpha": 0.05},
    "williams.williams": AGREED | {"n": 9},
    "win_rate.win_rate": {
        "outcomes": torch.tensor([1.0, 0.5]),
        "samples": 5,
        "level": 0.9,
    },
}
# parts of a formula on words or curves that were checked where they entered
INSIDE = {"rouge_l.common_length", "spice.singular"}
INSIDE |= {"mean_ap.interpolate", "voc_ap.area_under", "voc_ap.eleven"}
# what looks wrong here and is right, as patterns of cases
RIGHT = [
    # a smaller set is a set, and an empty one where a table may be empty
    r"(collapse|kid\.mmd2|valse\.auroc|win_rate|retrieval\.(median|recall)).*-one less",
    r"modes\.modes-(points|centers)-one less",
    r"iou\.(giou|iou|mask_iou|area)-(boxes|masks)-(none|one less)",
    r"iou\.giou-others-(none|one less)",
    r"spearman\.ranks-values-(none|one less)",
    r"many_tests\..*-p-one less",
    r"gqa\.consistency-entailed-none",
    r"cider\.rarity-references-one less",
    r"squad_v2\.squad_v2-answers-one empty",
    # names of groups and classes may be any, counts may be floats
    r"gqa\.distribution-group-letters",
    r"(mean_ap\.mean_ap|voc_ap\.voc_ap)-(found|truth)-label negative",
    r"mean_iou\..*-counts-floats",
    # grams instead of a key; one set of features has no other to agree with
    r"cost\.co2_kg-intensity-number",
    r"inception_score\..*-another (source|width)",
    # bytes that are others
    r"faithfulness\..*-images-negative",
]


def public() -> dict:
    """Every function of a metric that a reader may call."""
    found = {}
    for info in pkgutil.iter_modules(metrics.__path__):
        if info.name.startswith("_"):
            continue
        module = importlib.import_module(f"mmdl_lib.metrics.{info.name}")
        for name, value in vars(module).items():
            own = inspect.isfunction(value) and value.__module__ == module.__name__
            if own and not name.startswith(("_", "check_")):
                found[f"{info.name}.{name}"] = value
    return found


def of_tensor(x):
    if x.dtype == torch.bool:
        yield "bytes", x.byte() * 255
        yield "integers", x.long()
        yield "probabilities", x.float() * 0.7 + 0.2
    elif x.is_floating_point():
        yield "nan", x.index_fill(0, torch.tensor([0]), torch.nan)
        yield "infinite", x.index_fill(0, torch.tensor([0]), torch.inf)
        yield "bool", x > 0.5
    else:
        yield "floats", x.double()
        yield "negative", x - 10
        if x.dtype == torch.uint8:
            yield "half of the range", x.float() / 255 * 2
    yield "list", x.tolist()
    yield "no axes", x.flatten()[0]
    yield "one axis more", x[None]
    yield "none", x[:0]
    yield "one less", x[:-1]


def of_list(x):
    yield "bare", x[0]
    yield "none", x[:0]
    yield "one less", x[:-1]
    yield "another kind in it", [*x[:-1], None]
    yield "number", 3
    yield "string", "abc"
    if isinstance(x[0], list):
        yield "one empty", [*x[:-1], []]
    if isinstance(x[0], str):
        yield "letters", "".join(x)
        yield "tensor", torch.zeros(len(x))
    if isinstance(x[0], float):
        yield "nan", [*x[:-1], float("nan")]


def of_tuples(x):
    """Lists of named tuples: each of their tensors goes wrong in turn."""
    yield from of_list(x)
    for field, value in x[0]._asdict().items():
        if isinstance(value, torch.Tensor):
            for kind, other in of_tensor(value):
                yield f"{field} {kind}", [x[0]._replace(**{field: other}), *x[1:]]


def wrong(value):
    """Pairs of the name of a wrong kind and an example of it."""
    if isinstance(value, torch.Tensor):
        yield from of_tensor(value)
    elif isinstance(value, list) and hasattr(value[0], "_replace"):
        yield from of_tuples(value)
    elif isinstance(value, list):
        yield from of_list(value)
    elif isinstance(value, Features):
        yield "bare tensor", value.values
        yield "another source", Features(value.values, "theirs")
        yield "another width", Features(value.values[:, :1], value.source)
    elif isinstance(value, bool):
        yield from {"integer": 1, "string": "yes"}.items()
    elif isinstance(value, str):
        yield from {"number": 3, "list": [value], "none": None}.items()
    elif isinstance(value, int | float):
        yield from {"nan": float("nan"), "string": "3", "bool": True}.items()
        yield from {"infinite": float("inf"), "list": [value]}.items()
    elif isinstance(value, dict):
        yield from {"none": {}, "list": [*value], "string": "red"}.items()
        yield "letters", dict.fromkeys(value, 3)


CASES = [
    pytest.param(name, argument, other, id=f"{name}-{argument}-{kind}")
    for name, arguments in GOOD.items()
    for argument, value in arguments.items()
    for kind, other in wrong(value)
]


def test_every_public_function_of_a_metric_is_in_the_table():
    assert {*public()} == {*GOOD, *INSIDE}


@pytest.mark.parametrize("name", GOOD)
def test_the_right_kinds_pass(name):
    public()[name](**GOOD[name])


@pytest.mark.parametrize(("name", "argument", "value"), CASES)
def test_a_wrong_kind_ends_in_one_sentence(name, argument, value, request):
    case = request.node.callspec.id
    call, arguments = public()[name], GOOD[name] | {argument: value}
    if any(re.fullmatch(pattern, case) for pattern in RIGHT):
        call(**arguments)
        return
    with pytest.raises(ValueError) as found:
        call(**arguments)
    assert found.type is ValueError
    sentence = str(found.value)
    assert re.fullmatch(r"\S.* expected .+, got .+\.", sentence), sentence
    assert len(sentence) < 250
