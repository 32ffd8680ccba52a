"""Lloyd's rounds and the mixed table beside scikit-learn; cosines beside SciPy."""

import numpy as np
import torch

from mmdl_lib.core import generator
from mmdl_lib.models.bovw_svd import BoVWSVD, bag, lloyd
from mmdl_lib.models.concat_fusion import fuse, nearest
