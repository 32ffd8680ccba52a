"""Our metrics beside the field's own, in one process: seconds, their ratio, memory.

Run: python benchmarks/metrics.py [names of cases]

A case is a function that makes 5,000 items once and returns two functions of no
argument, ours and the peer's; `@case(name)` enters it into `CASES`. Each is run once to
warm up and timed `RUNS` times, in turns, so that a busy machine slows both; the fastest
run counts. Memory is what Python and NumPy allocate at the peak, above what was there
before, seen by `tracemalloc` in a run of its own.

The first lines have no peer: all measures of section 3.2 for the pictures of its 500
prompts, in seconds of one core, which other work on the machine disturbs little. They
are printed alone by the name "prompts".
"""

import random
import re
import sys
import time
import tracemalloc
from collections.abc import Callable

N, RUNS, LIMIT = 5_000, 3, 1.5
SCORED = 5.0  # seconds in which 500 pictures should be scored
CASES: dict[str, Callable] = {}


def case(name: str):
    """Enter a function that returns (ours, peer) into the table."""

    def enter(make: Callable) -> Callable:
        CASES[name] = make
        return make

    return enter


def seconds(function: Callable) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def megabytes(function: Callable) -> float:
    tracemalloc.start()
    function()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


def compare(name: str) -> float:
    """Print one line and return how many times the peer's seconds ours takes."""
    ours, peer = CASES[name]()
    ours(), peer()
    times = [(seconds(ours), seconds(peer)) for _ in range(RUNS)]
    mine, theirs = (min(column) for column in zip(*times, strict=True))
    memory = f"{megabytes(ours):>8.1f}{megabytes(peer):>8.1f}"
    ratio = mine / theirs
    print(f"{name:<32}{mine:>8.2f}{theirs:>8.2f}{ratio:>8.2f}{memory}")
    return ratio


def captions(references: int = 5) -> tuple[list[str], list[list[str]]]:
    """Captions of 8 to 14 words, frequent words more often, as in natural text."""
    r = random.Random(0)
    words = [f"w{i}" for i in range(5_000)]
    weights = [1 / (i + 2) for i in range(5_000)]

    def sentence() -> str:
        return " ".join(r.choices(words, weights, k=r.randint(8, 14)))

    said, true = [], []
    for _ in range(N):
        true.append([sentence() for _ in range(references)])
        # half of a caption is taken from a reference, so that there is what to match
        said.append(
            " ".join([*r.choice(true[-1]).split()[:6], *sentence().split()[:5]])
        )
    return said, true


def as_coco(said, true):
    return dict(enumerate(true)), {i: [s] for i, s in enumerate(said)}


@case("CIDEr-D, coco-caption")
def _():
    from pycocoevalcap.cider.cider import Cider

    from mmdl_lib.metrics.cider import cider_d

    said, true = captions()
    gold, guess = as_coco(said, true)
    return (
        lambda: cider_d(said, true, tokenize=str.split),
        lambda: Cider().compute_score(gold, guess),
    )


@case("BLEU-1 to 4, coco-caption")
def _():
    from pycocoevalcap.bleu.bleu import Bleu

    from mmdl_lib.metrics.bleu import coco_bleu

    said, true = captions()
    gold, guess = as_coco(said, true)
    return (
        lambda: coco_bleu(said, true, tokenize=str.split),
        lambda: Bleu(4).compute_score(gold, guess, verbose=0),
    )


@case("BLEU with 13a, sacrebleu")
def _():
    import sacrebleu
    from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a
    from sacrebleu.tokenizers.tokenizer_re import TokenizerRegexp

    from mmdl_lib.metrics.bleu import bleu

    said, true = captions()
    columns = [list(column) for column in zip(*true, strict=True)]

    def peer():
        # it remembers the words of texts that it saw, which no first run has
        Tokenizer13a.__call__.cache_clear()
        TokenizerRegexp.__call__.cache_clear()
        return sacrebleu.corpus_bleu(said, columns)

    return lambda: bleu(said, true), peer


@case("ROUGE-L, coco-caption")
def _():
    from pycocoevalcap.rouge.rouge import Rouge

    from mmdl_lib.metrics.rouge_l import coco_rouge_l

    said, true = captions()
    gold, guess = as_coco(said, true)
    return (
        lambda: coco_rouge_l(said, true, tokenize=str.split),
        lambda: Rouge().compute_score(gold, guess),
    )


def moved_shapes():
    """Boxes of the shapes world as objects; as detections twice, each time moved."""
    import torch

    from mmdl_lib.core import generator
    from mmdl_lib.data import shapes
    from mmdl_lib.metrics.mean_ap import Detections, Truth

    scenes, g = shapes.sample(N, seed=0), generator(0)
    found, truth = [], []
    columns = scenes.boxes().double(), scenes.present, scenes.shape
    for boxes, here, label in zip(*columns, strict=True):
        truth.append(Truth(boxes[here], label[here] + 1))
        guess = boxes[here].repeat(2, 1)
        guess = guess + torch.randn(guess.shape, generator=g)
        label = truth[-1].label.repeat(2)
        found.append(Detections(guess, label, torch.rand(len(guess), generator=g)))
    return found, truth


def in_coco(pictures):
    """Objects or detections as pycocotools keeps them."""
    from pycocotools.coco import COCO

    rows = []
    for i, picture in enumerate(pictures, 1):
        scores = getattr(picture, "score", picture.label)
        parts = picture.region, picture.label, scores
        for box, label, score in zip(*(p.tolist() for p in parts), strict=True):
            x, y, w, h = box[0], box[1], box[2] - box[0], box[3] - box[1]
            row = {"id": len(rows) + 1, "image_id": i, "category_id": label}
            row |= {"bbox": [x, y, w, h], "area": w * h, "iscrowd": 0, "score": score}
            rows.append(row)
    coco = COCO()
    coco.dataset = {
        "images": [{"id": i} for i in range(1, len(pictures) + 1)],
        "categories": [{"id": i} for i in range(1, 9)],
        "annotations": rows,
    }
    coco.createIndex()
    return coco


@case("AP and AR of boxes, pycocotools")
def _():
    import contextlib
    import io

    from pycocotools.cocoeval import COCOeval

    from mmdl_lib.metrics.mean_ap import mean_ap

    found, truth = moved_shapes()

    def peer():
        judge = COCOeval(gold, guess, "bbox")
        with contextlib.redirect_stdout(io.StringIO()):
            judge.evaluate()
            judge.accumulate()
            judge.summarize()

    with contextlib.redirect_stdout(io.StringIO()):
        gold, guess = in_coco(truth), in_coco(found)
    return lambda: mean_ap(found, truth), peer


@case("VQA accuracy, rule by rule")
def _():
    from mmdl_lib.metrics import vqa_accuracy as vqa

    r = random.Random(0)
    words = "yes no red two dog cat the a man's 2,000 black-white isnt left.".split()
    answer = [" ".join(r.choices(words, k=r.randint(1, 3))) for _ in range(4 * N)]
    people = [r.choices(answer[i : i + 4], k=10) for i in range(0, 4 * N, 4)]
    said = [r.choice(answers) for answers in people]

    def spelled(text):
        """Each rule after the other, as they are published; the official code is not
        in a package that is here."""
        out = text
        for mark in vqa.PUNCTUATION:
            beside = mark + " " in text or " " + mark in text
            thousands = re.search(r"\d,\d", text)
            out = out.replace(mark, "" if beside or thousands else " ")
        out = re.sub(r"\.(?!\d)", "", out)
        kept = [vqa.DIGITS.get(word, word) for word in out.lower().split()]
        kept = [word for word in kept if word not in vqa.ARTICLES]
        return " ".join(vqa.CONTRACTIONS.get(word, word) for word in kept)

    def peer():
        scores = []
        for guess, answers in zip(said, people, strict=True):
            if len(set(answers)) > 1:
                guess, answers = spelled(guess), [spelled(a) for a in answers]
            for i in range(10):
                others = answers[:i] + answers[i + 1 :]
                same = [other for other in others if other == guess]
                scores.append(min(1, len(same) / 3))
        return sum(scores) / len(scores)

    assert abs(peer() - vqa.vqa_accuracy(said, people)) < 1e-9
    return lambda: vqa.vqa_accuracy(said, people), peer


def prompts() -> float:
    """Print and return the seconds that the pictures of 500 prompts take.

    Real pictures with noise, so that there is something to read. What the real pictures
    of the comparison look like is computed once, before.
    """
    import torch

    from mmdl_lib.core import generator
    from mmdl_lib.data.shapes import to_float
    from mmdl_lib.lab import text_to_image as t2i
    from mmdl_lib.metrics.faithfulness import faithfulness

    torch.set_num_threads(1)
    scenes = t2i.prompts().scenes
    image = to_float(scenes.render())
    noise = torch.randn(image.shape, generator=generator(0)) / 10
    image = (image + noise).clamp(-1, 1)
    t2i.real()
    found = {"faithfulness": lambda: faithfulness(image, scenes)}
    found["all measures"] = lambda: t2i.score(image)
    for name, function in found.items():
        spent = []
        for _ in range(RUNS):
            began = time.process_time()
            function()
            spent.append(time.process_time() - began)
        print(f"500 prompts, {name:<19}{min(spent):>8.2f} s (limit {SCORED:g})")
    return min(spent)


def main(*names: str) -> int:
    unknown = [name for name in names if name not in (*CASES, "prompts")]
    if unknown:
        known = ", ".join([*CASES, "prompts"])
        raise SystemExit(f"expected some of {known}, got {unknown[0]!r}.")
    late = (not names or "prompts" in names) and prompts() > SCORED
    if names == ("prompts",):
        return int(late)
    names = tuple(name for name in names if name != "prompts")
    head = "".join(f"{word:>8}" for word in ("ours s", "peer s", "ratio"))
    print(f"{f'{N} items':<32}{head}{'our MB':>8}{'its MB':>8}")
    ratios = [compare(name) for name in names or CASES]
    print(f"at most {max(ratios):.2f} times the peer's time (limit {LIMIT})")
    return int(late or max(ratios) > LIMIT)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
