"""Write the drawings that `mmdl_lib/data/clipart.py` reads.

Run once, from a package that need not be installed (Debian's `openclipart-svg`
1:0.18+dfsg-19), with resvg-py 0.5.0 and Pillow 13.0.0:

    apt-get download openclipart-svg    # then dpkg-deb -x into ROOT
    python tools/make_clipart.py ROOT

`tools/clipart.csv` lists 3,228 files that may show things: each was looked at and has
either a name in English and a kind, or no name and the reason why it is left out. Of
the package's other files none is used: flags, maps, road signs, gradients, stars,
playing cards, smileys, buttons, themes of icons, weapons. A drawing whose twin is kept
gives it its keywords. Only files are drawn that call themselves "PublicDomain".
"""

import csv
import html
import io
import re
import sys
import unicodedata
from collections import defaultdict
from pathlib import Path

import numpy as np
import resvg_py
from PIL import Image

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parent / "mmdl_lib/data/_clipart"
SVGS = "usr/share/openclipart/svg"
SIDE, COLUMNS = 64, 44
BIG = 256  # pixels along the longer side of what is drawn, before it is made small
INK = 245  # a pixel with a channel below it is not paper
NEAR = 0.2  # difference of two pictures, as a share of the fainter one's ink
# user units at 90 to the inch, as Inkscape counted when these files were made
UNITS = {"": 1, "px": 1, "pt": 1.25, "mm": 3.543307, "cm": 35.43307, "in": 90, "pc": 15}
WIDE_HIGH = ("width", "height")
NOISE = re.compile(
    r"hash|unsorted|open ?clip|clip ?art|\bicons?\b|svg|png|image|public|http|0x|\bsex"
    r"|nude|naked|drug|weed|weapon|\bgun|\bkill|murder|pimp|stripp|slut|\bhell\b"
    r"|microsoft|linux|debian|gnome\b|desktop|dfn|\bsvn|symbol|appicon|filesys"
    r"|dvb|voip|theme|sym\b|stuff|mime|unzsnu|burner|cursor|utils|ebay|sprint|office\w"
    r"|jza|schwoo|ugly|aids|device"
)
RUDE = re.compile(r"incazzat|cretina|pimp|sexy|stripp|casinista|@|http", re.I)
PLURALS = {"women": "woman", "men": "man", "people": "person", "leaves": "leaf"}
PLURALS |= {"feet": "foot", "firemen": "man", "kids": "boy"}
ONLY = "scissors dice mars rhinoceros triceratops maracas binoculars headphones "
ONLY += "sunglasses pliers shears shorts"
PLURALS |= {word: word for word in ONLY.split()}
ENDS = {r"ies$": "y", r"oes$": "o", r"(x|ch|sh|ss|bus)es$": r"\1", r"(?<![sui])s$": ""}
PARTS = r"(head|face|bust|statue|painting|row|stack|bunch|bouquet|jars?|phases|glass"
PARTS += r"|silhouettes|cup|mug|bowl|loaf|slice|ball|sheets?|box) of (an? |the )?"
STOP = "with in on of at for under from by and doing driving counting throwing hit"
STOP += " hit stretching carrying taking holding reading opening sailing swimming"
WHOLE = {  # where the last word alone would mislead
    r"^chess ": "chess piece",
    r"^(hot|corn) dog": "hot dog",
    r"musical note": "musical note",
    r"magnifying glass": "magnifying glass",
    r"trash can": "trash can",
    r"compact disc|dvd|vinyl record": "compact disc",
    r"thumbs up|handshake": "hand",
    r"teddy bear": "teddy bear",
    r"toy wagon": "toy wagon",
    r"rubber duck": "rubber duck",
    r"hot air balloon": "hot air balloon",
    r"note with": "paper",
}
ALIKE = {  # names of what looks alike, beyond the same last word
    "rabbit": "bunny",
    "dog": "labrador beagle bulldog dachshund puppy",
    "cat": "kitten",
    "chicken": "hen rooster",
    "monkey": "baboon orangutan",
    "gull": "seagull",
    "deer": "fawn",
    "dragonfly": "damselfly",
    "dinosaur": "stegosaurus styracosaurus triceratops plesiosaur pterosaur",
    "lizard": "gecko salamander",
    "fish": "goldfish angelfish loach cichlid",
    "screen": "monitor television computer laptop",
    "disk": "disc dvd record",
    "telephone": "phone handset",
    "house": "cottage hut cabin barn birdhouse schoolhouse villa",
    "car": "jeep van wagon",
    "bicycle": "bike cyclist",
    "airplane": "plane",
    "sailboat": "ship",
    "hat": "fedora sombrero fez cap",
    "woman": "bride princess policewoman nurse chemist doctor girl mother",
    "man": "boy groom policeman sailor king jack joker fireman queen person",
    "eye": "iris",
    "mouth": "lip tongue",
    "hand": "thumb fist finger handprint",
    "book": "bible cookbook diary notebook",
    "bulb": "lightbulb",
    "toadstool": "mushroom",
    "flower": "daisy daffodil magnolia blossom rose sunflower tulip pansy geranium",
    "cello": "violin",
    "drum": "drums",
    "planet": "earth mars jupiter venus saturn moon",
    "burger": "hamburger sandwich",
    "lemon": "lime orange",
    "baseball": "volleyball handball ball",
    "drink": "lemonade cocktail juice",
    "paper": "document parchment scroll certificate",
    "folder": "dossier",
    "camera": "camcorder webcam",
    "pencil": "pen",
}
SAME = {word: key for key, words in ALIKE.items() for word in words.split()}


def table() -> list[dict]:
    """Rows of `clipart.csv`: path, name, kind (or the reason for leaving it out)."""
    with open(HERE / "clipart.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def read(path: Path) -> str:
    data = path.read_bytes()
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def units(text: str | None) -> float | None:
    found = re.fullmatch(r"\s*([\d.eE+-]+)\s*([a-z]*)\s*", text or "")
    return float(found[1]) * UNITS[found[2]] if found and found[2] in UNITS else None


def sized(svg: str, side: int) -> str:
    """The same drawing, `side` pixels along its longer side.

    resvg refuses sizes in points or millimeters where there is no viewBox.
    """
    tag = re.search(r"<(?:\w+:)?svg\b[^>]*>", svg)
    facts = dict(re.findall(r"\s(width|height|viewBox)\s*=\s*[\"']([^\"']*)", tag[0]))
    box, w, h = facts.get("viewBox"), *(units(facts.get(k)) for k in WIDE_HIGH)
    if box and not (w and h):
        w, h = (float(x) for x in re.split(r"[\s,]+", box.strip())[2:])
    scale = side / max(w, h)
    w, h, box = (
        max(1, round(w * scale)),
        max(1, round(h * scale)),
        box or f"0 0 {w} {h}",
    )
    rest = re.sub(r"\s(width|height|viewBox)\s*=\s*(\"[^\"]*\"|'[^']*')", "", tag[0])
    head = f'<svg viewBox="{box}" width="{w}" height="{h}"'
    return svg[: tag.start()] + rest.replace("<svg", head, 1) + svg[tag.end() :]


def draw(svg: str, side: int = BIG) -> Image.Image:
    """On white, cut to what is drawn; what is small on its page is drawn larger."""
    png = resvg_py.svg_to_bytes(svg_string=sized(svg, side), skip_system_fonts=True)
    ink = Image.open(io.BytesIO(bytes(png))).convert("RGBA")
    page = Image.new("RGBA", ink.size, "white")
    page.alpha_composite(ink)
    page = page.convert("RGB")
    drawn = (np.asarray(page) < INK).any(2)
    y, x = (np.flatnonzero(drawn.any(k)) for k in (1, 0))
    longer = int(max(y[-1] - y[0], x[-1] - x[0])) + 1
    if side == BIG and longer < 200:
        return draw(svg, min(4096, round(BIG * BIG / longer)))
    return page.crop((x[0], y[0], x[-1] + 1, y[-1] + 1))


def tile(picture: Image.Image) -> np.ndarray:
    """A square of `SIDE` pixels with a narrow margin."""
    longer = max(picture.size)
    side = longer + 2 * round(0.03 * longer)
    square = Image.new("RGB", (side, side), "white")
    square.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    way = Image.BOX if longer >= 2 * SIDE else Image.LANCZOS
    return np.asarray(square.resize((SIDE, SIDE), way))


def facts(svg: str) -> tuple[str, list[str], str]:
    """Title, keywords and authors as the file gives them."""
    title = re.search(r"<dc:title>\s*([^<]+)", svg)
    title = " ".join(html.unescape(html.unescape(title[1])).split()) if title else ""
    if re.search("Ã.", title):  # bytes of UTF-8 that were read as Latin-1
        title = title.encode("latin-1").decode("utf-8")
    words = re.findall(r"<rdf:li>\s*([^<]+?)\s*</rdf:li>", svg)
    people = re.findall(r"<cc:Agent.*?<dc:title[^>]*>\s*([^<]+)", svg, re.S)
    return title, [html.unescape(html.unescape(word)) for word in words], plain(people)


def plain(text) -> str:
    """Lowercase, without accents; of a list, its texts joined."""
    text = text if isinstance(text, str) else " ".join(text)
    kept = unicodedata.normalize("NFKD", text.lower())
    return "".join(c for c in kept if not unicodedata.combining(c))


def clean(words: list[str], people: str) -> list[str]:
    """Keywords in order: words, no authors, no file formats, each once."""
    words = (" ".join(re.sub(r"[_\s]+", " ", plain(word)).split()) for word in words)
    return sorted(
        {
            word
            for word in words
            if re.fullmatch(r"[a-z][a-z' -]{2,23}|tv|pc", word)
            and not NOISE.search(word)
            and word not in people
        }
    )


def thing(name: str) -> str:
    """The word that says what is drawn: "head of a bald man" -> "man".

    Example:
        >>> thing("penguin with chick"), thing("two red dice"), thing("cup of coffee")
        ('penguin', 'dice', 'coffee')
    """
    for pattern, label in WHOLE.items():
        if re.search(pattern, name):
            return label
    words = re.sub(f"^{PARTS}", "", name).removesuffix(" head").split()
    stop = next((i for i, w in enumerate(words) if i and w in STOP.split()), None)
    one = singular(words[:stop][-1])
    return SAME.get(one, one)


def singular(word: str) -> str:
    if word in PLURALS:
        return PLURALS[word]
    for end, single in ENDS.items():
        if re.search(end, word):
            return re.sub(end, single, word)
    return word


def groups(names: list[str], tiles: np.ndarray) -> list[str]:
    """Group of each: the thing, joined where two pictures are nearly the same."""
    group = [thing(name) for name in names]
    small = tiles.reshape(len(tiles), SIDE // 2, 2, SIDE // 2, 2, 3).mean((2, 4))
    ink = 255 - small.reshape(len(tiles), -1)
    size = (ink**2).sum(1)
    for i in range(len(ink)):
        apart = np.sqrt(
            np.maximum(size[: i + 1] + size[i] - 2 * ink[: i + 1] @ ink[i], 0)
        )
        for j in np.flatnonzero(
            apart < NEAR * np.sqrt(np.minimum(size[: i + 1], size[i]))
        ):
            one, other = sorted((group[i], group[j]))
            group = [one if name == other else name for name in group]
    return group


def main(root: str) -> None:
    folder, rows, extra = Path(root) / SVGS, table(), defaultdict(list)
    for row in rows:
        if row["kind"].startswith("twin of "):
            _, words, people = facts(read(folder / row["path"]))
            extra[row["kind"].removeprefix("twin of ")] += clean(words, people)
    kept, tiles = [], []
    for row in (row for row in rows if row["name"]):
        svg = read(folder / row["path"])
        if "PublicDomain" not in svg:
            raise ValueError(f"{row['path']} expected a file in the public domain.")
        title, words, people = facts(svg)
        words = sorted({*clean(words, people), *extra[row["path"]]} - {row["name"]})
        title = row["name"] if RUDE.search(title) else title
        kept.append([row["name"], title, "|".join(words), row["kind"]])
        tiles.append(tile(draw(svg)))
    found = groups([row[0] for row in kept], np.stack(tiles))
    atlas = np.full((-(-len(kept) // COLUMNS) * SIDE, COLUMNS * SIDE, 3), 255, np.uint8)
    for i, picture in enumerate(tiles):
        y, x = i // COLUMNS * SIDE, i % COLUMNS * SIDE
        atlas[y : y + SIDE, x : x + SIDE] = picture
    FOLDER.mkdir(exist_ok=True)
    Image.fromarray(atlas).save(
        FOLDER / "atlas.webp", lossless=True, quality=100, method=5
    )
    with open(FOLDER / "rows.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["name", "title", "keywords", "category", "group", "source"])
        sources = [row["path"] for row in rows if row["name"]]
        for row, group, source in zip(kept, found, sources, strict=True):
            writer.writerow([*row, group, source])


if __name__ == "__main__":
    main(sys.argv[1])
