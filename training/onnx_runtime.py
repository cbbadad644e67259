"""The one door to onnxruntime: a tree ensemble or linear model that answers in tens of microseconds on one thread."""

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


class OnnxFunction:
    """An ONNX model with one matrix as input; calling it gives one of its outputs.

    One thread per session: the server's workers are processes, and threads of a pool would fight over their cores.
    """

    def __init__(self, content: bytes, *, output: int = 0) -> None:
        import onnxruntime  # type: ignore[import-untyped]

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = 3
        self.content = content
        self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        self._output = [self._session.get_outputs()[output].name]

    def __call__(self, matrix: Array) -> Array:
        """The output for an n x k matrix, as it comes from ONNX (32-bit floats)."""
        result: Array = self._session.run(self._output, {self._input: matrix.astype(np.float32, copy=False)})[0]
        return result
