r"""The tokenizer of coco-caption: words as the Penn Treebank cuts them.

BLEU, METEOR, ROUGE-L, CIDEr and SPICE of captions are all computed on these words, so a
tokenizer that cuts otherwise changes every number of a captioning table.

**Source** The Penn Treebank's tokenization; Chen et al., Microsoft COCO Captions, 2015,
arXiv 1504.00325, section 3.1.
**Official implementation** `PTBTokenizer` of Stanford CoreNLP 3.4.1 (Java) with
`-lowerCase`, and coco-caption's `ptbtokenizer.py`, which then drops punctuation. Ours
is a set of regular expressions that was fitted to the Java program by comparison:
`tests/metrics/reference.json` holds its output on 1,030 strings chosen to be hard, and
ours cuts 1,021 of them the same.
**Quirks** Brackets become "-lrb-" and "-rrb-" and stay in the caption, for coco-caption
drops only the spelling in capitals, before which the text was lowered. Of "!!" and "?!"
nothing is dropped either, only single marks are. "2 3/4" is one word. A slash or a
hyphen joins words, a dash ("--") is dropped. Pounds become "#", euros "$". Signs that
the tokenizer does not know, such as emoji, vanish without a trace.
**Differs** The Java program reads all captions as one text: an abbreviation at the end
of a caption gets a full stop of its own if the next caption begins with a capital.
Ours sees one caption at a time, and adds none. Rare matter, such as telephone numbers,
code, French, entities of letters ("&eacute;"), or faces other than :) and ;-), may be
cut in another way.
"""

import re

from mmdl_lib.borders import check_text

# keep their full stop
TITLES = """
mr mrs ms dr drs prof profs sen sens rep reps atty lt col gen messrs gov govs adm rev
maj sgt cpl pvt capt st ste ave pres lieut hon brig cmdr pfc spc supt det mt ft adj
adv asst assoc ens insp mlle mme msgr sfc dept p ph vs v cf alex wm jos cie
"""
# keep it too, and end a sentence if a capital follows
ENDINGS = """
inc co cos corp ltd plc assn univ intl sys bros jr sr esq blvd rd jan feb mar apr jun
jul aug sep sept oct nov dec mon tue tues wed thu thurs fri tel est ext sq etc al
calif conn fla mich ala ariz colo ga kan ky md minn mo mont neb nev okla tenn va vt
wis wyo ct bldg
"""
# keep it before a number
NUMBERED = "no nos pp fig ca"
# words that begin a sentence after letters with full stops, such as "U.S."
STARTERS = """
A About According After An As At But He Her Here However If In It Last Many More Now
One Other Our She Since So Some Such That The Their Then There These They This We What
When While Yet You
"""
# what coco-caption drops
PUNCTUATION = frozenset(
    "'' ' `` ` -LRB- -RRB- -LCB- -RCB- . ? ! , : - -- ... ;".split()
)

SIGNS = {
    "(": "-lrb-",
    ")": "-rrb-",
    "[": "-lsb-",
    "]": "-rsb-",
    "{": "-lcb-",
    "}": "-rcb-",
    "“": "``",
    "«": "``",
    "”": "''",
    "»": "''",
    "‘": "`",
    "‹": "`",
    "›": "'",
    "…": "...",
    "–": "--",
    "—": "--",
    "―": "--",
    "½": "1/2",
    "¼": "1/4",
    "¾": "3/4",
    "€": "$",
    "£": "#",
    "¢": "cents",
    "&amp;": "&",
    "&lt;": "<",
    "&gt;": ">",
    "&apos;": "'",
}
# what web pages write for signs that decide where words end
ENTITIES = {
    "&quot;": '"',
    "(?i:&nbsp;)": " ",
    "&mdash;": "—",
    "&ndash;": "–",
    "(?<=[A-Z])&amp;(?=[A-Z])": "&",
    "(?i:(?<=[a-z])&apos;(?=(?:s|ll|re|ve|m|d|t)\\b))": "'",
}


def _any(words: str) -> str:
    return "|".join(words.split())


L = "[^\\W\\d_²³¹¼-¾]"  # a letter
A = f"(?:{L}|\\d)"  # a letter or a digit
# one alternative a line; at each place the first that matches is the next word
RULES = rf"""
(?:https?://|mailto:)[^\s"<>|(){{}}]+[^\s"<>|.!?(){{}},-]
www\.(?:[^\s"<>|.!?(){{}},]+\.)+[a-z]{{2,4}}
[a-z0-9][a-z0-9._%-]*@[a-z0-9-]+(?:\.[a-z0-9-]+)*
@{{2,}}|\#{{2,}}|\*{{2,}}|<<|>>
@[a-z_]\w*|\#[a-z]{A}*
&apos;(?:(?:em|cause|til|\d0s)\b|n&apos;)|[dol]&apos;{A}+
&(?:amp|lt|gt|quot|apos|\#\d+);
</?[a-z][^<>]*>
[:;=]'?-?(?:[()]|[DP]\b)
n't{A}*|'n'|'(?:ll|re|ve|s|m|d|n)\b
't(?=(?:is|was)(?:\b|n't))
'(?:em|cause|til)\b|'\d0s|'\d\d(?=\s|$)
[dol]'(?!s\b|ll\b|re\b|ve\b){A}+|l'|ma'am{A}*|c'mon|n?e'er|ol'|y'(?={L})
(?:can(?=not\b)|(?:gon|wan)(?=na\b)|got(?=ta\b)|(?:gim|lem)(?=me\b))(?!\w+[./]\w)
{L}+?(?=n't)
\d+[- ]\d+/\d+|[a-z0-9]+(?:-[a-z]+){{0,2}}(?:/[a-z0-9]+(?:-[a-z]+){{0,2}}){{1,2}}
[a-z0-9][a-z0-9.,]*(?:-(?:(?:[a-z]\.){{2,}}|[a-z0-9]+))+(?!{A})|{A}+(?:[-_]{A}+)+
(?-i:[A-Z]+&[A-Z]+)|(?:US|A|C|HK)\$|c\+\+|c\#
ph\.d\.|(?:{_any(NUMBERED)})\.(?=\s*\d|[,;])
(?:{_any(TITLES + " " + ENDINGS)})\.(?!\w)
{L}(?:\.{L})+\.(?!\w)|{L}\.(?!{L})
[+-]?\d+(?:[.:,]\d+)+|\d+{L}{A}*|[+-]?\d+|[.:,]\d+(?:[.:,]\d+)*
{L}{A}*(?:[.!?]{L}{A}*)*
\.{{3,}}|\.(?:\s\.){{2,}}
[!?]+|-{{2,}}|_+|''|``
'(?=[a-z]\S)
[^\w\s\u200b-\u2012\ufeff\U00010000-\U0010ffff]|[²³¹¼-¾]
"""
LEXER = re.compile("|".join(RULES.strip().splitlines()), re.IGNORECASE)
# a full stop that ends a sentence too is written twice
SENTENCE_END = re.compile(
    rf"(?i:(?:{_any(ENDINGS)})\.)(?=\s+[A-Z])"
    rf"|(?i:(?:[a-z]\.){{2,}})(?=\s+(?:(?:{_any(STARTERS)})|Mrs?\.|Ms\.)(?:\s|$))"
)


def ptb_tokenize(text: str) -> list[str]:
    """Words and punctuation of a text, in lower case.

    Args:
        text: any text; line breaks count as spaces.

    Returns:
        Words; a text without any gives an empty list.

    Example:
        >>> ptb_tokenize("A man's dog (black) isn't here; it's gone...")
        ['a', 'man', "'s", 'dog', '-lrb-', 'black', '-rrb-', 'is', "n't", 'here', ';', \
'it', "'s", 'gone', '...']
    """
    check_text("text", text)
    for entity, sign in ENTITIES.items():
        text = re.sub(entity, sign, text)
    text = text.replace("’", "'")
    out = []
    for found in LEXER.finditer(text):
        token, after = found.group(), text[found.end() :]
        if token == '"':
            token = "``" if re.match("[A-Za-z0-9$]", after) else "''"
        elif token == "'" and re.match(r"[A-Za-z]\S", after):
            token = "`"
        elif token[0] in ":;=" and len(token) > 1:
            token = token.replace("(", "-lrb-").replace(")", "-rrb-")
        elif set(token) <= {".", " "} and len(token) > 2:
            token = "..."
        elif set(token) == {"-"} and len(token) in (2, 3, 4):
            token = "--"
        elif "/" in token:
            # "2 3/4" is one word, around a space that does not break
            token = token.replace(" ", "\xa0")
        small = token.lower()
        out.append(SIGNS.get(small, small))
        if SENTENCE_END.match(text, found.start()):
            out.append(".")
    return out


def caption_words(text: str) -> list[str]:
    """Words of a caption as coco-caption counts them: without punctuation.

    Example:
        >>> caption_words("A cat, a dog -- and (so it seems) no bird!")
        ['a', 'cat', 'a', 'dog', 'and', '-lrb-', 'so', 'it', 'seems', '-rrb-', 'no', \
'bird']
    """
    return [word for word in ptb_tokenize(text) if word not in PUNCTUATION]
