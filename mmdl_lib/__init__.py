"""mmdl_lib: every model of the book *Multimodal Deep Learning*, one paper a file."""

__version__ = "0.1.0"
