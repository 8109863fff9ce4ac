"""The reference model in MLServer, with its adaptive batching: serial, 20 ms + 1 ms an item asleep."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

from mlserver import MLModel
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput

ANSWER = [0.125, 0.25, 0.0625, 0.5, 0.001, 0.002, 0.003, 0.004, 0.005, 0.006]


class Reference(MLModel):
    async def load(self) -> bool:
        # One thread: one call after the other.
        self._one = ThreadPoolExecutor(max_workers=1)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        rows = payload.inputs[0].shape[0]
        await asyncio.get_running_loop().run_in_executor(self._one, time.sleep, (20 + rows) / 1000)
        output = ResponseOutput(name="y", shape=[rows, len(ANSWER)], datatype="FP64", data=ANSWER * rows)
        return InferenceResponse(model_name=self.name, outputs=[output])
