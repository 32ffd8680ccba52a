"""Code on a page: what computes, as it stands in the file."""

import ast

import pytest

from mmdl_lib import viz
from mmdl_lib.borders import check_number
from mmdl_lib.core import models
from mmdl_lib.models.clip import CLIP, contrastive_loss


def test_source_shows_the_code_of_the_file_dedented():
    shown = viz.source(contrastive_loss, CLIP.encode_image, CLIP.logit_scale)
    code = str(shown)
    assert code.startswith("# mmdl_lib/models/clip.py\ndef contrastive_loss(")
    assert "\ndef encode_image(self" in code
    assert "\n@property\ndef logit_scale(self)" in code
    assert code.count("# mmdl_lib/models/clip.py") == 1
    assert repr(shown) == (
        "source of contrastive_loss, CLIP.encode_image, CLIP.logit_scale"
    )
    assert shown._repr_markdown_() == f"```python\n{code}\n```"


def test_a_fence_inside_the_code_does_not_end_it():
    shown = viz.Source("x", "'''\n```python\n'''")
    assert shown._repr_markdown_().startswith("````python\n")


def test_source_of_a_class_is_whole():
    assert "def forward" in str(viz.source(CLIP))


def explained(x, y):
    """What it does.

    Raises:
        ValueError: y is not positive.
    """

    if y <= 0:
        raise ValueError("y expected above zero.")
    check_number("x", x)
    # a comment stays

    def inner(z):
        """Also explained."""
        return z + 1

    if x > y:
        x = y
    return inner(x)


class OnlyWords:
    """A class whose body is its docstring."""


def test_source_shows_neither_docstrings_nor_checks():
    _, *lines = str(viz.source(explained, OnlyWords)).splitlines()
    assert lines == [
        "def explained(x, y):",
        "    # a comment stays",
        "",
        "    def inner(z):",
        "        return z + 1",
        "",
        "    if x > y:",
        "        x = y",
        "    return inner(x)",
        "",
        "class OnlyWords:",
        '    """A class whose body is its docstring."""',
    ]


@pytest.mark.parametrize("model", models().values(), ids=models())
def test_source_of_every_model_can_still_be_read(model):
    code = str(viz.source(model))
    functions = [n for n in ast.walk(ast.parse(code)) if isinstance(n, ast.FunctionDef)]
    inside = [statement for function in functions for statement in function.body]
    assert not all(isinstance(s, ast.Expr | ast.Pass) for s in inside)
