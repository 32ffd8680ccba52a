"""The quiz bank, as readers of its formats see it.

Moodle's file is read by moodle-xml-parser. The package is read by pyslet, which also
runs an item: points and feedback are what it computes.
"""

import io
import warnings
import zipfile
from types import SimpleNamespace

import pytest
from classroom import quiz
from classroom.chapters import Page, Question, chapters
from classroom.markup import inner, mathml, tex, tree
from lxml import etree
from moodle_xml_parser.parser import parse_bytes

with warnings.catch_warnings():  # it was written for older Pythons
    warnings.simplefilter("ignore")
    import pyslet.qtiv2.xml as reader
    from pyslet.imscpv1p2 import ContentPackage
    from pyslet.qtiv2.variables import Cardinality, ItemSessionState

ONE = Question(
    "toy-one",
    "Is $a < b$ & *so on*?\n\n![A red dot](dot.png)",
    ("`x < y`, **yes**", "$\\log(2N)$"),
    frozenset({1}),
    ("that is {term}`a logit <logit>`.", "see {cite:p}`dosovitskiy2021vit`."),
    "It holds always.\n\nThe next cell shows it.",
)
TWO = Question(
    "toy-two",
    "Look at the figure above. Which?",
    ("a net", "two nets", "three nets", "none"),
    frozenset({0, 2}),
    ("yes.", "no.", "yes again.", "no."),
    "",
)
WRITTEN = chapters()


def toy(folder, *questions):
    page = Page("9.9.9", "Toys/dolls", "notebooks/toy")
    root = folder / "book"
    (root / "notebooks").mkdir(parents=True, exist_ok=True)
    for place in ("dot.png", "book/notebooks/dot.png"):
        (folder / place).write_bytes(b"a red dot")
    return SimpleNamespace(page=page, slug="toy", root=root, questions=[*questions])


@pytest.fixture
def bank(tmp_path):
    """The bank of the two toys: Moodle's questions, the package."""
    quiz.write(tmp_path / "out", [toy(tmp_path, ONE, TWO)])
    made = (tmp_path / "out/toy-quiz-moodle.xml").read_bytes()
    package = zipfile.ZipFile(tmp_path / "out/toy-quiz-qti.zip")
    return etree.fromstring(made), package, parse_bytes(made)["multichoice"]


def item(package, name):
    document = reader.QTIDocument()
    document.read(src=io.BytesIO(package.read(f"items/{name}.xml")))
    return document.root


def answered(asked, *chosen):
    """Points, and the words that are shown, when these options are marked."""
    session = ItemSessionState(asked)
    session.begin_session()
    places = [f"option-{i + 1}" for i in chosen]
    single = asked.declarations["RESPONSE"].cardinality == Cardinality.single
    session["RESPONSE"].set_value(places[0] if single else places)
    session.end_attempt()
    said = asked.QTIModalFeedback
    shown = [s for s in said if s.identifier in session["FEEDBACK"].value]
    return session["SCORE"].value, [plain(str(s)) for s in shown]


def plain(markup):
    """The words of a piece of markup."""
    return " ".join("".join(etree.HTML(f"<p>{markup}</p>").itertext()).split())


@pytest.mark.parametrize("chapter", WRITTEN, ids=[c.slug for c in WRITTEN])
def test_moodle_reads_every_option_with_its_worth_and_why(chapter):
    items = quiz.items(chapter)
    read = parse_bytes(quiz.moodle(items))["multichoice"]
    assert [q.name for q in read] == [item.name for item in items]
    for question, made in zip(items, read, strict=True):
        assert made.single == question.single
        worth = [option.score_fraction > 0 for option in made.options]
        assert {i for i, positive in enumerate(worth) if positive} == {
            *question.question.right
        }
        for option, text in zip(made.options, question.feedback, strict=True):
            assert plain(option.feedback) == plain(inner(tree(text, inline=True)))


@pytest.mark.parametrize("chapter", WRITTEN, ids=[c.slug for c in WRITTEN])
def test_a_player_gives_a_point_to_right_answers_only_and_says_why(chapter, tmp_path):
    quiz.write(tmp_path, [chapter])
    package = zipfile.ZipFile(tmp_path / f"{chapter.slug}-quiz-qti.zip")
    for question in quiz.items(chapter):
        asked = item(package, question.question.name)
        right = question.question.right
        assert answered(asked, *right)[0] == pytest.approx(1)
        for i, why in enumerate(question.feedback):
            points, said = answered(asked, i)
            assert points == pytest.approx((i in right) / len(right))
            assert len(said) == 2
            assert said[0].split()[0] == why.split()[0]
            assert said[1].endswith("Multimodal Deep Learning, CC BY 4.0.")


def test_who_marks_everything_gets_nothing(bank):
    moodle, package, (_, two) = bank
    worth = [option.score_fraction for option in two.options]
    assert worth == [50, -50, 50, -50]
    asked = item(package, "toy-two")
    assert answered(asked, 0, 2)[0] == 1
    assert answered(asked, 0, 1, 2)[0] == 0.5
    assert answered(asked, 0, 1, 2, 3)[0] == 0
    assert answered(asked, 1, 3)[0] == 0


def test_thirds_are_spelled_as_moodle_knows_them():
    six = TWO._replace(options=tuple("abcdef"), right=frozenset({0, 1, 2}))
    assert [quiz.fraction(six, i) for i in (0, 5)] == ["33.33333", "-33.33333"]


def test_formulas_roles_and_signs_are_what_a_platform_shows(bank):
    moodle, package, (one, _) = bank
    html = moodle.findtext("question[name]/questiontext/text")
    assert r"\(a &lt; b\)</span> &amp; <em>so on</em>?" in html
    assert one.options[1].answer == r'<span class="math inline">\(\log(2N)\)</span>'
    assert plain(one.options[0].feedback) == "No: that is a logit."
    assert plain(one.options[1].feedback) == "Right: see (Dosovitskiy et al., 2021)."
    text = package.read("items/toy-one.xml").decode()
    assert 'alttext="a &lt; b"' in text
    assert "<mi>log</mi>" in text
    assert "<code>x &lt; y</code>, <strong>yes</strong>" in text


def test_a_picture_goes_along_with_its_words(bank):
    moodle, package, _ = bank
    image = etree.HTML(moodle.findtext("question[name]/questiontext/text")).find(
        ".//img"
    )
    assert dict(image.attrib) == {"src": "@@PLUGINFILE@@/dot.png", "alt": "A red dot"}
    file = moodle.find("question[name]/questiontext/file")
    assert (file.get("name"), file.text) == ("dot.png", "YSByZWQgZG90")
    assert package.read("items/toy-one/dot.png") == b"a red dot"
    assert b'src="toy-one/dot.png"' in package.read("items/toy-one.xml")


def test_what_is_about_the_page_says_so_with_a_link_or_is_left_out(bank):
    moodle, _, (one, two) = bank
    assert "This is about" not in one.text_pre_parse
    assert "blob/main/notebooks/toy.ipynb" in two.text_pre_parse
    assert plain(one.general_feedback) == (
        "It holds always. From 9.9.9 Toys/dolls, Multimodal Deep Learning, CC BY 4.0."
    )


def test_the_category_keeps_a_slash_of_the_title(bank):
    path = bank[0].findtext("question/category/text")
    assert path == "$course$/top/Multimodal Deep Learning/9.9.9 Toys//dolls"


def test_numbers_keep_their_order_and_words_do_not(tmp_path):
    numbers = ONE._replace(options=("2", "16 of them"))
    first, second = quiz.items(toy(tmp_path, ONE, numbers))
    assert (first.ordered, second.ordered) == (False, True)
    shuffled = [
        q.shuffle_answers
        for q in parse_bytes(quiz.moodle([first, second]))["multichoice"]
    ]
    assert shuffled == [True, False]


def test_one_or_several_options_can_be_marked_in_their_order_or_not(bank, tmp_path):
    numbers = ONE._replace(name="toy-numbers", options=("2", "16 of them"))
    quiz.write(tmp_path / "more", [toy(tmp_path, numbers)])
    more = zipfile.ZipFile(tmp_path / "more/toy-quiz-qti.zip")
    found = []
    for package, name in ((bank[1], "one"), (bank[1], "two"), (more, "numbers")):
        root = etree.fromstring(package.read(f"items/toy-{name}.xml"))
        choice = root.find(".//{*}choiceInteraction")
        prompt = choice.findtext("{*}prompt")
        found.append((choice.get("maxChoices"), choice.get("shuffle"), prompt))
    assert found == [
        ("1", "true", None),
        ("0", "true", "Choose all that are right."),
        ("1", "false", None),
    ]


def test_an_item_holds_elements_of_its_standard_only_and_no_style(tmp_path):
    table = "How many?\n\n| a | b |\n|--:|:-:|\n| $x$ | 2 |"
    quiz.write(tmp_path / "out", [toy(tmp_path, TWO._replace(text=table))])
    package = zipfile.ZipFile(tmp_path / "out/toy-quiz-qti.zip")
    root = etree.fromstring(package.read("items/toy-two.xml"))
    assert len(root.findall(".//{*}td")) == 2
    assert {etree.QName(e).namespace.rsplit("/", 1)[-1] for e in root.iter()} == {
        "imsqti_v2p1",
        "MathML",
    }
    assert not root.findall(".//*[@style]")


def test_the_manifest_names_every_file_of_the_package(bank, tmp_path):
    package = ContentPackage(str(tmp_path / "out/toy-quiz-qti.zip"))
    resources = package.manifest.root.Resources.Resource
    named = {file.href for resource in resources for file in resource.File}
    assert {str(name) for name in named} == {*bank[1].namelist()} - {"imsmanifest.xml"}
    assert [r.type for r in resources] == [
        "imsqti_test_xmlv2p1",
        *["imsqti_item_xmlv2p1"] * 2,
    ]
    package.close()


def test_the_same_questions_make_the_same_bytes(tmp_path):
    both = [quiz.write(tmp_path / name, WRITTEN) for name in "ab"]
    assert len(both[0]) == 2 * len(WRITTEN) + 2
    for one, other in zip(*both, strict=True):
        assert one.name == other.name
        assert one.read_bytes() == other.read_bytes()
    package = zipfile.ZipFile(tmp_path / "a/book-quiz-qti.zip")
    assert {entry.date_time[:3] for entry in package.infolist()} == {(2026, 1, 1)}


def test_the_book_holds_the_questions_of_all_chapters(tmp_path):
    quiz.write(tmp_path, WRITTEN)
    read = parse_bytes((tmp_path / "book-quiz-moodle.xml").read_bytes())
    assert len(read["multichoice"]) == sum(len(c.questions) for c in WRITTEN)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"text": "![](dot.png)"}, r"a picture !\[words\]\(file\) .* got !\[\]\(dot"),
        ({"text": "![A dot](../../dot.png)"}, r"of the repository, got !\[A dot\]"),
        ({"text": "![A dot](gone.png)"}, r"got !\[A dot\]\(gone.png\)"),
        ({"text": ":::{figure} dot.png\n:::"}, r"got a directive \{figure\}"),
        ({"text": "{download}`x`"}, r"a role with plain words, got \{download\}"),
        ({"text": "{cite:t}`nobody1900`"}, "key of book/references.bib, got 'nobody1"),
        ({"text": r"What is $\foo{x}$?"}, r"a sign for, got '\\\\foo\{x\}'"),
    ],
)
def test_what_no_platform_can_show_is_refused(tmp_path, changed, words):
    with pytest.raises(ValueError, match=f"question toy-one: expected .*{words}"):
        quiz.write(tmp_path / "out", [toy(tmp_path, ONE._replace(**changed))])
    assert not (tmp_path / "out").exists()


def test_a_bank_without_questions_or_with_one_twice_is_refused(tmp_path):
    with pytest.raises(
        ValueError, match="expected a chapter with a question, got none"
    ):
        quiz.write(tmp_path / "out", [toy(tmp_path)])
    with pytest.raises(
        ValueError, match="one question of each name, got two of toy-two"
    ):
        quiz.write(tmp_path / "out", [toy(tmp_path, TWO, TWO)])


def test_a_formula_stays_the_same_in_both_forms():
    assert inner(tree("$x_1$", tex, inline=True)).count(r"\(x_1\)") == 1
    math = tree("$$x_1$$", mathml).find(".//{*}math")
    assert (math.get("alttext"), math.get("display")) == ("x_1", "block")
    assert "".join(math.itertext()) == "x1"
