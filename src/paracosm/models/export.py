"""Writes the ONNX graphs that play without torch; their weights stay in model.safetensors, stored once.

Every weight of a graph is external data that points into the safetensors file beside it, by offset, followed
by a cast to float32 and, for bytes, a multiplication by their scales; ONNX Runtime folds both when it opens
the graph. This file does NOT know worlds or sessions.
"""

from __future__ import annotations

import io
import json
import logging
import struct
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from paracosm.core.errors import DataError
from paracosm.core.extras import need
from paracosm.core.token_spec import SIZES_NOTE
from paracosm.core.world_spec import (
    CACHE_ORDER,
    CACHE_ORDER_NOTE,
    PLACES,
    SCALE_SUFFIX,
    WEIGHTS_FILE,
    Arithmetic,
)

from .byte_product import BYTE_PRODUCT
from .dynamics_flow import FlowDynamics
from .dynamics_maskgit import MaskGITDynamics
from .frame_codec import DecodeFrame, EncodeFrame, first_states
from .frame_step import FrameCondition, FrameStep, FrameWrite, empty_ring
from .token_step import (
    CodesCondition,
    CodesStep,
    CodesWrite,
    DecodeCodes,
    EncodeCodes,
    empty_place,
    stack_sizes,
)
from .tokenizer_vae import TokenizerVAE
from .tokenizer_vq import TokenizerVQ

_CACHED = ("new_keys", "new_values")
"""What a pass hands to the cache."""

OPSET = 18
"""Oldest operator set that has every operator used; players older than it are from before 2023."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Graph:
    """One function to export.

    Attributes:
        name: file name without suffix.
        module: the function; its weights are those of ``network`` below it.
        network: attribute of ``module`` whose folder holds the weights.
        inputs: example inputs by name, in order.
        outputs: names of the outputs.
        free_axes: for inputs and outputs with axes that may have any length, the names of these lengths.
        extra_operators: operator sets beyond the standard one, with their versions.
        notes: words that the graph carries along for who runs it.
    """

    name: str
    module: nn.Module
    network: str
    inputs: Mapping[str, Tensor]
    outputs: Sequence[str]
    free_axes: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    extra_operators: Mapping[str, int] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)


def tokenizer_graphs(tokenizer: TokenizerVAE) -> list[Graph]:
    """Graphs of a tokenizer: encode and decode one frame."""
    config = tokenizer.config
    image = torch.zeros(config.height, config.width, 3, dtype=torch.uint8)
    latents = torch.zeros(config.latent_channels, config.latent_height, config.latent_width)
    encoder, decoder = first_states(tokenizer)
    return [
        Graph(
            name="encode",
            module=EncodeFrame(tokenizer),
            network="tokenizer",
            inputs={"image": image} | _named("state", encoder),
            outputs=["latents", *_named("next_state", encoder)],
        ),
        Graph(
            name="decode",
            module=DecodeFrame(tokenizer),
            network="tokenizer",
            inputs={"latents": latents} | _named("state", decoder),
            outputs=["image", *_named("next_state", decoder)],
        ),
    ]


def dynamics_graphs(dynamics: FlowDynamics, arithmetic: Arithmetic = "float32") -> list[Graph]:
    """Graphs of the dynamics: the condition of a frame, one pass, and the pass that fills the cache.

    Args:
        dynamics: the network.
        arithmetic: how the passes multiply; int8 for weights that will lie beside it as int8.
    """
    config = dynamics.config
    condition = FrameCondition(dynamics)
    keys, values, mask = empty_ring(config)
    first = {
        "levels": torch.tensor([1.0, 0.5]),
        "known": torch.tensor([True, False]),
        "control": torch.zeros(1, config.control_width),
        "angle": torch.zeros(config.head_width // 4),
    }
    with torch.no_grad():
        modulation, cos, sin = condition(*first.values())
    latents = torch.zeros(config.latent_channels, config.latent_height, config.latent_width)
    step = {"x": latents, "modulation": modulation[0], "cos": cos, "sin": sin, "mask": mask}

    def whole_pass(name: str, module: FrameStep, outputs: Sequence[str]) -> Graph:
        return Graph(
            name=name,
            module=module,
            network="dynamics",
            inputs=step | _named("keys", keys) | _named("values", values),
            outputs=outputs,
            free_axes={
                "mask": {0: PLACES},
                **{key: {1: PLACES} for key in _named("keys", keys)},
                **{key: {2: PLACES} for key in _named("values", values)},
            },
            extra_operators={"com.microsoft": 1},
            notes={CACHE_ORDER_NOTE: CACHE_ORDER},
        )

    return [
        Graph(
            name="condition",
            module=condition,
            network="dynamics",
            inputs=first,
            outputs=["modulation", "cos", "sin"],
            free_axes={key: {0: "passes"} for key in ("levels", "known", "modulation")},
        ),
        whole_pass("step", FrameStep(dynamics, arithmetic), ["clean", *_CACHED]),
        whole_pass("write", FrameWrite(dynamics, arithmetic), _CACHED),
    ]


def token_graphs(
    tokenizer: TokenizerVQ, dynamics: MaskGITDynamics, arithmetic: Arithmetic = "float32"
) -> tuple[list[Graph], list[Graph]]:
    """Graphs of a world of tokens: those of its tokenizer, and those of its dynamics.

    Args:
        tokenizer: multiplies in floating point, so that codes stay what they were in training.
        dynamics: the network of the passes.
        arithmetic: how the passes multiply; int8 for weights that will lie beside it as int8.
    """
    config = tokenizer.config
    image = torch.zeros(config.height, config.width, 3, dtype=torch.uint8)
    codes = {"codes": torch.zeros(config.tokens_per_frame, dtype=torch.int64)}
    first = {"action": torch.zeros(1, dtype=torch.int64), "known": torch.tensor([True])}
    condition = CodesCondition(dynamics)
    with torch.no_grad():
        told = {"told": condition(*first.values())}
    return [
        _token_graph("encode", EncodeCodes(tokenizer), "tokenizer", {"image": image}, ["codes_found"]),
        _token_graph("decode", DecodeCodes(tokenizer), "tokenizer", codes, ["image_made"]),
    ], [
        Graph(name="condition", module=condition, network="dynamics", inputs=first, outputs=["told"]),
        _token_graph("step", CodesStep(dynamics, arithmetic), "dynamics", {**codes, **told}, ["logits"]),
        _token_graph("write", CodesWrite(dynamics, arithmetic), "dynamics", {**codes, **told}, []),
    ]


def _token_graph(
    name: str,
    module: EncodeCodes | DecodeCodes | CodesStep,
    network: str,
    inputs: Mapping[str, Tensor],
    made: list[str],
) -> Graph:
    place = empty_place(module.run.stack)
    return Graph(
        name=name,
        module=module,
        network=network,
        inputs={**inputs, **place},
        outputs=[*made, *_CACHED] if place else made,
        extra_operators={"com.microsoft": 1},
        notes={SIZES_NOTE: json.dumps(stack_sizes(module.run.stack)), CACHE_ORDER_NOTE: CACHE_ORDER},
    )


def export_graphs(graphs: Sequence[Graph], folder: Path) -> None:
    """Write graphs beside the weights of their network.

    Args:
        graphs: of one network.
        folder: holds the network's model.safetensors.

    Raises:
        MissingPackageError: when onnx is not installed.
        DataError: when a weight of the graph is not in the file.
    """
    need("onnx", "train")
    places = _tensor_places(folder / WEIGHTS_FILE)
    for graph in graphs:
        model = _trace(graph)
        _point_to_weights(model, graph, places)
        (folder / f"{graph.name}.onnx").write_bytes(model.SerializeToString())
        logger.info("wrote %s/%s.onnx, %d operators", folder, graph.name, len(model.graph.node))


def _trace(graph: Graph) -> Any:
    onnx = need("onnx", "train")
    buffer = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        # The tracing exporter is announced to go; the newer one renames weights, which pointing to them by
        # name forbids.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            graph.module.eval(),
            tuple(graph.inputs.values()),
            buffer,  # pyright: ignore[reportArgumentType]
            dynamo=False,
            do_constant_folding=False,  # folding would copy transposed weights into the graph
            opset_version=OPSET,
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            dynamic_axes={name: dict(axes) for name, axes in graph.free_axes.items()},
            custom_opsets=dict(graph.extra_operators),
        )
    model = onnx.load_model_from_string(buffer.getvalue())
    model.doc_string = ""
    onnx.helper.set_model_props(model, dict(graph.notes))
    for node in model.graph.node:
        node.doc_string = ""
    return model


def _point_to_weights(model: Any, graph: Graph, places: Mapping[str, _Place]) -> None:
    """Replace each weight in the graph by a pointer into the file and by what reads it from there."""
    onnx = need("onnx", "train")
    weights = {
        f"{graph.network}.{name}": name for name in graph.module.get_submodule(graph.network).state_dict()
    }
    products = _byte_products(model)
    readers, scales = [], []
    for initializer in model.graph.initializer:
        name = initializer.name
        if name not in weights:
            continue  # made from the config, e.g. frequencies: small, and not in the file
        if weights[name] not in places:
            raise DataError(f"{weights[name]} is not in {WEIGHTS_FILE}; save the network before its graphs")
        place, scale = places[weights[name]], places.get(weights[name] + SCALE_SUFFIX)
        if name in products and scale is None:
            raise DataError(
                f"{weights[name]} is stored as {place.dtype}, int8 arithmetic multiplies bytes; "
                'save the network with storage "int8"'
            )
        if place.dtype == "F32":
            initializer.CopyFrom(_pointer(name, place))
            continue
        initializer.CopyFrom(_pointer(f"{name}.stored", place))
        if scale is not None:
            scales.append(_pointer(f"{name}.scale", scale))
        if name in products:
            readers.append(onnx.helper.make_node("Reshape", [f"{name}.scale", _FLAT], [f"{name}.columns"]))
            _multiply_bytes(products[name], name)
            continue
        as_float = name if scale is None else f"{name}.unscaled"
        readers.append(
            onnx.helper.make_node("Cast", [initializer.name], [as_float], to=onnx.TensorProto.FLOAT)
        )
        if scale is not None:
            readers.append(onnx.helper.make_node("Mul", [as_float, f"{name}.scale"], [name]))
    if products:
        model.graph.initializer.append(onnx.helper.make_tensor(_FLAT, onnx.TensorProto.INT64, [1], [-1]))
    model.graph.initializer.extend(scales)
    nodes = [*readers, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _byte_products(model: Any) -> dict[str, tuple[Any, Any]]:
    """Find the byte products of a graph: weight name to the nodes that turn it and multiply by it."""
    makers = {name: node for node in model.graph.node for name in node.output}
    products = [node for node in model.graph.node if node.op_type == BYTE_PRODUCT]
    return {makers[node.input[1]].input[0]: (makers[node.input[1]], node) for node in products}


def _multiply_bytes(nodes: tuple[Any, Any], name: str) -> None:
    """Hand a byte product the stored bytes of a weight, and its scales as one row."""
    turn, product = nodes
    turn.input[0] = f"{name}.stored"
    product.input.append(f"{name}.columns")


def _pointer(name: str, place: _Place) -> Any:
    """Make an initializer whose content lies in the weights file beside the graph."""
    proto = need("onnx", "train").TensorProto
    pointer = proto(
        name=name,
        data_type=proto.DataType.Value(_ONNX_TYPES[place.dtype]),
        dims=place.shape,
        data_location=proto.EXTERNAL,
    )
    for word, value in (("location", WEIGHTS_FILE), ("offset", place.offset), ("length", place.length)):
        pointer.external_data.add(key=word, value=str(value))
    return pointer


@dataclass(frozen=True)
class _Place:
    """Where one tensor lies in a safetensors file; offset from the start of the file and length in bytes."""

    dtype: str
    shape: tuple[int, ...]
    offset: int
    length: int


def _tensor_places(path: Path) -> dict[str, _Place]:
    with path.open("rb") as file:
        header_length = struct.unpack("<Q", file.read(8))[0]
        header = json.loads(file.read(header_length))
    data = 8 + header_length
    places = {}
    for name, entry in header.items():
        if name != "__metadata__":
            first, last = entry["data_offsets"]
            places[name] = _Place(entry["dtype"], tuple(entry["shape"]), data + first, last - first)
    return places


def _named(name: str, tensors: Sequence[Tensor]) -> dict[str, Tensor]:
    return {f"{name}_{i}": tensor for i, tensor in enumerate(tensors)}


_FLAT = "flat"
_ONNX_TYPES = {"F16": "FLOAT16", "F32": "FLOAT", "I8": "INT8"}
