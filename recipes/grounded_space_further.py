"""Ask older ways to let word vectors hear of pictures about words that showed none.

Command: python recipes/grounded_space_further.py            (all that is missing)
         python recipes/grounded_space_further.py older:0    (one group, one seed)
         python recipes/grounded_space_further.py summary    (the claims)
Expected: half a minute on a quiet core. A seed says which two thirds of the 321 words
of `data.things` show their picture, and from where the learned ways start.
"""

from mmdl_lib import lab
from mmdl_lib.lab import older as ways


def older(seed: int) -> dict:
    """How cosines follow those of pictures, for words that showed theirs and others."""
    some = ways.split(seed)
    made = ways.ways(some, seed, steps=lab.short(100))
    return {name: ways.follows(vectors, some) for name, vectors in made.items()}


LAB = lab.Lab(
    "grounded_space_further",
    groups={"older": older},
    claims=lab.read_claims(__file__),
    least=16,
)

if __name__ == "__main__":
    LAB.main()
