r"""The English stemmer of Snowball, "Porter 2": running and runs both become run.

Rules cut endings off step by step, each only if enough of a word remains. Two regions
say what enough is: $R_1$ is what follows the first consonant after a vowel, $R_2$ is
the same inside $R_1$. METEOR matches words with equal stems.

**Source** Porter, An algorithm for suffix stripping, 1980, doi 10.1108/eb046814, and
his revision, the English stemmer of the Snowball project.
**Range** a word, never longer than the given one.
**Official implementation** `org.tartarus.snowball`, which METEOR 1.5 carries. Snowball
has changed a few rules since then ("organic", "ecologist"); NLTK forgets a region after
"-ization".
**Quirks** A stem need not be a word: "pony" and "ponies" share "poni". The rules miss
irregular forms (ran, mice) and join strangers: "university" and "universe" share
"univers". The stemmer of 1980, which rouge-score and NLTK's METEOR use, differs.
"""

import re

EXCEPTIONS = dict(
    pair.split(":")
    for pair in """skis:ski skies:sky dying:die lying:lie tying:tie idly:idl
    gently:gentl ugly:ugli early:earli only:onli singly:singl sky:sky news:news
    howe:howe atlas:atlas cosmos:cosmos bias:bias andes:andes""".split()
)
FINISHED = set("inning outing canning herring earring proceed exceed succeed".split())
STEP_2 = dict(
    pair.split(":")
    for pair in """ization:ize ational:ate fulness:ful ousness:ous iveness:ive
    tional:tion biliti:ble lessli:less entli:ent ation:ate alism:al aliti:al ousli:ous
    iviti:ive fulli:ful enci:ence anci:ance abli:able izer:ize ator:ate alli:al
    bli:ble""".split()
)
STEP_3 = {
    "ational": "ate",
    "tional": "tion",
    "alize": "al",
    "icate": "ic",
    "iciti": "ic",
    "ical": "ic",
    "ness": "",
    "ful": "",
}
STEP_4 = """ement ance ence able ible ment ant ent ism ate iti ous ive ize al er ic"""
V, C = "[aeiouy]", "[^aeiouy]"
REGION = re.compile(f".*?{V}{C}")
# a vowel between consonants at the end of the word, or a vowel that begins it
SHORT = re.compile(f"(?:{C}{V}[^aeiouywxY]|^{V}{C})$")


def _regions(word: str) -> tuple[int, int]:
    """Where R1 and R2 begin."""
    found = re.match("gener|commun|arsen", word) or REGION.match(word)
    one = found.end() if found else len(word)
    found = REGION.match(word[one:])
    return one, one + found.end() if found else len(word)


def _plural(word: str) -> str:
    if word.endswith("sses"):
        return word[:-2]
    if word.endswith(("ied", "ies")):
        return word[:-2] if len(word) > 4 else word[:-1]
    if word.endswith("s") and not word.endswith(("us", "ss")):
        return word[:-1] if re.search(V, word[:-2]) else word
    return word


def _past(word: str, one: int) -> str:
    """Endings of the past and of the present participle."""
    if found := re.search("eed(?:ly)?$", word):
        return word[: found.start()] + "ee" if found.start() >= one else word
    found = re.search("(?:ed|ing)(?:ly)?$", word)
    if not found or not re.search(V, word[: found.start()]):
        return word
    word = word[: found.start()]
    if word.endswith(("at", "bl", "iz")):
        return word + "e"
    if re.search(r"(bb|dd|ff|gg|mm|nn|pp|rr|tt)$", word):
        return word[:-1]
    return word + "e" if one >= len(word) and SHORT.search(word) else word


def _longest(word: str, endings) -> str | None:
    found = [ending for ending in endings if word.endswith(ending)]
    return max(found, key=len) if found else None


def _derived(word: str, one: int, two: int) -> str:
    """Endings that make a word of another, such as -ization and -ness."""
    ending = _longest(word, (*STEP_2, "ogi", "li"))
    if ending and len(word) - len(ending) >= one:
        rest = word[: -len(ending)]
        if ending in STEP_2:
            word = rest + STEP_2[ending]
        elif ending == "ogi" and rest.endswith("l"):
            word = rest + "og"
        elif ending == "li" and rest[-1:] in tuple("cdeghkmnrt"):
            word = rest
    ending = _longest(word, (*STEP_3, "ative"))
    if ending and len(word) - len(ending) >= one:
        rest = word[: -len(ending)]
        if ending in STEP_3:
            word = rest + STEP_3[ending]
        elif len(rest) >= two:
            word = rest
    ending = _longest(word, (*STEP_4.split(), "ion"))
    if ending and len(word) - len(ending) >= two:
        rest = word[: -len(ending)]
        if ending != "ion" or rest.endswith(("s", "t")):
            word = rest
    return word


def stem(word: str) -> str:
    """The stem of an English word in lower case.

    Example:
        >>> [stem(w) for w in ("cats", "ponies", "hopping", "hoped", "generalization")]
        ['cat', 'poni', 'hop', 'hope', 'general']
    """
    if len(word) <= 2:
        return word
    if word in EXCEPTIONS:
        return EXCEPTIONS[word]
    word = word.removeprefix("'")
    # a y that is a consonant is written Y
    word = re.sub("^y", "Y", word)
    word = re.sub("([aeiouy])y", r"\1Y", word)
    one, two = _regions(word)
    word = _plural(re.sub("(?:'s'|'s|')$", "", word))
    if word in FINISHED:
        return word
    word = _past(word, one)
    if len(word) > 2 and word[-1] in "yY" and re.match(C, word[-2]):
        word = word[:-1] + "i"
    word = _derived(word, one, two)
    if word.endswith("e"):
        place = len(word) - 1
        if place >= two or (place >= one and not SHORT.search(word[:-1])):
            word = word[:-1]
    elif word.endswith("ll") and len(word) - 1 >= two:
        word = word[:-1]
    return word.lower()
