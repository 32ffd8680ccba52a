"""Lee corpus: 300 short news reports, for the smallest of trainings on plain English.

Headline stories of an Australian broadcaster's mail service, nearly sixty thousand
running words, gathered by Lee, Pincombe and Welsh (2005) as the
background of their study on how alike documents are. The package `gensim` (LGPL 2.1)
carries the file for its tests.

The texts belong to the broadcaster, and no license comes with the file. So nothing of
it is in this book: it is read where gensim is installed, and what is kept of it is
numbers.
"""

import re
from importlib.util import find_spec
from pathlib import Path

from mmdl_lib.borders import check_text

PACKAGE, FILE = "gensim", "test/test_data/lee_background.cor"
WORD = re.compile(r"[a-z]+(?:['-][a-z]+)*")
STOP = re.compile(r"(?<=[.!?])\s+")


def documents() -> list[str]:
    """The 300 reports as they stand in the file; a few are there twice.

    Raises:
        FileNotFoundError: the package is missing.
    """
    spec = find_spec(PACKAGE)
    file = Path(spec.origin).parent / FILE if spec and spec.origin else None
    if file is None or not file.exists():
        raise FileNotFoundError(
            "expected the package with the Lee corpus: pip install gensim."
        )
    return file.read_text("utf-8").splitlines()


def sentences() -> list[list[str]]:
    """The words of each sentence, lowercase, without numbers and punctuation.

    Of a report that stands there twice only the first copy is read.

    Raises:
        FileNotFoundError: the package is missing.
    """
    once = dict.fromkeys(documents())
    return [words for report in once for words in cut(report)]


def cut(text: str) -> list[list[str]]:
    """Sentences end behind . ! or ? before a space; "hard-earned" is one word.

    Raises:
        ValueError: no text.

    Example:
        >>> cut("Fires near Hill Top. It's hot: 40 degrees!")
        [['fires', 'near', 'hill', 'top'], ["it's", 'hot', 'degrees']]
    """
    check_text("text", text)
    found = (WORD.findall(part) for part in STOP.split(text.lower()))
    return [words for words in found if words]
