"""Annotations are assertions while the tests run; a busy machine must not fail them."""

import pytest
import torch
from hypothesis import settings
from jaxtyping import config, install_import_hook

install_import_hook("mmdl_lib", "beartype.beartype")
torch.set_num_threads(1)
settings.register_profile("busy", deadline=None)
settings.load_profile("busy")


@pytest.fixture(autouse=True)
def the_same_start():
    """No test depends on what the tests before it drew, or on which ran beside it."""
    torch.manual_seed(0)


@pytest.fixture
def as_a_reader():
    """No annotation is checked, as with a reader: the border must hold alone."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)
