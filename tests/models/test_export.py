"""The graphs compute what the networks compute, and hold no weights of their own."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from paracosm.core.errors import DataError, MissingPackageError
from paracosm.models import export
from paracosm.models.dynamics_flow import FlowDynamics
from paracosm.models.export import Graph, dynamics_graphs, export_graphs, tokenizer_graphs
from paracosm.models.storage import Storage
from paracosm.nn.space_time import AttentionKind
from paracosm.play.backends.onnx_backend import session_options, taken
from tests import tiny

LATENT_TOLERANCE = 2e-5
"""Latents of unit size in float32: ONNX Runtime adds in another order than torch."""
BYTE_TOLERANCE = 2e-2
"""An input that falls between two bytes may be rounded up here and down there: one step of a product."""
BYTE_ERROR = 0.05
"""Rounding inputs to bytes moves what a network of two layers makes by about 1 %."""


def graphs_of(name: str, attention: AttentionKind = "joint", time_kernel: int = 1) -> tuple[Any, list[Graph]]:
    if name == "tokenizer":
        tokenizer = tiny.tokenizer(time_kernel)
        return tokenizer, tokenizer_graphs(tokenizer)
    dynamics = tiny.dynamics(attention)
    return dynamics, dynamics_graphs(dynamics)


def some_inputs(graph: Graph) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    made = {}
    for name, example in graph.inputs.items():
        if example.dtype == torch.uint8:
            made[name] = torch.randint(0, 256, example.shape, generator=generator, dtype=torch.uint8)
        elif example.dtype == torch.bool:
            made[name] = example
        elif name == "mask":
            made[name] = (torch.rand(example.shape, generator=generator) < 0.5).float()
        else:
            made[name] = torch.randn(example.shape, generator=generator)
    for name in made:
        if name.startswith("values_"):
            made[name] *= made["mask"]  # nothing is where the mask says so
    return made


@pytest.mark.parametrize(
    ("name", "attention", "time_kernel"),
    [
        ("tokenizer", "joint", 1),
        ("tokenizer", "joint", 3),
        ("dynamics", "joint", 1),
        ("dynamics", "factorised", 1),
    ],
)
@torch.no_grad()
def test_each_graph_equals_its_module(
    name: str, attention: AttentionKind, time_kernel: int, tmp_path: Path
) -> None:
    network, graphs = graphs_of(name, attention, time_kernel)
    network.save(tmp_path / name)
    export_graphs(graphs, tmp_path / name)
    for graph in graphs:
        inputs = some_inputs(graph)
        session = onnxruntime.InferenceSession(str(tmp_path / name / f"{graph.name}.onnx"))
        made = session.run(None, taken(session, {key: value.numpy() for key, value in inputs.items()}))
        expected = graph.module(*inputs.values())
        for key, one, other in zip(graph.outputs, made, expected, strict=True):
            if other.dtype == torch.uint8:
                assert np.abs(one.astype(int) - other.numpy()).max() <= 1, key
            else:
                np.testing.assert_allclose(one, other.numpy(), atol=LATENT_TOLERANCE, err_msg=key)


@pytest.mark.parametrize("attention", ["joint", "factorised"])
@torch.no_grad()
def test_products_of_bytes_equal_their_module(attention: AttentionKind, tmp_path: Path) -> None:
    tiny.dynamics(attention).save(tmp_path / "dynamics", "int8")
    dynamics = FlowDynamics.load(tmp_path / "dynamics")
    graphs = dynamics_graphs(dynamics, "int8")
    export_graphs(graphs, tmp_path / "dynamics")
    session = onnxruntime.InferenceSession(str(tmp_path / "dynamics" / "step.onnx"), session_options(1))
    inputs = some_inputs(graphs[1])
    made = session.run(None, {key: value.numpy() for key, value in inputs.items()})
    for one, other in zip(made, graphs[1].module(*inputs.values()), strict=True):
        np.testing.assert_allclose(one, other.numpy(), atol=BYTE_TOLERANCE)
    exact = dynamics_graphs(dynamics)[1].module(*inputs.values())[0]
    error = (torch.from_numpy(made[0]) - exact).square().mean().sqrt() / exact.square().mean().sqrt()
    assert 0 < error < BYTE_ERROR


def test_products_of_bytes_want_weights_stored_as_bytes(tmp_path: Path) -> None:
    dynamics = tiny.dynamics("joint")
    dynamics.save(tmp_path / "dynamics", "float16")
    with pytest.raises(
        DataError, match="stored as F16, int8 arithmetic multiplies bytes; save the network with"
    ):
        export_graphs(dynamics_graphs(dynamics, "int8"), tmp_path / "dynamics")


@pytest.mark.parametrize("storage", ["float32", "float16", "int8"])
def test_every_weight_stays_in_the_safetensors_file(storage: Storage, tmp_path: Path) -> None:
    dynamics, graphs = graphs_of("dynamics")
    dynamics.save(tmp_path / "dynamics", storage)
    export_graphs(graphs, tmp_path / "dynamics")
    pointed = set()
    for graph in graphs:
        model = onnx.load(tmp_path / "dynamics" / f"{graph.name}.onnx", load_external_data=False)
        for initializer in model.graph.initializer:
            if initializer.external_data:
                places = {entry.key: entry.value for entry in initializer.external_data}
                assert places["location"] == "model.safetensors"
                pointed.add(initializer.name.removesuffix(".stored").removeprefix("dynamics."))
            else:
                assert np.prod(initializer.dims) <= 64, initializer.name
    assert {name for name, _ in dynamics.named_parameters()} <= pointed


def test_the_number_of_passes_is_free_in_the_condition_graph(tmp_path: Path) -> None:
    dynamics, graphs = graphs_of("dynamics")
    dynamics.save(tmp_path / "dynamics")
    export_graphs(graphs[:1], tmp_path / "dynamics")
    session = onnxruntime.InferenceSession(str(tmp_path / "dynamics" / "condition.onnx"))
    inputs = {key: value.numpy() for key, value in some_inputs(graphs[0]).items()}
    for passes in (1, 5):
        inputs["levels"], inputs["known"] = np.ones(passes, np.float32), np.ones(passes, bool)
        assert session.run(["modulation"], inputs)[0].shape[0] == passes


def test_graphs_before_their_weights_are_refused(tmp_path: Path) -> None:
    tokenizer, _ = graphs_of("tokenizer")
    tokenizer.save(tmp_path / "tokenizer")
    with pytest.raises(DataError, match=r"is not in model\.safetensors; save the network before its graphs"):
        export_graphs(graphs_of("dynamics")[1], tmp_path / "tokenizer")


def test_without_onnx_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def missing(module: str, extra: str) -> None:
        raise MissingPackageError(f'{module} is not installed; run: pip install "paracosm[{extra}]"')

    monkeypatch.setattr(export, "need", missing)
    with pytest.raises(
        MissingPackageError, match=r'onnx is not installed; run: pip install "paracosm\[train\]"'
    ):
        export_graphs([], tmp_path)
