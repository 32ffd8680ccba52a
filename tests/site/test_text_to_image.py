"""The table of section 3.2: made from the files that are there, or refused."""

import json

from bs4 import BeautifulSoup

PAGE = "```{mmdl-text-to-image}\n```"
SEED = {"color": 0.9, "shape": 0.8, "size": 0.5, "count": 1.0, "relation": 0.7}
SEED |= {"exact": 0.6, "fid": 3.25, "precision": 0.9, "recall": 0.4}
ROW = {"parameters": 1200, "seconds": None, "minutes": 3, "note": "best of 8"}
ROW |= {"features": "ours, 32 x 32", "seeds": {"0": SEED}}


def page(build, **files):
    texts = {
        f"results/text_to_image/{name}.json": json.dumps(rows)
        for name, rows in files.items()
    }
    label = {"gan.md": "(sec-gan)=\n# A GAN\n", "dalle.md": "(sec-dalle)=\n# DALL-E\n"}
    return build(PAGE + "\n\n```{toctree}\ngan\ndalle\n```", label | texts)


def test_rows_of_all_files_stand_in_order_with_links_to_their_chapters(build):
    better = ROW | {"seeds": {"0": SEED | {"exact": 0.9}, "1": SEED}}
    html, warnings = page(build, gan={"<GAN>": ROW}, dalle={"DALL-E": better})
    assert warnings == ""
    table = BeautifulSoup(html, "html.parser").find("table")
    rows = [[c.text.strip() for c in tr.find_all(["th", "td"])] for tr in table("tr")]
    assert [row[0] for row in rows] == ["drawn by", "DALL-E", "<GAN>"]
    first, second = (dict(zip(rows[0], row, strict=True)) for row in rows[1:])
    assert first["exact"] == "0.75" and first["seeds"] == "2"
    assert second["FID"] == "3.25" and second["parameters"] == "1,200"
    assert second["seconds a picture"] == "–" and second["note"] == "best of 8"
    assert [a["href"] for a in table.tbody("a")] == [
        "dalle.html#sec-dalle",
        "gan.html#sec-gan",
    ]
    assert "features of ours, 32 x 32" in html


def test_the_figure_says_in_words_what_it_shows(build):
    seeds = {
        str(k): SEED | {"exact": share} for k, share in enumerate((0.002, 0.002, 0.004))
    }
    html, _ = page(build, gan={"<GAN>": ROW, "DCGAN": ROW | {"seeds": seeds}})
    label = BeautifulSoup(html, "html.parser").find("figure").find("svg")["aria-label"]
    assert "<GAN> 0.6" in label
    # a share of 500 pictures has three digits
    assert "DCGAN 0.003 (0.002 to 0.004)." in label


def test_nothing_measured_is_said(build):
    html, warnings = page(build)
    assert warnings == "" and "No model has drawn the prompts yet" in html


def test_a_damaged_row_is_warned_of(build):
    _, warnings = page(build, gan={"GAN": {"parameters": 3}})
    assert "expected rows as `keep` writes them" in warnings


def test_two_kinds_of_features_are_warned_of(build):
    other = ROW | {"features": "Inception"}
    _, warnings = page(build, gan={"GAN": ROW, "DCGAN": other})
    assert "expected one kind of features" in warnings


def test_a_row_of_no_chapter_is_warned_of(build):
    _, warnings = page(build, nobody={"GAN": ROW})
    assert "sec-nobody" in warnings
