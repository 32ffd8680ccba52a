"""Annotations are assertions while the tests run; a busy machine must not fail them."""

import torch
from hypothesis import settings
from jaxtyping import install_import_hook

install_import_hook("mmdl_lib", "beartype.beartype")
torch.set_num_threads(1)
settings.register_profile("busy", deadline=None)
settings.load_profile("busy")
