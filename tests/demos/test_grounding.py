"""The demo of grounding: its rules in Node against the lab, and its page."""

import json
import subprocess

import pytest
import torch

from mmdl_lib import demos
from mmdl_lib.core import generator
from mmdl_lib.data import dictionary
from mmdl_lib.lab import dictionary as graphs

FILE = demos.HERE / "grounding/demo.js"
OURS = dictionary.small()
USES = {word: list(used) for word, used in OURS.uses.items()}


def node(script, argument):
    """What a script returns; it knows the module as `m` and its argument as `x`."""
    text = f"""const m = await import(process.argv[1]);
      const x = JSON.parse(process.argv[2]);
      console.log(JSON.stringify({script}));"""
    command = ["node", "--input-type=module", "-e", text, FILE.as_uri()]
    command.append(json.dumps(argument))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_page_learns_what_the_lab_learns():
    names = sorted(USES)
    for seed in range(4):
        order = torch.randperm(len(names), generator=generator(seed))
        some = [names[i] for i in order[: 15 * (seed + 1)].tolist()]
        page = node("m.learned(x.uses, x.some)", {"uses": USES, "some": some})
        lab = [word for words in graphs.learned(USES, some) for word in words]
        assert sorted(page) == sorted(lab)


def test_the_word_that_teaches_most_is_found():
    uses = {"a": ["b"], "b": ["a"], "c": ["d"], "d": ["c"], "e": ["c", "d"]}
    assert node("m.best(x, [])", uses) in ("c", "d")
    assert node("m.best(x, ['c'])", uses) in ("a", "b")
    assert node("m.best(x, ['c', 'a'])", uses) is None


@pytest.fixture
def page(visit, address):
    page, faults = visit(address + "grounding.html")
    yield page
    assert faults == []
    page.close()


def test_a_click_grounds_a_word_and_another_takes_it_back(page):
    status = page.get_by_role("status")
    assert status.inner_text() == "Grounded 0, learned 0, unknown 174."
    word = page.get_by_role("button", name="big", exact=True)
    word.click()
    assert status.inner_text() == "Grounded 1, learned 1, unknown 172."
    assert word.get_attribute("aria-pressed") == "true"
    assert "big: not small" in page.locator("mmdl-demo").inner_text()
    small = page.get_by_role("button", name="small", exact=True)
    assert small.get_attribute("title") == "learned from definitions"
    word.click()
    assert status.inner_text() == "Grounded 0, learned 0, unknown 174."


def test_a_smallest_set_teaches_all_and_one_word_less_does_not(page):
    page.get_by_role("button", name="A smallest set").click()
    status = page.get_by_role("status")
    said = "Grounded 36, learned 138, unknown 0. All words are known."
    assert status.inner_text() == said
    page.locator("button.grounded").first.click()
    assert status.inner_text().startswith("Grounded 35,")
    assert "All words" not in status.inner_text()
    page.get_by_role("button", name="Start again").click()
    page.get_by_role("button", name="The word that teaches most").click()
    assert status.inner_text().startswith("Grounded 1,")


def test_the_dots_can_be_clicked_too(page):
    page.locator("circle").nth(3).click()
    assert page.get_by_role("status").inner_text().startswith("Grounded 1,")
