"""Settings of the decks; tools/classroom/slides.py copies them beside the notebooks."""

project = "Multimodal Deep Learning"
language = "en"
extensions = ["myst_nb", "sphinx_design", "sphinxcontrib.bibtex", "sphinx_revealjs"]
bibtex_bibfiles = ["references.bib"]
bibtex_reference_style = "author_year"
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "tasklist"]
nb_execution_mode = "off"
nb_render_markdown_format = "myst"
# what a notebook shows, best first, as on a page
KINDS = ("text/html", "image/svg+xml", "image/png", "text/markdown", "text/plain")
nb_mime_priority_overrides = [("revealjs", kind, i) for i, kind in enumerate(KINDS)]
# from class/slides/_static of the site
mathjax_path = "../../../_static/vendor/mathjax/tex-chtml.js"
suppress_warnings = ["myst.header", "myst.xref_missing"]

revealjs_html_theme = "revealjs-simple"
revealjs_style_theme = "white"
revealjs_static_path = ["deck.css", "deck.js"]
revealjs_css_files = ["deck.css"]
revealjs_script_files = ["deck.js"]
revealjs_script_plugins = [
    {"name": "RevealNotes", "src": "revealjs/plugin/notes/notes.js"},
]
revealjs_script_conf = {
    "width": 1280,
    "height": 720,
    "margin": 0.04,
    "center": False,
    "hash": True,
    "slideNumber": "c/t",
    "transition": "none",
    "pdfSeparateFragments": False,
}
