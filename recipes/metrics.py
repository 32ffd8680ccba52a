"""Write down what the official programs say, for machines that cannot run them.

Command: python recipes/metrics.py
Expected: about 20 seconds of one core with Java and pycocoevalcap, and 12 MB from the
package index. tests/metrics/reference.json gets what CoreNLP's tokenizer, METEOR 1.5
and the SQuAD 2.0 script answer on tests/metrics/cases.json. The tests compare our
metrics with these numbers, and where Java is present also with a fresh run of it.
"""

import gzip
import importlib.util
import json
import subprocess
import sys
import tempfile
import types
import zipfile
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "tests/metrics"
# the last release line that has the SQuAD script
OLD = "transformers==4.57.1"
MODULES = ("exact stem", "exact stem synonym", "exact stem synonym paraphrase")


def coco() -> Path:
    # a package without __init__.py has places instead of an origin
    return Path(importlib.util.find_spec("pycocoevalcap").submodule_search_locations[0])


def ptb(strings):
    """CoreNLP's words of each string; a line between keeps neighbors apart."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("".join(f"{text}\nx\n" for text in strings))
        file.flush()
        command = ["java", "-cp", "stanford-corenlp-3.4.1.jar"]
        command += ["edu.stanford.nlp.process.PTBTokenizer", "-preserveLines"]
        found = subprocess.run(
            [*command, "-lowerCase", file.name],
            cwd=coco() / "tokenizer",
            capture_output=True,
            text=True,
            check=True,
        )
        lines = found.stdout.split("\n")
    assert set(lines[1::2]) == {"x"}
    # a space that does not break belongs to a word
    return [[word for word in line.split(" ") if word] for line in lines[::2]][
        : len(strings)
    ]


def meteor(pairs, modules):
    """Scores of each caption and of all together, as coco-caption asks for them."""
    command = ["java", "-jar", "-Xmx2G", "meteor-1.5.jar", "-", "-", "-stdio"]
    command += ["-l", "en", "-norm", "-m", modules]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=coco() / "meteor", **pipes) as program:

        def ask(line):
            program.stdin.write(line + "\n")
            program.stdin.flush()
            return program.stdout.readline().strip()

        counts = [
            ask(f"SCORE ||| {' ||| '.join([*references, candidate])}")
            for candidate, references in pairs
        ]
        each = [float(ask(f"EVAL ||| {' ||| '.join(counts)}"))]
        each += [float(program.stdout.readline()) for _ in pairs]
        program.stdin.close()
    return {"each": each[:-1], "corpus": each[-1]}


def paraphrases(pairs):
    """The part of METEOR's table that these captions can use."""
    texts = [[candidate, *references] for candidate, references in pairs]
    phrases = [[_phrases(text) for text in some] for some in texts]
    wanted = set().union(*(p for some in phrases for p in some))
    table = {}
    with gzip.open(coco() / "meteor/data/paraphrase-en.gz", "rt") as file:
        for _ in file:
            one, other = next(file).strip(), next(file).strip()
            if one in wanted and other in wanted and _meet(phrases, one, other):
                table.setdefault(one, []).append(other)
    return table


def _phrases(text):
    words = text.split()
    ends = range(1, 9)
    return {" ".join(words[i : i + n]) for i in range(len(words)) for n in ends}


def _meet(phrases, one, other):
    """Whether a caption has the one phrase and a reference of it the other."""
    return any(
        (one in said and other in true) or (other in said and one in true)
        for said, *references in phrases
        for true in references
    )


def synonyms(words):
    """METEOR's own table of synonym sets, for these words."""
    jar = zipfile.ZipFile(coco() / "meteor/meteor-1.5.jar")
    sets = _table(jar, "synonym/english.synsets")
    bases = {}
    for base, forms in _table(jar, "synonym/english.exceptions").items():
        for form in forms:
            bases.setdefault(form, []).append(base)
    return {word: _sets(word, sets, bases) for word in sorted(words)}


def _table(jar, name):
    lines = jar.read(name).decode().split("\n")
    return {a: b.split() for a, b in zip(lines[::2], lines[1::2], strict=False)}


def _sets(word, sets, bases):
    forms = [word, *bases.get(word, [_base(word, sets)])]
    return sorted({number for form in forms for number in sets.get(form, ())})


def _base(word, sets):
    """WordNet's rules for endings, in the order in which METEOR tries them."""
    if word.endswith("ss") or len(word) <= 2:
        return word
    rules = """s: ses:s xes:x zes:z ches:ch shes:sh men:man ies:y s: ies:y es:e es: ed:e
    ed: ing:e ing: er: est: er:e est:e"""
    for ending, new in (rule.split(":") for rule in rules.split()):
        base = word.removesuffix(ending) + new
        if word.endswith(ending) and base in sets:
            return base + ("ful" if word.endswith("ful") else "")
    return ""


def squad(case):
    """The SQuAD 2.0 script, from a release of transformers that still has it."""
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", OLD]
        subprocess.run([*pip, "-d", folder], check=True)
        wheel = zipfile.ZipFile(next(Path(folder).glob("*.whl")))
        code = wheel.read("transformers/data/metrics/squad_metrics.py").decode()
    for name, stub in (("...models.bert", "BasicTokenizer"), ("...utils", "logging")):
        code = code.replace(f"from {name} import {stub}\n", "")
    code = code.replace("logger = logging.get_logger(__name__)\n", "")
    script = types.ModuleType("squad_metrics")
    exec(code, script.__dict__)
    examples = [
        types.SimpleNamespace(qas_id=str(i), answers=[{"text": a} for a in some])
        for i, some in enumerate(case["answers"])
    ]
    said, sure = (
        {str(i): value for i, value in enumerate(case[name])}
        for name in ("predictions", "no_answer")
    )
    return {
        str(threshold): script.squad_evaluate(examples, said, sure, threshold)
        for threshold in (1.0, 0.5, 0.0)
    }


def main():
    cases = json.loads((FOLDER / "cases.json").read_text())
    items = cases["captions"]
    flat = [text for i in items for text in (i["candidate"], *i["references"])]
    words = iter(_captions(ptb(flat)))
    pairs = [(next(words), [next(words) for _ in item["references"]]) for item in items]
    normal = {word for text in flat for word in _normal(text)}
    asked = [
        (
            " ".join(_normal(i["candidate"])),
            [" ".join(_normal(r)) for r in i["references"]],
        )
        for i in items
    ]
    made = {
        "made_with": ["Stanford CoreNLP 3.4.1", "METEOR 1.5", OLD.replace("==", " ")],
        "ptb": ptb(cases["strings"]),
        "captions": [[candidate, *references] for candidate, references in pairs],
        "meteor": {modules: meteor(pairs, modules) for modules in MODULES},
        "synonyms": synonyms(normal),
        "paraphrases": paraphrases(asked),
        "squad": squad(cases["squad"]),
    }
    part = FOLDER / "reference.part"
    part.write_text(json.dumps(made, ensure_ascii=False, indent=0) + "\n")
    part.replace(FOLDER / "reference.json")


def _captions(tokenized):
    """coco-caption drops these."""
    marks = "'' ' `` ` -LRB- -RRB- -LCB- -RCB- . ? ! , : - -- ... ;".split()
    return [" ".join(w for w in words if w not in marks) for words in tokenized]


def _normal(text):
    from mmdl_lib.metrics.meteor import meteor_words

    return meteor_words(text)


if __name__ == "__main__":
    main()
