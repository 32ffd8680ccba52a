"""Synonyms from WordNet, for METEOR and SPICE, where NLTK and its data are installed.

**Source** Miller, WordNet: A Lexical Database for English, 1995, doi
10.1145/219717.219748. The data come with `python -m nltk.downloader wordnet`.
**Range** a set of names of synsets; two words are synonyms where their sets meet.
**Official implementation** NLTK's reader. METEOR 1.5 carries tables made from WordNet
3.0 of its own, whose rules for base forms differ in rare words.
**Quirks** A word has many senses, and any common one makes a synonym: "bank" matches
"depository" in a caption of a river.
"""

from collections.abc import Callable


def wordnet_synonyms() -> Callable[[str], frozenset] | None:
    """A function from a word to the names of its synsets; None without WordNet.

    NLTK reduces a word to its base form first, so plurals are found.

    Example:
        >>> synonyms = wordnet_synonyms()
        >>> synonyms is None or bool(synonyms("cars") & synonyms("automobile"))
        True
    """
    try:
        from nltk.corpus import wordnet

        wordnet.ensure_loaded()
    except (ImportError, LookupError, OSError):
        return None
    return lambda word: frozenset(s.name() for s in wordnet.synsets(word))
