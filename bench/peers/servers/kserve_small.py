"""A real small model on KServe's own server: two layers in numpy, `SMALL_WIDTH` numbers to 256 to 10.

SMALL_WIDTH=600 python kserve_small.py --http_port PORT --grpc_port PORT
"""

import os

import numpy as np
from kserve import Model, ModelServer

WIDTH = int(os.environ["SMALL_WIDTH"])


class Small(Model):
    def __init__(self) -> None:
        super().__init__("bench")
        chance = np.random.default_rng(7)
        self._first = chance.standard_normal((WIDTH, 256), dtype=np.float32) / 16
        self._second = chance.standard_normal((256, 10), dtype=np.float32) / 16
        self.ready = True

    def predict(self, payload, headers=None, response_headers=None):
        rows = np.array(payload["instances"], dtype=np.float32)
        scores = np.maximum(rows @ self._first, 0) @ self._second
        return {"predictions": scores.tolist()}


if __name__ == "__main__":
    ModelServer().start([Small()])
