"""Synonyms from WordNet, where NLTK and its data are installed."""

from collections.abc import Callable


def wordnet_synonyms() -> Callable[[str], frozenset] | None:
    """A function from a word to the names of its synsets; None without WordNet.

    Two words are synonyms where the sets meet. The data come with
    `python -m nltk.downloader wordnet`; NLTK reduces a word to its base form first.
    """
    try:
        from nltk.corpus import wordnet

        wordnet.ensure_loaded()
    except (ImportError, LookupError):
        return None
    return lambda word: frozenset(s.name() for s in wordnet.synsets(word))
