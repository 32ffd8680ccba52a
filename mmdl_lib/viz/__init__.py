"""Figures in one look, for light and dark pages; `source` shows the real code.

Each function returns an object that a notebook and the built page display by itself.
Curves, bars and heat maps are drawn by matplotlib and shown as inline SVG whose text
stays text (`look.py` says how). Whatever draws takes `alt`, for those who cannot see.
"""

from mmdl_lib.viz.claims import claims
from mmdl_lib.viz.diagram import diagram
from mmdl_lib.viz.explore import explore
from mmdl_lib.viz.pictures import images
from mmdl_lib.viz.plots import bars, curve, heat
from mmdl_lib.viz.rings import rings
from mmdl_lib.viz.scatter import scatter
from mmdl_lib.viz.schema import schema
from mmdl_lib.viz.shares import shares
from mmdl_lib.viz.sound import sound
from mmdl_lib.viz.source import Source, source
from mmdl_lib.viz.table import table
from mmdl_lib.viz.tradeoff import silhouettes, tradeoff

__all__ = ["Source", "bars", "claims", "curve", "diagram", "explore", "heat", "images"]
__all__ += ["rings", "scatter", "schema", "shares", "silhouettes", "sound", "source"]
__all__ += ["table", "tradeoff"]
