"""The made-up languages: links that are true, orders that differ, equal by seed."""

import pytest
import torch

from mmdl_lib.lab import made


def test_every_target_word_is_the_translation_of_the_word_that_it_is_linked_to():
    some = made.draw(50, 12, 3)
    meaning = {}
    for source, tokens, link in zip(some.source, some.tokens, some.link, strict=True):
        places = link[link >= 0].tolist()
        # each source word once, frames never
        assert sorted(places) == list(range(1, len(places) + 1))
        for i, j in enumerate(link.tolist()):
            if j >= 0:
                word = tokens[i + 1].item()
                assert meaning.setdefault(source[j].item(), word) == word
    assert len(set(meaning.values())) == len(meaning) > 60


def test_nouns_adjectives_and_the_verb_change_places():
    some = made.draw(200, 9, 1, least=9)
    first = 3 + made.NOUNS
    kinds = (some.source >= first).int() + (
        some.source >= first + made.ADJECTIVES
    ).int()
    for row, link in zip(kinds, some.link, strict=True):
        said, places = row[1:10].tolist(), link[link >= 0].tolist()
        assert said.index(2) == 8 and said.count(2) == 1  # the verb is last
        assert said[0] == 0 and [1, 1] not in [said[k : k + 2] for k in range(8)]
        order = [said[j - 1] for j in places]
        assert order[:2] in ([0, 2], [1, 0])  # noun and verb, or adjective and noun
        for j, (one, two) in enumerate(zip(said, said[1:], strict=False)):
            if (one, two) == (0, 1):  # the adjective comes right before its noun
                assert places.index(j + 2) + 1 == places.index(j + 1)


def test_a_word_and_its_translation_have_the_same_name():
    some = made.draw(30, 12, 4)
    for source, tokens, link in zip(some.source, some.tokens, some.link, strict=True):
        said, meant = made.words(source), made.words(tokens, translated=True)
        assert [said[j - 1].upper() for j in link.tolist() if j >= 0] == meant
    ids = torch.tensor([1, 3, 42, 43, 62, 63, 82, 2, 0])
    assert made.words(ids) == ["n0", "n39", "a0", "a19", "v0", "v19"]


def test_lengths_are_those_that_were_asked_for_and_all_occur():
    some = made.draw(300, 12, 2)
    assert set((some.source_mask.sum(1) - 2).tolist()) == set(range(4, 13))
    assert (made.draw(20, 7, 2, least=7).source_mask.sum(1) == 9).all()
    assert torch.equal(some.mask.sum(1), some.source_mask.sum(1))


def test_equal_seeds_give_equal_sentences_and_others_others():
    one, two, other = (made.draw(5, 8, seed) for seed in (1, 1, 2))
    assert torch.equal(one.source, two.source)
    assert not torch.equal(one.source[:, :6], other.source[:, :6])


def test_weights_on_the_true_words_find_all_links_and_the_diagonal_no_moved_one():
    some = made.draw(40, 10, 5)
    right = torch.nn.functional.one_hot(some.link.clamp(min=0), some.source.shape[1])
    assert made.found(right.float(), some) == {"links": 1.0, "moved": 1.0}
    straight = torch.eye(some.source.shape[1]).roll(1, 1)
    straight = straight[None, : some.link.shape[1]].expand(40, -1, -1)
    shares = made.found(straight, some)
    assert shares["moved"] == 0 and 0 < shares["links"] < 0.5
    # one place beside the diagonal is not far, two places are
    for off, far in ((1, False), (-1, False), (2, True), (-2, True)):
        assert (made.found(straight.roll(off, 2), some)["moved"] > 0) == far, off


def test_accuracy_counts_words_and_neither_ends_nor_padding():
    some = made.draw(30, 9, 6)

    class Knows(torch.nn.Module):
        """Right on all but what it is told to miss."""

        def logits(self, tokens, source, source_mask):
            target = torch.nn.functional.pad(tokens[:, 1:], (0, 1))
            said = torch.where(self.misses, 0, target)
            return torch.nn.functional.one_hot(said, made.VOCAB).float()

    model, words = Knows(), some.link >= 0
    model.misses = ~words  # ends and padding
    assert made.accuracy(model, some) == 1
    first = torch.zeros_like(words)
    first[:, 0] = True
    model.misses = first
    share = 1 - 30 / words.sum().item()
    assert made.accuracy(model, some) == pytest.approx(share)


@pytest.mark.parametrize(("b", "words", "least"), [(0, 5, 4), (2, 3, 4), (2, 5, 1)])
def test_other_sizes_are_refused(b, words, least):
    with pytest.raises(ValueError, match="expected"):
        made.draw(b, words, 0, least=least)
