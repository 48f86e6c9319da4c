"""A model whose decoder is known: linear in its latents."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from scoring.network import OnnxVAE


def linear_vae(directions: np.ndarray) -> OnnxVAE:
    """Return a model that decodes to 1 plus the latents times directions (L, M)."""
    size, bins = directions.shape

    def graph(
        name: str, given: str, result: dict[str, int], weights: np.ndarray, bias: float
    ) -> bytes:
        nodes, constants = [], [numpy_helper.from_array(np.array(bias, np.float32), "bias")]
        for output in result:
            constants.append(numpy_helper.from_array(weights.astype(np.float32), f"{output}_w"))
            nodes.append(helper.make_node("MatMul", [given, f"{output}_w"], [f"{output}_0"]))
            nodes.append(helper.make_node("Add", [f"{output}_0", "bias"], [output]))

        def tensor(name: str, width: int) -> onnx.ValueInfoProto:
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", width])

        made = helper.make_graph(
            nodes,
            name,
            [tensor(given, len(weights))],
            [tensor(output, width) for output, width in result.items()],
            constants,
        )
        opset = [helper.make_opsetid("", 18)]
        return helper.make_model(made, opset_imports=opset, ir_version=10).SerializeToString()

    encoder = {"latent": size, "log_variance": size}
    return OnnxVAE(
        graph("encoder", "flux", encoder, np.zeros((bins, size)), 0.0),
        graph("decoder", "latent", {"flux": bins}, directions, 1.0),
    )
