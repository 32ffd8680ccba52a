"""What a notebook depends on, and a digest of it: equal digests need no second run.

The import graph is read from the source, without running it. Where it cannot be sure,
a file counts as used: one too many costs a run, one too few a wrong page.
"""

import ast
import hashlib
import json
import os
import platform
import re
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "mmdl_lib"
KEPT = "nbval-check-output"
EXECUTED = "_build/executed"  # what green runs leave
# packages whose modules are found by a word when the code runs
BY_WORD = ("exercises", "models", "pretrained", "demos/_live")
# what all notebooks depend on
PINS = ("requirements.txt", "requirements-nodeps.txt", "package-lock.json")
LOADS = {"load", "results", "claims"}  # functions whose first argument names a file
WORD = re.compile(r"\w+")


class Code(NamedTuple):
    """What matters of the source of a module or notebook."""

    imports: set[tuple[int, str]]  # dots in front of a relative import, name
    texts: list[str]
    attributes: set[str]
    loads: set[str]  # words of the first argument of functions that load
    all_models: bool  # whether it looks up all of them, by `core.models()`


def read(source: str) -> Code:
    """Go through the syntax tree once."""
    found = Code(set(), [], set(), set(), False)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.imports.update((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = [node.module] if node.module else []
            names = [".".join([*base, alias.name]) for alias in node.names]
            found.imports.update((node.level, name) for name in [*base, *names])
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.texts.append(node.value)
        elif isinstance(node, ast.Attribute):
            found.attributes.add(node.attr)
        elif isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            first = ast.unparse(node.args[0]) if node.args else ""
            if name in LOADS:
                found.loads.update(WORD.findall(first))
            found = found._replace(all_models=found.all_models or name == "models")
    return found


class Uses:
    """Who uses which file of a repository; each file is read once."""

    def __init__(self, root: Path = ROOT):
        self.root = root
        self.package = root / PACKAGE
        self._codes = {}

    def digest(self, notebook: Path) -> str:
        """Changes with everything that the outputs of a notebook depend on."""
        whole = hashlib.sha256(json.dumps([_own(notebook), self.machine]).encode())
        for path in sorted(self.files(notebook)):
            whole.update(f"{path.relative_to(self.root)}\0".encode())
            whole.update(hashlib.sha256(path.read_bytes()).digest())
        return whole.hexdigest()

    def files(self, notebook: Path) -> set[Path]:
        """Modules of ours that it imports, also at second hand, and data by name."""
        code = read(_source(notebook))
        words = {word for text in code.texts for word in WORD.findall(text)}
        words |= code.attributes
        modules = self._closure(self._imported(code, ()) | self._named(words))
        # a module may load what belongs to another chapter; not so the loaders, which
        # name the files of all models
        loaders = self.package / "pretrained"
        for path in [path for path in modules if loaders not in path.parents]:
            words |= self._code(path).loads
        modules |= self._closure(self._named(words))
        if code.all_models or any(self._code(path).all_models for path in modules):
            modules |= self._closure(set((self.package / "models").glob("*.py")))
        return modules | self._data(words, modules)

    def _code(self, path: Path) -> Code:
        if path not in self._codes:
            self._codes[path] = read(path.read_text("utf-8"))
        return self._codes[path]

    def _imported(self, code: Code, place: tuple[str, ...]) -> set[Path]:
        """Files that code imports; `place` is the module, `__init__` at the end."""
        found = set()
        for dots, name in code.imports:
            found |= self._locate([*(place[:-dots] if dots else ()), *name.split(".")])
        return found

    def _locate(self, parts: list[str]) -> set[Path]:
        """The file of a module and those of the packages around it."""
        found = set()
        for end in range(1, len(parts) + 1) if parts[0] == PACKAGE else ():
            place = self.root.joinpath(*parts[:end])
            files = (place / "__init__.py", place.with_suffix(".py"))
            found |= {file for file in files if file.exists()}
        return found

    def _named(self, words: set[str]) -> set[Path]:
        """Modules that are found by a word when the code runs."""
        folders = [self.package / name for name in BY_WORD]
        return {p for f in folders for p in f.glob("*.py") if p.stem in words}

    def _closure(self, files: set[Path]) -> set[Path]:
        found, waiting = set(), set(files)
        while waiting:
            path = waiting.pop()
            found.add(path)
            place = path.relative_to(self.root).with_suffix("").parts
            near = {p for p in path.parents if p.is_relative_to(self.package)}
            packages = {p / "__init__.py" for p in near if (p / "__init__.py").exists()}
            waiting |= (self._imported(self._code(path), place) | packages) - found
        return found

    def _data(self, words: set[str], modules: set[Path]) -> set[Path]:
        """Files named by a word or by a module; what nobody names counts for all."""
        texts = "\n".join(text for path in modules for text in self._code(path).texts)
        found, demos = set(), self.package / "demos"
        for path, slug in self._data_files.items():
            if demos in path.parents and demos / "__init__.py" not in modules:
                continue
            if owner := self._owner(path):
                found |= {path} if owner in modules else set()
                continue
            by_word = slug is not None and any(_begins(slug, word) for word in words)
            in_full = path in self._named_in_full
            by_nobody = slug is None and not in_full
            if by_word or by_nobody or (in_full and path.name in texts):
                found.add(path)
        return found

    @cached_property
    def _data_files(self) -> dict[Path, str | None]:
        """All files but code, with the word by which each is found."""
        places = [*self.package.rglob("*"), *(self.root / "results").rglob("*")]
        code = (".py", ".pyc", ".part", ".lock")
        files = [p for p in places if p.is_file() and p.suffix not in code]
        return {path: self._slug(path) for path in files}

    def _slug(self, path: Path) -> str | None:
        demos = self.package / "demos"
        if demos in path.parents:
            name = path.relative_to(demos).parts[0]
            return None if name.startswith("common") else name.split(".")[0]
        slugs = (self.root / "results", self.package / "weights")
        return path.stem if path.parent in slugs else None

    def _owner(self, path: Path) -> Path | None:
        """The module of lab whose name a folder of results has: it alone reads it."""
        if path.parent.parent != self.root / "results":
            return None
        module = self.package / "lab" / f"{path.parent.name}.py"
        return module if module.exists() else None

    @cached_property
    def _named_in_full(self) -> set[Path]:
        """Data files that some module names in full, but for those of demos."""
        codes = [self._code(path) for path in self.package.rglob("*.py")]
        texts = "\n".join(text for code in codes for text in code.texts)
        files = [p for p in self._data_files if self.package / "demos" not in p.parents]
        return {path for path in files if path.name in texts}

    @cached_property
    def machine(self) -> list:
        """Python, the pins, what is installed of them, and the profile."""
        pins = [self.root / name for name in PINS]
        texts = [path.read_text("utf-8") for path in pins if path.exists()]
        names = re.findall(r"^([\w.-]+)==", "\n".join(texts), re.M)
        profile = os.environ.get("MMDL_PROFILE", "")
        python = [platform.python_version(), platform.machine(), profile]
        return [*python, texts, [f"{name}=={_version(name)}" for name in names]]


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _own(notebook: Path) -> list:
    """What a run of the notebook itself consists of: no prose, no unchecked output."""
    whole = json.loads(notebook.read_text("utf-8"))
    found = [whole["metadata"].get("kernelspec", {}).get("name")]
    for cell in whole["cells"]:
        if cell["cell_type"] == "code":
            tags = cell["metadata"].get("tags", [])
            outputs = cell["outputs"] if KEPT in tags else None
            found.append(["".join(cell["source"]), tags, outputs])
    return found


def _source(notebook: Path) -> str:
    """The code of a notebook; lines for IPython and the shell are left out."""
    cells = json.loads(notebook.read_text("utf-8"))["cells"]
    code = ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]
    return re.sub(r"^([ \t]*)[%!].*$", r"\1pass", "\n".join(code), flags=re.M)


def _begins(slug: str, word: str) -> bool:
    """Whether a word names a file: `clip` names `clip_shapes`, `clip_` too."""
    word = word.rstrip("_")
    return bool(word) and (slug == word or slug.startswith(word + "_"))
