"""The API reference: one section a module, from docstrings that read like Markdown."""

import importlib
import inspect
import pkgutil
import re

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

LIST_ITEM = re.compile(r"(\s*)- \S")
CODE = re.compile(r"(``.+?``|`[^`\n]+`|\$[^$\n]+\$)")
LABEL = re.compile(r"sec-[\w-]+")  # of a chapter; Sphinx warns where there is none
SECTION = """
(api-{name})=
## {title}

```{{eval-rst}}
.. automodule:: {name}
   :members:
   :ignore-module-all:
   :show-inheritance:
```
"""


class Api(SphinxDirective):
    """Sections for the modules of the body, one a line; `package.*` means all public
    modules and packages inside a package that have no section yet, but for what the
    option `without` names."""

    has_content = True
    option_spec = {"without": str.split}

    def run(self) -> list[nodes.Node]:
        text = "".join(
            SECTION.format(name=name, title=name.removeprefix("mmdl_lib."))
            for name in modules(self.content, self.options.get("without", ()))
        )
        box = nodes.container()
        box.document = self.state.document
        lines = StringList(text.splitlines(), source=self.get_source_info()[0])
        self.state.nested_parse(lines, self.content_offset, box, match_titles=True)
        return box.children


def modules(lines, without=()) -> list[str]:
    """Module names in order, wildcards filled in, each name once."""
    names = [line.strip() for line in lines if line.strip()]
    named = [name for name in names if not name.endswith(".*")]
    found = []
    for name in names:
        new = [name]
        if name.endswith(".*"):
            new = [n for n in inside(name[:-2]) if not _within(n, without)]
            new = [n for n in new if n not in named]
        found += [n for n in new if n not in found]
    return found


def _within(name: str, places) -> bool:
    """Whether a module is one of the places or lies in a package among them."""
    return any(f"{name}.".startswith(f"{place}.") for place in places)


def inside(package: str) -> list[str]:
    """Public modules and packages inside a package, at any depth."""
    found = []
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        if not module.name.startswith("_"):
            name = f"{package}.{module.name}"
            found += [name, *(inside(name) if module.ispkg else [])]
    return found


def to_rst(lines: list[str]) -> list[str]:
    """Our docstrings are plain Markdown: turn single backticks, lists and characters
    that reStructuredText would read as markup into what it understands."""
    made, depth, formula, code = [], None, False, False
    for line in lines:
        begins = not code and _begins_code(line, made)
        code = begins or (code and (not line.strip() or line.startswith("    ")))
        if code:
            made += ["::", "", line] if begins else [line]
            continue
        if formula or line.lstrip().startswith("$$"):
            opens = not formula
            made += ["", ".. math::", ""] if opens else []
            made.append("   " + line.strip().strip("$"))
            # a formula opens and closes with $$, on one line or on several
            formula = line.count("$$") < 2 if opens else "$$" not in line
            made += [] if formula else [""]
            continue
        if line.startswith("**") and made and made[-1].strip():
            made.append("")  # Source, Range, Quirks: a paragraph each
        item = LIST_ITEM.match(line)
        if item and depth is None and made and made[-1].strip():
            made.append("")
        if item:
            depth = len(item[1]) if depth is None else depth
        elif not line.strip():
            depth = None
        made.append(line if line.lstrip().startswith((">>>", "...")) else inline(line))
    return made


def _begins_code(line: str, before: list[str]) -> bool:
    """Whether an indented line begins a program: after a colon and an empty line."""
    above = [text for text in before if text.strip()][-1:]
    after = bool(above) and above[0].endswith(":") and not above[0].startswith(" ")
    return line.startswith("    ") and after and not before[-1].strip()


def inline(line: str) -> str:
    """One line: `code` becomes ``code``, `sec-clip` a link to the chapter; stray markup
    outside of code is escaped."""
    parts = CODE.split(line)
    for i, part in enumerate(parts):
        if part.startswith("$") and CODE.fullmatch(part):
            parts[i] = f":math:`{part.strip('$')}`"
        elif CODE.fullmatch(part):
            code = part.strip("`")
            parts[i] = f":ref:`{code}`" if LABEL.fullmatch(code) else f"``{code}``"
        else:
            part = re.sub(r"(?<=\w)_(?!\w)", r"\\_", part)
            part = part.replace("|", "\\|")
            parts[i] = re.sub(r"(?<![*\s\\])\*(?!\*)|(?<!\*)\*(?=\s)", r"\\*", part)
    return "".join(parts)


def docstring(app, what, name, obj, options, lines):
    """Runs before napoleon, which reads the Google layout."""
    lines[:] = to_rst(lines)


def whole_property(app, what, name, obj, options, lines):
    """Runs after napoleon, which takes what stands before a colon for a type."""
    if what == "property":
        lines[:] = [*to_rst(inspect.getdoc(obj).splitlines()), ""]


def skip(app, what, name, obj, skipped, options):
    """Fields of named tuples say nothing but their index."""
    return True if type(obj).__name__ == "_tuplegetter" else None


def outdated(app, env, added, changed, removed) -> list[str]:
    """Read the API pages again when a module has come or gone."""
    now = inside("mmdl_lib")
    before, env.mmdl_modules = getattr(env, "mmdl_modules", None), now
    pages = [page for page in env.found_docs if page.startswith("book/api")]
    return pages if before != now else []


def setup(app):
    app.setup_extension("sphinx.ext.autodoc")
    app.add_directive("mmdl-api", Api)
    app.connect("autodoc-process-docstring", docstring, priority=400)
    app.connect("autodoc-process-docstring", whole_property, priority=600)
    app.connect("autodoc-skip-member", skip)
    app.connect("env-get-outdated", outdated)
