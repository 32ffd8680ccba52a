"""Byte-pair encoding, written out: join the most frequent neighbors, again and again.

Source: Sennrich, Haddow, Birch 2016 (1508.07909), section 3.2. For real texts take the
`tokenizers` library, which makes the same rules (`tests/data/test_bpe.py`) much faster.
"""

from collections import Counter
from collections.abc import Sequence

from mmdl_lib.borders import check_number, check_text, check_texts

UNKNOWN, BEGIN = "<unk>", "▁"  # BEGIN stands before each word, in the place of a space


class BPE:
    """A vocabulary of letters and of what frequent neighbors became.

    Of pairs that are equally frequent, the one whose parts came into the vocabulary
    first is joined: `tokens` is ordered by age, letters by their code point.

    Args:
        texts: what is counted; words are what white space separates.
        vocab: how many tokens are wanted; fewer if all words are whole before that.

    Raises:
        ValueError: no list of texts, or fewer tokens than there are letters.

    Example:
        >>> BPE(["low low lower"], vocab=9).encode("lowlow")
        ['▁lo', 'w', 'lo', 'w']
    """

    def __init__(self, texts: Sequence[str], *, vocab: int):
        check_texts("texts", texts)
        words = Counter(BEGIN + word for text in texts for word in text.split())
        letters = sorted({letter for word in words for letter in word})
        check_number("vocab", vocab, 1 + len(letters), whole=True)
        self.tokens, self.merges = [UNKNOWN, *letters], []
        age = {token: i for i, token in enumerate(self.tokens)}
        parts = {word: list(word) for word in words}
        while len(self.tokens) < vocab:
            pairs = Counter()
            for word, count in words.items():
                for pair in zip(parts[word], parts[word][1:], strict=False):
                    pairs[pair] += count
            if not pairs:
                break
            best = min(pairs, key=lambda p: (-pairs[p], age[p[0]], age[p[1]]))
            self.merges.append(best)
            if "".join(best) not in age:
                age["".join(best)] = len(self.tokens)
                self.tokens.append("".join(best))
            parts = {word: join(part, best) for word, part in parts.items()}
        self.rank = {pair: i for i, pair in enumerate(self.merges)}

    def encode(self, text: str) -> list[str]:
        """The tokens of a text; letters that were never seen become <unk>.

        Raises:
            ValueError: no text.
        """
        check_text("text", text)
        found = []
        for word in text.split():
            part = [x if x in self.tokens else UNKNOWN for x in BEGIN + word]
            while True:
                # the rule that was learned first goes first
                pairs = [p for p in zip(part, part[1:], strict=False) if p in self.rank]
                if not pairs:
                    break
                part = join(part, min(pairs, key=self.rank.get))
            found += part
        return found

    def decode(self, tokens: Sequence[str]) -> str:
        """The text, with single spaces."""
        return "".join(tokens).replace(BEGIN, " ").strip()


def join(part: list[str], pair: tuple[str, str]) -> list[str]:
    """Join a pair wherever it stands, from left to right."""
    found, i = [], 0
    while i < len(part):
        both = tuple(part[i : i + 2]) == pair
        found.append("".join(pair) if both else part[i])
        i += 1 + both
    return found
