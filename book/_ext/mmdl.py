"""Keep foreign hosts out of the pages: sphinx-thebe's script is not used here."""


def without_thebe(app, pagename, templatename, context, doctree):
    context["script_files"] = [
        s for s in context.get("script_files", []) if "thebe" not in str(s)
    ]
    context["css_files"] = [
        s for s in context.get("css_files", []) if "thebe" not in str(s)
    ]


def setup(app):
    app.connect("html-page-context", without_thebe, priority=900)
    return {"parallel_read_safe": True}
