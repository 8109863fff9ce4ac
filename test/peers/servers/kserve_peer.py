"""KServe's own server with numpy models.

python kserve_peer.py --http_port PORT --grpc_port PORT
"""

import time

import numpy as np
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer
from kserve.errors import InvalidInput
from kserve.utils.numpy_codec import from_np_dtype, to_np_dtype

from rows import Refused, check_strict, row_sums, transformed

CALL_SECONDS = 0.012


def tensor_of(given) -> np.ndarray:
    if given.datatype == "BYTES" and given._raw_data is None:
        flat = np.array(given.data, dtype=object).reshape(-1)
        values = [v.encode() if isinstance(v, str) else bytes(v) for v in flat]
        return np.array(values, dtype=object).reshape(given.shape)
    if given.datatype == "BYTES":
        return np.asarray(given.as_numpy(), dtype=object)
    return np.asarray(given.as_numpy(), dtype=to_np_dtype(given.datatype))


class PeerModel(Model):
    """Answers each tensor with its transformation, and V1 rows with their sums."""

    def __init__(self, name: str, strict: bool = False):
        super().__init__(name)
        self.strict = strict
        self.ready = True

    async def get_input_types(self):
        return [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}]

    async def get_output_types(self):
        return [{"name": "x_out", "datatype": "FP32", "shape": [-1, 4]}]

    def predict(self, payload, headers=None, response_headers=None):
        # On the event loop, as KServe runs what is not asynchronous: one call at a time.
        time.sleep(CALL_SECONDS)
        try:
            if isinstance(payload, InferRequest):
                return self._tensors(payload)
            return self._rows(payload)
        except Refused as refused:
            raise InvalidInput(str(refused)) from refused

    def _rows(self, payload):
        rows = payload["instances"] if "instances" in payload else payload["inputs"]
        if self.strict and any(min(row) < 0 for row in rows):
            raise Refused("a row is negative")
        return {"predictions": [{"sum": float(sum(row)), "first": row[0]} for row in rows]}

    def _tensors(self, request: InferRequest) -> InferResponse:
        tensors = {given.name: tensor_of(given) for given in request.inputs}
        if self.strict:
            check_strict(tensors)
        answers = {f"{name}_out": transformed(tensor) for name, tensor in tensors.items()}
        numeric = [t for t in tensors.values() if np.issubdtype(t.dtype, np.number)]
        if numeric:
            answers["sums"] = row_sums(numeric[0])
        wanted = [each.name for each in request.request_outputs or []] or list(answers)
        raw = bool(request.from_grpc and any(given._raw_data is not None for given in request.inputs))
        outputs = []
        for name in wanted:
            if name not in answers:
                raise Refused(f"there is no output {name}")
            array = answers[name]
            datatype = "BYTES" if array.dtype == object else from_np_dtype(array.dtype)
            output = InferOutput(name=name, shape=list(array.shape), datatype=datatype)
            output.set_data_from_numpy(array, binary_data=raw or array.dtype == np.float16)
            if not raw and array.dtype != np.float16:
                output.parameters = None
            outputs.append(output)
        return InferResponse(
            response_id=request.id,
            model_name=self.name,
            infer_outputs=outputs,
            use_binary_outputs=request.use_binary_outputs,
            requested_outputs=request.request_outputs,
        )


class FewerRows(Model):
    """Answers one row for all: its replies cannot be told apart by rows."""

    def __init__(self, name: str):
        super().__init__(name)
        self.ready = True

    def predict(self, payload, headers=None, response_headers=None):
        time.sleep(CALL_SECONDS)
        if isinstance(payload, InferRequest):
            total = float(row_sums(tensor_of(payload.inputs[0])).sum())
            output = InferOutput(name="total", shape=[1], datatype="FP64", data=[total])
            return InferResponse(response_id=payload.id, model_name=self.name, infer_outputs=[output])
        return {"predictions": [sum(sum(row) for row in payload["instances"])]}


if __name__ == "__main__":
    ModelServer().start([PeerModel("peer"), PeerModel("strict", strict=True), FewerRows("total")])
