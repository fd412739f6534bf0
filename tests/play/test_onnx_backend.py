"""Graphs give the same numbers on every processor."""

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from paracosm.models.byte_product import BYTE_PRODUCT, LARGEST
from paracosm.play.backends.onnx_backend import session_options

ROWS, COLUMNS = 64, 32
"""Enough for the kernel that adds two products of bytes at once."""


def test_the_largest_bytes_are_added_without_overflow() -> None:
    weight = np.full((ROWS, COLUMNS), 127, np.int8)
    graph = helper.make_graph(
        [helper.make_node(BYTE_PRODUCT, ["x", "weight", "scale"], ["y"], domain="com.microsoft")],
        "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4, ROWS])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [4, COLUMNS])],
        [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(np.ones(1, np.float32), "scale")],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), session_options(1))
    x = np.full((4, ROWS), float(LARGEST), np.float32)
    np.testing.assert_array_equal(
        session.run(None, {"x": x})[0], np.full((4, COLUMNS), LARGEST * 127.0 * ROWS)
    )
