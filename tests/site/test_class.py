"""The class pack inside the built site, and slides that are refused."""

import shutil
import sys
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from classroom import slides
from classroom.chapters import chapters

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "_build/html"
sys.path.insert(0, str(ROOT / "book/_ext"))
import mmdl_teach  # noqa: E402

WRITTEN = chapters()
IDS = [chapter.slug for chapter in WRITTEN]


@pytest.mark.parametrize("chapter", WRITTEN, ids=IDS)
def test_every_file_of_a_chapters_pack_is_there(chapter):
    for path in mmdl_teach.PACK.values():
        assert (SITE / "class" / path.format(slug=chapter.slug)).stat().st_size > 500


def linked(page: Path) -> list[tuple[Path, str]]:
    """Files of the site and places in them that a page links to."""
    soup = BeautifulSoup(page.read_text("utf-8"), "html.parser")
    found = [a["href"] for a in soup.select("main a[href]")]
    local = [url.partition("#") for url in found if ":" not in url and url != "#"]
    return [((page.parent / p).resolve() if p else page, at) for p, _, at in local]


@pytest.mark.parametrize(
    "name", ["book/teaching", *(chapter.page.file for chapter in WRITTEN)]
)
def test_links_to_the_pack_and_from_the_plans_are_live(name):
    found = linked(SITE / f"{name}.html")
    assert any("class" in file.parts for file, _ in found)
    for file, place in found:
        assert file.exists(), file
        if place and file.suffix == ".html":
            assert f'id="{place}"' in file.read_text("utf-8"), f"{file.name}#{place}"


def test_the_map_leads_to_every_chapter():
    page = SITE / "book/teaching.html"
    soup = BeautifulSoup(page.read_text("utf-8"), "html.parser")
    to = {(page.parent / a["href"]).resolve().stem for a in soup.select(".mmdl-map a")}
    assert to == {chapter.slug for chapter in chapters()}


FAULTS = {
    '<p style="height: 900px">high</p>': "expected at most 1280 x 720 pixels",
    '<img src="lost.png" alt="">': "with all their files, got .*lost.png",
    '<img src="https://example.org/x.png" alt="">': "got https://example.org/x.png",
}


@pytest.mark.parametrize("extra", FAULTS)
def test_a_slide_that_overflows_or_asks_for_a_lost_file_is_refused(extra, tmp_path):
    chapter = WRITTEN[0]
    out = tmp_path / "class/slides"
    shutil.copytree(SITE / "class/slides", out)
    shutil.copytree(SITE / "_static/vendor", tmp_path / "_static/vendor")
    deck = out / f"{chapter.slug}.html"
    text = deck.read_text("utf-8")
    deck.write_text(text.replace("</h1>", f"</h1>{extra}", 1), "utf-8")
    with pytest.raises(ValueError, match=FAULTS[extra]):
        slides.check(out, [chapter])
