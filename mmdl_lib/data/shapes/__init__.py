"""The shapes world: generated pictures of which everything is known.

A scene is a set of one to four objects with shape, color, size, texture and place. The
picture and all that is said about it derive from the scene, so they agree by
construction, and the tests check it from the pixels alone. This is the door to the
world; the rooms are

* `sampling`: scenes by seed, exactly as many as were asked for;
* `scenes`: boxes, masks, labels, relations;
* `drawing`: the pixels;
* `language`: captions, foils, narratives with traces, noisy alt-text;
* `questions`: questions, programs, answers;
* `reading`: what a picture shows, generated ones too, without a network;
* `coco`: export in the format of COCO.
"""

from mmdl_lib.data._pixels import to_bytes, to_float
from mmdl_lib.data.shapes.coco import to_coco
from mmdl_lib.data.shapes.drawing import (
    COLORS,
    OWN,
    RADIUS,
    RGB,
    SHAPES,
    SIZES,
    STYLES,
    TEXTURES,
)
from mmdl_lib.data.shapes.language import (
    ALT_KINDS,
    PHENOMENA,
    AltText,
    Narrative,
    alt_texts,
    alt_words,
    caption_words,
    captions,
    foil_words,
    foils,
    narrative_words,
    narratives,
)
from mmdl_lib.data.shapes.questions import (
    ANSWERS,
    Question,
    question_words,
    questions,
    run_program,
)
from mmdl_lib.data.shapes.reading import STYLES_READ, Seen, color_map, read
from mmdl_lib.data.shapes.sampling import sample
from mmdl_lib.data.shapes.scenes import (
    HELD_OUT,
    LABELS,
    RELATIONS,
    Scenes,
    Thing,
    relation,
)

__all__ = [
    "ALT_KINDS",
    "ANSWERS",
    "COLORS",
    "HELD_OUT",
    "LABELS",
    "OWN",
    "PHENOMENA",
    "RADIUS",
    "RELATIONS",
    "RGB",
    "SHAPES",
    "SIZES",
    "STYLES",
    "STYLES_READ",
    "TEXTURES",
    "AltText",
    "Narrative",
    "Question",
    "Scenes",
    "Seen",
    "Thing",
    "alt_texts",
    "alt_words",
    "caption_words",
    "captions",
    "color_map",
    "foil_words",
    "foils",
    "narrative_words",
    "narratives",
    "question_words",
    "questions",
    "read",
    "relation",
    "run_program",
    "sample",
    "to_bytes",
    "to_coco",
    "to_float",
]
