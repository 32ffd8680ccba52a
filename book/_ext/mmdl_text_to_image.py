"""The table of section 3.2: every model over the same 500 prompts, from its files."""

from docutils import nodes
from mmdl_tables import Table, raw

from mmdl_lib import viz
from mmdl_lib.lab import text_to_image as t2i
from mmdl_lib.viz.look import word


class TextToImage(Table):
    """A figure and a table of `results/text_to_image/*.json`, the most exact first."""

    def run(self) -> list[nodes.Node]:
        place = self.root / "results" / t2i.FOLDER
        for file in sorted(place.glob("*.json")):
            self.env.note_dependency(str(file))
        try:
            found = t2i.rows(place)
            lines = t2i.table(found)
        except (KeyError, ValueError, IndexError, AttributeError) as error:
            self.warn(f"text_to_image: expected rows as `keep` writes them: {error!r}.")
            return []
        if not found:
            return [self.sentence("No model has drawn the prompts yet.")]
        sources = sorted({row["features"] for row in found})
        if len(sources) > 1:
            self.warn(f"text_to_image: expected one kind of features, got {sources}.")
        text = f"FID, precision and recall are measured in features of {sources[0]}."
        figure = viz.shares(**t2i.shares(found=found))
        return [raw(figure._repr_html_()), self.rows(found, lines), self.sentence(text)]

    def rows(self, found: list[dict], lines: list[dict]) -> nodes.table:
        head = [*lines[0], "note"]
        cells = []
        for row, line in zip(found, lines, strict=True):
            name, *numbers = line.values()
            own = [*map(word, numbers), row["note"] or "–"]
            cells.append([self.link(f"sec-{row['slug']}", name), *own])
        return self.table(head, cells, label="Means over seeds")


def setup(app):
    app.add_directive("mmdl-text-to-image", TextToImage)
