"""Annotations are assertions while the tests run."""

import torch
from jaxtyping import install_import_hook

install_import_hook("mmdl_lib", "beartype.beartype")
torch.set_num_threads(1)
