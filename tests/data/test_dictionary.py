import pytest

from mmdl_lib.data import dictionary

INDEX = {  # word, part of speech, senses, pointers ..., senses, tagged, place of each
    "noun": "bee n 2 1 @ 2 0 00000100 00000300\nhoney n 1 0 1 0 00000200\n"
    "new_york n 1 0 1 0 00000400\nleaf n 1 0 1 1 00000500\nleaves n 1 0 1 0 00000100\n"
    "go n 1 0 1 0 00000200\n",
    "verb": "bee v 1 0 1 0 00000100\ngo v 1 0 1 9 00000200\n",
    "adj": "sweet a 1 0 1 0 00000100\n",
    "adv": "",
}
DATA = {
    "noun": '00000100 05 n 01 bee 0 000 | fly\'s friend that likes honey; "a bee"\n'
    "00000200 13 n 01 honey 0 000 | sweetest food (of a leaf) from bees  \n"
    "00000500 20 n 01 leaf 0 000 | leaves of Honey, gone\n",
    "verb": "00000100 38 v 01 bee 0 000 | to be busy\n"
    "00000200 38 v 01 go 0 000 | move\n",
    "adj": "00000100 00 a 01 sweet 0 000 | like honey and sweet things\n",
    "adv": "",
}
COUNTS = (
    "bee%1:05:00:: 1 2\nleaf%1:20:00:: 1 3\nleaf%1:20:01:: 2 4\nbee%2:38:00:: 1 1\n"
    "go%2:38:00:: 1 9\n"
)


@pytest.fixture
def root(tmp_path):
    for kind in dictionary.KINDS:
        (tmp_path / f"index.{kind}").write_text("  1 license\n" + INDEX[kind])
        (tmp_path / f"data.{kind}").write_text("  1 license\n" + DATA[kind])
        irregular = "leaves leaf\n" if kind == "noun" else ""
        (tmp_path / f"{kind}.exc").write_text(irregular)
    (tmp_path / "cntlist.rev").write_text(COUNTS)
    return tmp_path


def test_every_word_of_our_definitions_is_defined():
    whole = dictionary.small()
    assert len(whole) == 174
    assert whole.lost == {}
    assert all(whole.uses.values()), "each definition needs a word to learn from"
    assert list(whole.text) == sorted(whole.text)
    assert not any(word in used for word, used in whole.uses.items())


def test_forms_are_led_back_to_entries():
    uses = dictionary.small().uses
    assert uses["zebra"] == ("horse", "black", "white", "stripe")
    assert uses["read"] == ("know", "word", "person", "write")
    assert uses["animal"] == ("live", "thing", "move", "eat")
    assert uses["buy"] == ("take", "thing", "give", "money")


def test_entries_can_be_left_out():
    whole = dictionary.small(without=["horse"])
    assert len(whole) == 173
    assert whole.uses["zebra"] == ("black", "white", "stripe")
    assert whole.lost == {"horse": 2}
    with pytest.raises(ValueError, match="'hors'"):
        dictionary.small(without=["hors"])


def test_users_turn_the_arrows_around():
    whole = dictionary.small()
    arrows = {(one, word) for word, used in whole.uses.items() for one in used}
    turned = {(one, word) for one, words in whole.users.items() for word in words}
    assert arrows == turned
    assert whole.users["zebra"] == ()


def test_a_word_of_its_own_definition_and_a_function_word_are_passed_over():
    text = {"big": "bigger than a big dog", "dog": "of a dog", "than": "more"}
    whole = dictionary.parse(text)
    assert whole.uses == {"big": ("dog",), "dog": (), "than": ()}
    assert whole.lost == {"bigger": 1}


def test_the_commonest_reading_of_a_form_wins():
    text = {"found": "to begin", "find": "to see", "begin": "found", "see": "to find"}
    irregular = {"found": "find"}
    plain = dictionary.parse(text, irregular=irregular)
    assert plain.uses["begin"] == ("found",)
    weight = dictionary.Counter({"find": 3})
    common = dictionary.parse(text, irregular=irregular, weight=weight)
    assert common.uses["begin"] == ("find",)


def test_wordnet_gives_single_words_with_the_gloss_of_their_first_sense(root):
    whole = dictionary.wordnet(root)
    assert list(whole.text) == ["bee", "go", "honey", "leaf", "leaves", "sweet"]
    assert whole.text["bee"] == "fly's friend that likes honey"
    assert whole.kind["bee"] == "noun.animal" and whole.kind["sweet"] == ""
    assert whole.kind["leaf"] == "noun.plant" and whole.kind["honey"] == "noun.food"
    assert whole.text["go"] == "move", "the verb is met more often than the noun"
    assert whole.uses["honey"] == ("sweet", "bee")
    assert whole.uses["leaf"] == ("honey",)


def test_a_missing_wordnet_names_its_package(tmp_path, as_a_reader):
    with pytest.raises(FileNotFoundError, match="wordnet-base, or give root"):
        dictionary.wordnet(tmp_path)
