"""Lay out the files of a new chapter by its slug.

    python tools/new_chapter.py SLUG SECTION [--title WORDS] [--name CLASS]

SLUG is one lowercase word, such as `glide`; SECTION is the number in the plan, such as
3.2.6, or that of the part, 3.2, whose first unwritten chapter is then taken. `make new
slug=glide section=3.2.6` does the same. Every file is new but `_toc.yml`, which gets a
line. What has to be written by hand is marked TODO.
"""

import argparse
import csv
import json
import re
import sys
from pathlib import Path
from string import Template

ROOT = Path(__file__).resolve().parents[1]
TEMPLATES = ROOT / "tools/chapter"
FILES = {
    "model": "mmdl_lib/models/{slug}.py",
    "test_model": "tests/models/test_{slug}.py",
    "recipe": "recipes/{slug}.py",
    "claims": "recipes/{slug}.toml",
    "exercises": "mmdl_lib/exercises/{slug}.py",
    "coverage": "book/coverage/{slug}.csv",
    "teaching": "book/teaching/{slug}.toml",
}
# a part in `_toc.yml`, with its chapters
BLOCK = re.compile(
    r"      - file: book/part_(\d+)_(\d+)\n        sections:\n(?: {10}- file: .*\n)+"
)
NUMBERED = re.compile(r"^# (\d[\d.]*) ", re.M)


def new_chapter(
    root: Path, slug: str, section: str, *, title: str = "", name: str = ""
) -> list[Path]:
    """Write the files of a chapter under `root` and name it in the contents.

    Raises:
        ValueError: a bad or used slug, a section that no part holds or that is written.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", slug) or slug.endswith(
        "_further"
    ):
        raise ValueError(f"expected a slug such as glide or vq_vae, got {slug!r}.")
    plan, written = _plan(root), _written(root)
    number = _number(section, plan, written)
    part = ".".join(number.split(".")[:2])
    folder = _folder(root, part, plan[part])
    words = {
        "slug": slug,
        "number": number,
        "title": title or plan.get(number, slug.replace("_", " ").capitalize()),
        "name": name or slug.replace("_", " ").title().replace(" ", ""),
        "part": part,
        "part_label": part.replace(".", "-"),
        "part_title": plan[part],
        "install": _install_cell(root),
    }
    texts = {
        root / place.format(slug=slug): _filled(kind, words)
        for kind, place in FILES.items()
    }
    texts[folder / f"{slug}.ipynb"] = _notebook(_filled("notebook", words), slug)
    page = root / f"book/part_{part.replace('.', '_')}.md"
    if not page.exists():
        texts[page] = _filled("part", words)
    used = [str(path.relative_to(root)) for path in texts if path.exists()]
    if used:
        raise ValueError(f"expected a slug that is not in use, got {', '.join(used)}.")
    _add_to_contents(root, folder / slug, part, plan)
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return list(texts)


# what is there


def _plan(root: Path) -> dict[str, str]:
    with (root / "book/plan.csv").open(encoding="utf-8", newline="") as stream:
        return {row["number"]: row["title"] for row in csv.DictReader(stream)}


def _written(root: Path) -> set[str]:
    """Numbers of the notebooks that exist."""
    found = set()
    for path in root.glob("notebooks/*/*.ipynb"):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        found |= set(NUMBERED.findall("".join(cells[0]["source"])))
    return found


def _number(section: str, plan: dict[str, str], written: set[str]) -> str:
    """The number of the chapter; a part stands for its first unwritten one."""
    part = ".".join(section.split(".")[:2])
    if part not in plan or not re.fullmatch(r"\d+\.\d+(\.\d+)?", section):
        known = ", ".join(number for number in plan if number.count(".") == 1)
        raise ValueError(
            f"expected a section such as 3.2.6, in one of {known}, got {section!r}."
        )
    if section in written:
        raise ValueError(f"expected a section that is not written, got {section}.")
    if section != part:
        return section
    inside = {n for n in [*plan, *written] if n.startswith(f"{part}.")}
    free = [n for n in plan if n in inside - written]
    return free[0] if free else f"{part}.{len(inside) + 1}"


def _folder(root: Path, part: str, title: str) -> Path:
    start = f"ch{part.replace('.', '_')}_"
    words = re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_")
    found = sorted((root / "notebooks").glob(f"{start}*"))
    return found[0] if found else root / "notebooks" / f"{start}{words}"


def _install_cell(root: Path) -> str:
    """The first code cell of the chapters, the shortest that one of them has."""
    found = []
    for path in root.glob("notebooks/*/*.ipynb"):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            if cell["id"] == f"{path.stem}-install":
                found.append("".join(cell["source"]))
    return min(found, key=lambda source: (len(source), source))


# what is written


def _filled(kind: str, words: dict[str, str]) -> str:
    text = (TEMPLATES / f"{kind}.txt").read_text(encoding="utf-8")
    return Template(text).substitute(words)


def _notebook(text: str, slug: str) -> str:
    """Cells begin with `%% kind name tags`; the rest of the format never changes."""
    cells = []
    for block in re.split(r"^%% ", text, flags=re.M)[1:]:
        first, _, source = block.partition("\n")
        kind, name, *tags = first.split()
        name = f"{name}-text" if kind == "markdown" and name != "title" else name
        cell = {
            "cell_type": kind,
            "id": f"{slug}-{name}".replace("-text-text", "-text"),
        }
        cell["metadata"] = {"tags": tags} if tags else {}
        if kind == "code":
            cell |= {"execution_count": None, "outputs": []}
        cell["source"] = source.rstrip("\n").splitlines(keepends=True)
        cells.append(dict(sorted(cell.items())))
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    metadata["mmdl"] = {"asks": "TODO Which question does the chapter answer?"}
    whole = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def _add_to_contents(root: Path, notebook: Path, part: str, plan: dict) -> None:
    """One line in `_toc.yml`, behind those of its part; a new part gets its own."""
    toc, (top, below) = root / "_toc.yml", map(int, part.split("."))
    text = toc.read_text(encoding="utf-8")
    line = f"          - file: {notebook.relative_to(root).as_posix()}\n"
    new = f"      - file: book/part_{top}_{below}\n        sections:\n{line}"
    blocks = {(int(m[1]), int(m[2])): m for m in BLOCK.finditer(text)}
    same = {number: m for number, m in blocks.items() if number[0] == top}
    later = [m.start() for number, m in blocks.items() if number > (top, below)]
    if (top, below) in blocks:
        place, new = blocks[top, below].end(), line
    elif same:
        behind = [m.start() for number, m in same.items() if number > (top, below)]
        place = min(behind, default=max(m.end() for m in same.values()))
    else:
        before = min(later, default=text.index("      - file: book/teaching"))
        place = text.rindex("  - caption:", 0, before)
        new = f"  - caption: {plan[str(top)]}\n    chapters:\n{new}"
    toc.write_text(text[:place] + new + text[place:], encoding="utf-8")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("slug")
    parser.add_argument("section")
    parser.add_argument("--title", default="", help="by default that of the plan")
    parser.add_argument("--name", default="", help="of the class, such as GLIDE")
    given = parser.parse_args(arguments)
    try:
        written = new_chapter(
            ROOT, given.slug, given.section, title=given.title, name=given.name
        )
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    print("Written, with TODO where you take over:")
    for path in written:
        print(f"  {path.relative_to(ROOT)}")
    print(f"  _toc.yml: one line\nThen: python recipes/{given.slug}.py && make check")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
