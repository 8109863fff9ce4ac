"""What all clients ask, and how their answers are shown: see ask_triton.py and ask_kserve.py."""

import asyncio
import json
import logging
import os

import numpy as np

CALLERS = 48
INT64 = [2**63 - 1, -(2**63), 0, 2**53 + 1]


def arrays(caller: int) -> dict:
    """What one caller sends; three kinds, so that lanes fill side by side."""
    if caller % 3 == 0:
        return {"x": np.array([[INT64[(caller // 3) % 4], caller]], dtype=np.int64)}
    if caller % 3 == 1:
        return {"x": (np.arange((1 + caller % 2) * 3, dtype=np.float32) / 7 + caller).reshape(-1, 3)}
    return {"x": np.array([[f"é {caller}".encode()], [b""]], dtype=object)}


def shown(array) -> list:
    array = np.asarray(array)
    values = [v.decode() if isinstance(v, bytes) else str(v) for v in array.reshape(-1)]
    return [str(array.dtype), list(array.shape), values]


async def attempt_async(call, error_of) -> dict:
    try:
        return await call
    except Exception as error:
        return error_of(error)


async def at_once(one, error_of) -> dict:
    answers = await asyncio.gather(*[attempt_async(one(caller), error_of) for caller in range(CALLERS)])
    return {f"at once {caller}": answer for caller, answer in enumerate(answers)}


def main(ask) -> None:
    """Prints what `ask(server, rest, grpc)` says. Importing KServe reads the command line, so these come as variables."""
    logging.disable(logging.CRITICAL)
    print(json.dumps(ask(os.environ["PEER_SERVER"], os.environ["PEER_REST"], os.environ["PEER_GRPC"])))
