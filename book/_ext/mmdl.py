"""The site's small Sphinx extension: no foreign host, light icons, generated tables,
demos that run in the page."""

import hashlib
import shutil
from pathlib import Path

import mmdl_access
import mmdl_api
import mmdl_cards
import mmdl_claims
import mmdl_evidence
import mmdl_fold
import mmdl_icons
import mmdl_notebooks
import mmdl_plan
import mmdl_teach
import mmdl_terms
import mmdl_text_to_image
from docutils import nodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from mmdl_lib import demos

LOG = logging.getLogger(__name__)
STATIC = Path(__file__).resolve().parents[1] / "_static"
HOST = STATIC / "mmdl-host.js"
RUNTIME = STATIC / "vendor/onnxruntime"


def is_formula(node):
    """Whether a node is a formula, in a line or on its own."""
    return isinstance(node, nodes.math | nodes.math_block)


class Demo(SphinxDirective):
    """A demo of `mmdl_lib.demos` by name; its still picture where it cannot run."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        for path in Path(demos.HERE).rglob("*"):
            self.env.note_dependency(str(path))
        markup = demos.show(self.arguments[0])._repr_html_()
        return [nodes.raw("", markup, format="html")]


def only_needed_files(app, pagename, templatename, context, doctree):
    """Drop sphinx-thebe's script, which names a foreign host and is not used here, and
    MathJax on a page that has no formula but whose children have."""
    unneeded = ["thebe"]
    if doctree is not None and next(doctree.findall(is_formula), None) is None:
        unneeded.append("mathjax")
    for kind in ("script_files", "css_files"):
        files = context.get(kind, [])
        context[kind] = [f for f in files if not any(u in str(f) for u in unneeded)]


def add_own_files(app):
    """Our style sheet, and the script that starts the demos."""
    app.add_css_file("custom.css", priority=900)
    app.add_css_file("print.css", priority=901, media="print")
    there = any(RUNTIME.glob("*.wasm"))
    if not there:
        LOG.info("onnxruntime-web is not there: demos show their still picture.")
    attributes = {"defer": "defer", "data-runtime": "yes" if there else "no"}
    app.add_js_file(HOST.name, **attributes)


def copy_demos(app, exception):
    """Modules and networks of the demos, from the library to the site."""
    if exception or app.builder.format != "html":
        return
    unneeded = shutil.ignore_patterns(
        "*.py", "__pycache__", "_live", "still.*", "about.json"
    )
    target = Path(app.outdir) / "_static/demos"
    shutil.copytree(demos.HERE, target, ignore=unneeded, dirs_exist_ok=True)


def own_code() -> str:
    """Changes with this extension; pages built with another value are built again."""
    folders = [STATIC.parent / "_ext", STATIC.parent / "_templates"]
    folders.append(STATIC.parents[1] / "tools/classroom")
    files = [path for folder in folders for path in folder.glob("*.*")]
    return hashlib.sha256(b"".join(p.read_bytes() for p in sorted(files))).hexdigest()


def setup(app):
    app.add_config_value("mmdl_code", own_code(), "env")
    app.add_directive("mmdl-demo", Demo)
    app.connect("builder-inited", add_own_files)
    app.connect("html-page-context", only_needed_files, priority=900)
    app.connect("build-finished", copy_demos)
    parts = (mmdl_evidence, mmdl_claims, mmdl_cards, mmdl_plan, mmdl_api, mmdl_access)
    parts += (mmdl_icons, mmdl_fold, mmdl_notebooks, mmdl_terms, mmdl_teach)
    parts += (mmdl_text_to_image,)
    for part in parts:
        part.setup(app)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
