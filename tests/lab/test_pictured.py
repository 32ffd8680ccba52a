import torch

from mmdl_lib.lab import pictured


def test_the_nearest_are_those_of_largest_cosine_in_order():
    true = torch.tensor([[1.0, 0.0], [3.0, 3.0], [0.0, -1.0]])
    order, cosine = pictured.nearest(torch.tensor([[5.0, 1.0]]), true, top=2)
    assert order == [[0, 1]]
    assert torch.allclose(cosine[0, 0], torch.tensor(5 / 26**0.5))
    assert cosine[0, 2] < 0


def test_drawings_have_a_name_a_vector_and_a_view_each():
    drawn = pictured.drawings()
    assert len(drawn.name) == len(set(drawn.name)) == len(drawn.text)
    assert {"lemon", "goat"} <= set(drawn.name)
    for x in (drawn.text, drawn.picture):
        assert torch.allclose(x.norm(dim=1), torch.ones(len(x)), atol=1e-4)
    row = [drawn.name.index(word) for word in ("goat", "deer", "lemon")]
    goat, deer, lemon = drawn.picture[row]
    assert goat @ deer > goat @ lemon
