"""The class pack: what a lecturer hands out, made from the tags of the notebooks."""
