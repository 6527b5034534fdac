"""EfficientNet-Lite0's classifier at every place of a picture, optimised for a CPU."""

from pathlib import Path

import numpy as np
import onnxruntime
from jaxtyping import Float, UInt8

from hearsight.nn.efficientnet_lite import EfficientNetLite0

GRAPH = Path(__file__).parent / "data" / "efficientnet_lite0_places.onnx"


class PlaceClassifier:
    """Probabilities of ImageNet's classes around every 32nd pixel, with features averaged over 3 x 3 places.

    ONNX Runtime computes them on one core, in two thirds of the time of PyTorch's fused convolutions. The graph is
    written by `scripts/write_place_classifier.py`; the weights are the network's.

    Args:
        network: an EfficientNet-Lite0.
    """

    def __init__(self, network: EfficientNetLite0) -> None:
        weights = {name: value.float().numpy() for name, value in network.state_dict().items()}
        weights["classifier.weight"] = weights["classifier.weight"].T
        given = {
            name: onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(value))
            for name, value in weights.items()
        }
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_external_initializers(list(given), list(given.values()))
        self._session = onnxruntime.InferenceSession(str(GRAPH), options, providers=["CPUExecutionProvider"])

    def __call__(self, rgb: UInt8[np.ndarray, "height width 3"]) -> Float[np.ndarray, "rows columns classes"]:
        """Class probabilities at each place of a picture."""
        (probabilities,) = self._session.run(None, {"picture": np.ascontiguousarray(rgb)[None]})
        return np.asarray(probabilities[0], np.float32)
