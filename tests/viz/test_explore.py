"""Explorers: live with a kernel, precomputed on the page, usable by keyboard."""

import importlib
import re
import tracemalloc

import ipywidgets
import pytest
from classroom import pages

from mmdl_lib import viz
from mmdl_lib.viz import explore


def bars(tau, kind="soft"):
    shown = f"{kind} at {tau}"
    return viz.bars({"a": tau}, title=shown, alt=f"one bar, {shown}")


@pytest.fixture
def build(monkeypatch):
    monkeypatch.setenv("MMDL_BUILD", "1")


@pytest.fixture
def kernel(monkeypatch):
    monkeypatch.delenv("MMDL_BUILD", raising=False)


def test_with_a_kernel_a_slider_calls_the_function(kernel):
    box = explore(bars, tau=[0.1, 0.5], kind=["soft", "hard"])
    slider, menu, view = box.children
    assert isinstance(slider, ipywidgets.SelectionSlider)
    assert isinstance(menu, ipywidgets.Dropdown)
    assert "soft at 0.1" in view.value
    slider.value = 0.5
    menu.value = "hard"
    assert "hard at 0.5" in view.value


def test_an_error_after_a_move_is_shown_and_one_at_the_start_is_raised(kernel):
    box = explore(lambda x: f"{1 / x:g}", x=[1, 0])
    box.children[0].value = 0
    assert "ZeroDivisionError" in box.children[-1].value
    with pytest.raises(ZeroDivisionError):
        explore(lambda x: f"{1 / x:g}", x=[0, 1])


def test_a_page_holds_every_state_once(build):
    calls = []

    def text(x, y):
        calls.append((x, y))
        return f"<{x}>" if y else "the same"

    page = explore(text, x=range(3), y=[True, False])._repr_html_()
    assert len(calls) == 6
    assert page.count("the same") == 1
    assert "&lt;0&gt;" in page


def test_no_state_can_close_the_script(build):
    class Raw:
        def _repr_html_(self):
            return "</script><b>out</b>"

    page = explore(lambda x: Raw() if x else "text", x=[0, 1])._repr_html_()
    assert page.count("</script>") == 2


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({}, "at least one choice"),
        ({"x": []}, "a value for 'x', got an empty list"),
        ({"x": 3}, "a list of values for 'x', got 3"),
        ({"x": "abc"}, "a list of values for 'x', got 'abc'"),
        (
            {"x": range(20), "y": range(11)},
            "at most 200 states for a page, got 20 x 11",
        ),
    ],
)
def test_wrong_choices_are_answered_in_one_sentence(build, choices, message):
    with pytest.raises(ValueError, match=message):
        explore(lambda **_: "", **choices)


def test_states_too_large_for_a_page_are_refused(build):
    with pytest.raises(ValueError, match="at most 4 MB of states.*got 6.0 MB"):
        explore(lambda x: str(x) * 1_000_000, x=range(6))


def test_too_many_states_are_counted_and_never_built(build):
    tracemalloc.start()
    with pytest.raises(ValueError, match="got 15 x 15 x 15 x 15 x 15 x 15: give fewer"):
        explore(lambda **_: "", **{name: range(15) for name in "abcdef"})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


def test_a_choice_may_have_the_name_of_our_own_parameter(kernel, monkeypatch):
    choices = {"f": [1, 2]}
    assert "f is 1" in explore(lambda f: f"f is {f}", **choices).children[-1].value
    monkeypatch.setenv("MMDL_BUILD", "1")
    assert "f is 1" in explore(lambda f: f"f is {f}", **choices)._repr_html_()


def test_the_module_and_the_package_give_the_same_function():
    assert importlib.import_module("mmdl_lib.viz.explore").explore is viz.explore


@pytest.fixture(scope="module")
def browser():
    try:
        with pages.browser() as chromium:
            yield chromium
    except FileNotFoundError as error:
        pytest.skip(str(error))


@pytest.fixture
def page(browser, build, tmp_path):
    """Two explorers on one page that is opened as a file, on a phone."""
    one = explore(bars, tau=[0.1, 0.5, 1.0], kind=["soft", "hard"])._repr_html_()
    two = explore(lambda step: f"state {step}", step=range(4))._repr_html_()
    head = '<!doctype html><html lang="en"><meta charset="utf-8"><title>t</title>'
    file = tmp_path / "page.html"
    file.write_text(f"{head}<body>{one}{two}", encoding="utf-8")
    page, faults = browser.new_page(viewport={"width": 390, "height": 800}), []
    page.on("console", lambda m: m.type == "error" and faults.append(m.text))
    page.on("pageerror", lambda e: faults.append(str(e)))
    page.goto(file.as_uri())
    yield page
    assert faults == []
    page.close()


def test_arrow_keys_move_a_slider_and_leave_the_other_explorer_alone(page):
    slider = page.get_by_role("slider", name="tau")
    slider.focus()
    slider.press("ArrowRight")
    assert page.locator("output").first.inner_text() == "0.5"
    assert slider.get_attribute("aria-valuetext") == "0.5"
    view = page.locator("[aria-live=polite]")
    assert "soft at 0.5" in view.first.inner_text()
    assert view.last.inner_text().strip() == "state 0"
    slider.press("End")
    assert "soft at 1" in view.first.inner_text()
    page.get_by_role("combobox", name="kind").select_option(label="hard")
    assert "hard at 1" in view.first.inner_text()
    slider.press("Home")
    assert "hard at 0.1" in view.first.inner_text()


def test_the_second_explorer_works_by_keyboard_from_the_first(page):
    page.get_by_role("combobox", name="kind").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    view = page.locator("[aria-live=polite]")
    assert view.last.inner_text().strip() == "state 1"
    assert "soft at 0.1" in view.first.inner_text()


def test_every_control_has_a_name_and_a_group_and_nothing_is_wider_than_a_phone(page):
    assert page.get_by_role("group", name="Choose tau, kind").count() == 1
    assert page.get_by_role("slider", name="step").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_without_scripts_the_first_state_is_there_and_no_dead_control(build):
    page = explore(bars, tau=[0.1, 0.5])._repr_html_()
    assert re.search(r"<fieldset hidden", page)
    assert page.index("one bar, soft at 0.1") < page.index("<script")
