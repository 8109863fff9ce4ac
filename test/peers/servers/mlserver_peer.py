"""Models for MLServer's own server: numpy tensors, strings, and the columns of a table."""

import asyncio
import time
from typing import AsyncIterator

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec, PandasCodec, StringCodec
from mlserver.errors import InferenceError
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput

from rows import Refused, check_strict, row_sums, transformed

CALL_SECONDS = 0.012


class PeerModel(MLModel):
    """Answers each tensor with its transformation, in the content type that it came in."""

    async def load(self) -> bool:
        extra = (self.settings.parameters and self.settings.parameters.extra) or {}
        self._strict = bool(extra.get("strict"))
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        # Without parallel workers this holds the event loop: one call at a time.
        time.sleep(CALL_SECONDS)
        try:
            return self._answer(payload)
        except Refused as refused:
            raise InferenceError(str(refused)) from refused

    async def predict_stream(self, payloads: AsyncIterator[InferenceRequest]) -> AsyncIterator[InferenceResponse]:
        async for payload in payloads:
            for step in range(5):
                await asyncio.sleep(0.02)
                output = StringCodec.encode_output(name="token", payload=[f"step {step}"], use_bytes=False)
                yield InferenceResponse(id=payload.id, model_name=self.name, outputs=[output])

    def _answer(self, payload: InferenceRequest) -> InferenceResponse:
        if payload.parameters is not None and payload.parameters.content_type == "pd":
            table = PandasCodec.decode_request(payload)
            answer = table.assign(total=table.sum(axis=1, numeric_only=True))
            return PandasCodec.encode_response(self.name, answer, model_version=self.version, use_bytes=False)
        tensors = {given.name: NumpyCodec.decode_input(given) for given in payload.inputs if given.datatype != "BYTES"}
        if self._strict:
            check_strict(tensors)
        outputs: list[ResponseOutput] = []
        for given in payload.inputs:
            name = f"{given.name}_out"
            if given.datatype == "BYTES":
                texts = [f"<{text}>" for text in StringCodec.decode_input(given)]
                outputs.append(StringCodec.encode_output(name=name, payload=texts, use_bytes=False))
            else:
                outputs.append(NumpyCodec.encode_output(name=name, payload=transformed(tensors[given.name])))
        for name, tensor in list(tensors.items())[:1]:
            if np.issubdtype(tensor.dtype, np.number):
                outputs.append(NumpyCodec.encode_output(name="sums", payload=row_sums(tensor)))
        if payload.outputs:
            wanted = [each.name for each in payload.outputs]
            by_name = {output.name: output for output in outputs}
            missing = [name for name in wanted if name not in by_name]
            if missing:
                raise Refused(f"there is no output {missing[0]}")
            outputs = [by_name[name] for name in wanted]
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=outputs)
