"""Counting n-grams, shared by BLEU and CIDEr."""

from collections import Counter


def ngrams(words: list[str], n: int) -> Counter:
    """How often each run of n words occurs."""
    return Counter(zip(*(words[i:] for i in range(n)), strict=False))
