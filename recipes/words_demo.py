"""Write what the demo of word vectors needs: 5,000 words of GloVe in 8 bits.

Command: python recipes/words_demo.py
Expected: some seconds on one core; writes `vectors.bin`, `facts.json` and `still.webp`
to `mmdl_lib/demos/words/`, and says how many words keep their first neighbor.

The words are the most frequent ones that people were asked about in the Lancaster norms
(`mmdl_lib.data.words.senses`), which know no names, with their regular forms; besides,
those of `MORE`: forms without a rule, places, and what the chapter asks. Words that no
class needs are left out (`LEFT_OUT`): GloVe was trained on news of war and crime.
"""

import json
import re
from collections.abc import Iterator

import torch
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from mmdl_lib import demos
from mmdl_lib.data import words
from mmdl_lib.data.words import Words
from mmdl_lib.demos._export import quantize, webp, write

OUT = demos.HERE / "words"
SIZE = 5000
ENDINGS = {"ies": "y", "es": "", "s": "", "ied": "y", "ed": "", "d": "", "ing": ""}
ENDINGS |= {"ier": "y", "er": "", "r": "", "iest": "y", "est": "", "st": ""}
LEFT_OUT = re.compile(
    "(terror|jihad|islamis|extremis|militan|militia|insurgen|guerrilla|bomb|suicid|rap(e|ist)"
    "|sex|porn|prostitut|genocid|holocaust|massacr|tortur|assassin|kidnap|hostage"
    "|abus|abort|execut(ed|ion)|murder|kill|cocaine|heroin|marijuana|separatis"
    "|fundamentalis|detainee|illegal|immigra|molest|slaughter|behead|lynch|supremac"
    r"|racis|nazi)\w*|virgin|breasts?|gays?|blacks|whites"
)
MORE = """
has women men children began became came went saw gave wrote spoke knew ran fell took
made said found thought brought bought caught taught built sold told kept left lost met
paid sent felt held heard stood won grew drew flew threw broke chose drove rode rose
sang drank swam wore withdrew overcame cities countries wives lives knives leaves feet
teeth mice geese better best worse worst nephew niece prince princess actor actress aunt
uncle husband wife wept python lake spring apple bank bread river light darkness france
paris japan tokyo greece athens russia moscow ireland dublin cuba havana italy rome
spain madrid germany berlin egypt cairo norway oslo austria vienna england london
scotland edinburgh portugal lisbon sweden stockholm denmark copenhagen finland helsinki
poland warsaw hungary budapest turkey ankara india delhi china beijing thailand bangkok
vietnam hanoi kenya nairobi peru lima chile santiago canada ottawa australia canberra
belgium brussels switzerland netherlands amsterdam ukraine kiev romania bucharest
bulgaria sofia croatia serbia argentina brazil mexico colombia venezuela bolivia iceland
america africa europe asia nigeria ghana ethiopia morocco algeria indonesia jakarta
malaysia singapore philippines manila korea seoul taiwan nepal pakistan iran tehran iraq
baghdad israel syria lebanon jordan jamaica haiti california texas florida york chicago
boston seattle sydney melbourne toronto montreal istanbul barcelona milan venice naples
florence munich hamburg frankfurt shanghai mumbai washington alaska hawaii french
japanese greek russian irish cuban italian spanish german egyptian norwegian austrian
english british scottish portuguese swedish danish finnish polish hungarian turkish
indian chinese thai vietnamese kenyan peruvian chilean canadian australian belgian swiss
dutch romanian bulgarian croatian argentine brazilian mexican colombian american african
european asian nigerian korean indonesian latin arabic hebrew paul peter mary john
george david michael james robert william charles thomas henry elizabeth anna maria
susan sarah big bigger small smaller fast faster strong stronger high higher cheap
cheaper old older easy easier hot cold young rich poor open closed early late low weak
slow happy sad engineer carpenter electrician mechanic programmer pilot architect
surgeon nurse librarian secretary receptionist dancer teacher housekeeper nanny office
salary business career profession manager corporation executive home family kitchen
marriage parents wedding cousins physics chemistry engineering mathematics laboratory
experiment computer technology poetry dance literature music theater novel painting
drama gentleman lady boy girl father mother son daughter brother sister ocean stream
pond sea creek canal iron copper silver gold tin lead zinc nickel banana cherry grape
lemon orange peach pear oak pine maple cedar birch willow elm walnut rain snow wind fog
storm frost hail cloud hammer drill axe ladder shovel rope bucket mars venus jupiter
saturn mercury neptune pluto earth red blue green yellow brown gray black purple two
three four five six seven eight nine january february march april may june july august
september october november december
"""


def stems(word: str) -> Iterator[str]:
    """A word and what it may be a regular form of."""
    yield word
    for ending, put in ENDINGS.items():
        if word.endswith(ending) and len(stem := word.removesuffix(ending)) > 2:
            yield stem + put
            if stem[-1] == stem[-2]:
                yield stem[:-1]  # planned
            if ending == "ing":
                yield stem + "e"  # making


def choose(source: Words) -> list[str]:
    """The demo's words, most frequent first."""
    known = {word.lower() for word in words.senses().words}
    found = set(MORE.split())
    if unknown := found - set(source.words):
        raise ValueError(f"MORE expected words of GloVe, got {sorted(unknown)}.")
    for word in source.words:
        if len(found) == SIZE:
            break
        if not re.fullmatch("[a-z]{2,}|[ai]", word) or LEFT_OUT.fullmatch(word):
            continue
        if any(stem in known for stem in stems(word)):
            found.add(word)
    return sorted(found, key=source.index.get)


def first_neighbors(vectors: Float[Tensor, "n d"]) -> Tensor:
    """The row that lies nearest to each row, itself left out; (n,)."""
    unit = torch.nn.functional.normalize(vectors)
    return (unit @ unit.T).fill_diagonal_(-2).argmax(1)


def still(table: Words) -> Image.Image:
    """The first question: its nearest words, and those without the inputs."""
    image, inputs = Image.new("RGB", (640, 300), "white"), ["king", "man", "woman"]
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(20)
    unit = table.unit()
    query = unit["king"] - unit["man"] + unit["woman"]
    title = "king - man + woman"  # the font has no true minus sign
    pen.text((20, 14), title, "black", ImageFont.load_default(26))
    for column, (title, without) in enumerate(
        (("All words", []), ("Without the three", inputs))
    ):
        left = 20 + 310 * column
        pen.text((left, 58), title, "#555555", font)
        for row, (word, cosine) in enumerate(unit.nearest(query, 5, without=without)):
            y = 92 + 40 * row
            pen.text((left, y), word, "black", font)
            pen.text((left + 240, y), f"{cosine:.2f}", "black", font)
            box = (left, y + 26, left + 230 * cosine, y + 31)
            pen.rectangle(box, fill="#0b7285" if word not in inputs else "#c92a2a")
    return image


def main() -> None:
    source = words.glove()
    chosen = choose(source)
    table = Words(chosen, source[chosen])
    codes = quantize(table.value)
    write(OUT / "vectors.bin", codes.numpy().tobytes())
    facts = {"width": table.value.shape[1], "words": chosen}
    write(OUT / "facts.json", json.dumps(facts, separators=(",", ":")).encode())
    write(OUT / "still.webp", webp(still(Words(chosen, codes.float())), quality=80))
    same = first_neighbors(table.value) == first_neighbors(codes.float())
    print(f"the same first neighbor: {100 * same.float().mean():.1f} of 100 words")


if __name__ == "__main__":
    main()
