"""The reference model in BentoML, with its adaptive batching: serial, 20 ms + 1 ms an item asleep.

bentoml serve bentoml_reference:Reference
"""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import bentoml
import numpy as np

ANSWER = [0.125, 0.25, 0.0625, 0.5, 0.001, 0.002, 0.003, 0.004, 0.005, 0.006]


@bentoml.service(workers=1, traffic={"timeout": 60, "max_concurrency": 10000})
class Reference:
    def __init__(self) -> None:
        # One thread: one call after the other.
        self._one = ThreadPoolExecutor(max_workers=1)

    @bentoml.api(batchable=True, batch_dim=0, max_batch_size=32, max_latency_ms=200)
    async def predict(self, x: np.ndarray) -> np.ndarray:
        await asyncio.get_running_loop().run_in_executor(self._one, time.sleep, (20 + len(x)) / 1000)
        return np.array([ANSWER] * len(x))
