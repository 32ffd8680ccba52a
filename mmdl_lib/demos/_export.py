"""What the recipes of the demos share: nets as ONNX, vectors, pictures, whole files."""

import base64
import io
import os
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, Int8, UInt8
from PIL import Image
from torch import Tensor, nn


def network(
    module: nn.Module,
    arguments: tuple,
    inputs: list,
    outputs: list,
    shapes: tuple | None = None,
) -> bytes:
    """A module as ONNX, its large weights in half precision.

    Args:
        module: what to export.
        arguments: an example of its arguments.
        inputs: their names.
        outputs: the names of what it returns.
        shapes: which axes of the arguments have no fixed length, as in `torch.export`;
            none by default.
    """
    import onnx

    program = torch.onnx.export(
        module.eval(),
        arguments,
        input_names=inputs,
        output_names=outputs,
        dynamic_shapes=shapes,
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    model = program.model_proto
    _halve(model.graph)
    for node in (*model.graph.node, *model.graph.input, *model.graph.output):
        node.doc_string = ""
        del node.metadata_props[:]
    del model.graph.value_info[:]
    onnx.checker.check_model(model)
    return model.SerializeToString()


def _halve(graph) -> None:
    """Store the large weights in half precision; a Cast brings them back."""
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for i, tensor in enumerate(graph.initializer):
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < 256:
            continue
        values = numpy_helper.to_array(tensor)
        if np.abs(values).max() > np.finfo(np.float16).max:
            continue  # the causal mask holds the lowest number there is
        half = values.astype(np.float16)
        stored = numpy_helper.from_array(half, tensor.name + "_half")
        casts.append(
            helper.make_node("Cast", [stored.name], [tensor.name], to=TensorProto.FLOAT)
        )
        graph.initializer[i].CopyFrom(stored)
    nodes = casts + list(graph.node)
    del graph.node[:]
    graph.node.extend(nodes)


def quantize(vectors: Float[Tensor, "n d"]) -> Int8[Tensor, "n d"]:
    """Directions in 8 bits: each row has a scale of its own, which nobody needs."""
    scaled = vectors / vectors.abs().amax(1, keepdim=True)
    return (scaled * 127).round().to(torch.int8)


def pixels(image: UInt8[Tensor, "c h w"]) -> str:
    """A picture as base64, channel by channel."""
    return base64.b64encode(image.numpy().tobytes()).decode()


def enlarge(image: UInt8[Tensor, "c h w"], factor: int) -> UInt8[Tensor, "c h2 w2"]:
    """Each pixel as a square of `factor` pixels."""
    return image.repeat_interleave(factor, 1).repeat_interleave(factor, 2)


def to_image(image: UInt8[Tensor, "c h w"]) -> Image.Image:
    """A picture for Pillow; four channels have an alpha."""
    return Image.fromarray(rearrange(image, "c h w -> h w c").contiguous().numpy())


def webp(image: Image.Image, **options) -> bytes:
    """A picture as a WebP file."""
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", method=6, **options)
    return buffer.getvalue()


def write(path: Path, content: bytes) -> None:
    """Write a file that is complete or not there, and say its size."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    temporary.write_bytes(content)
    os.replace(temporary, path)
    print(f"{path.name}: {len(content):,} bytes")
