"""Asks a server by every kind of tritonclient. KServe's client cannot be in one process with it: both name their messages alike."""

import asyncio

import numpy as np
import tritonclient.grpc as triton_grpc
import tritonclient.grpc.aio as triton_grpc_aio
import tritonclient.http as triton_http
import tritonclient.http.aio as triton_http_aio
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from asked import CALLERS, arrays, at_once, main, shown


def of_triton(result, names=("x_out", "sums")) -> dict:
    response = result.get_response()
    own = response if isinstance(response, dict) else {"id": response.id, "model_name": response.model_name}
    tensors = {name: result.as_numpy(name) for name in names}
    outputs = {name: shown(tensor) for name, tensor in tensors.items() if tensor is not None}
    return {"id": own.get("id"), "model": own.get("model_name"), "outputs": outputs}


def error_of(error: Exception) -> dict:
    if isinstance(error, InferenceServerException):
        return {"error": error.message(), "status": error.status()}
    return {"error": f"{type(error).__name__}: {error}"}


def attempt(call) -> dict:
    try:
        return call()
    except Exception as error:
        return error_of(error)


def triton_inputs(module, given: dict, **ways) -> list:
    inputs = []
    for name, array in given.items():
        each = module.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
        each.set_data_from_numpy(array, **ways)
        inputs.append(each)
    return inputs


BAD = {
    "an unknown model": ("nobody", {"x": np.ones((1, 4), dtype=np.float32)}),
    "a missing input": ("strict", {"y": np.ones((1, 4), dtype=np.float32)}),
    "another datatype": ("strict", {"x": np.ones((1, 4), dtype=np.float64)}),
    "another shape": ("strict", {"x": np.ones((1, 3), dtype=np.float32)}),
    "too many rows": ("strict", {"x": np.ones((65, 4), dtype=np.float32)}),
    "a refused row": ("strict", {"x": -np.ones((1, 4), dtype=np.float32)}),
}


def of_the_server(client, **ways) -> dict:
    return {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "model ready": client.is_model_ready("peer"),
        "metadata": attempt(lambda: client.get_server_metadata(**ways)),
        "model metadata": attempt(lambda: client.get_model_metadata("peer", **ways)),
    }


def headers_of(binary: bool) -> dict:
    """Without raw tensors tritonclient names no content type, and KServe takes such a body for bytes."""
    return {} if binary else {"content-type": "application/json"}


def ask_triton_http(rest: str, binary: bool) -> dict:
    with triton_http.InferenceServerClient(rest.removeprefix("http://"), concurrency=CALLERS) as client:

        headers = headers_of(binary)

        def inputs(given):
            return triton_inputs(triton_http, given, binary_data=binary)

        def outputs():
            return [triton_http.InferRequestedOutput("x_out", binary_data=binary)]

        said = of_the_server(client)
        for what, (model, given) in BAD.items():
            said[what] = attempt(lambda: of_triton(client.infer(model, inputs(given), request_id="bad", headers=headers)))
        for caller in range(6):
            result = client.infer("peer", inputs(arrays(caller)), request_id=f"c{caller}", outputs=outputs(), headers=headers)
            said[f"alone {caller}"] = of_triton(result, ["x_out"])
        pending = [
            client.async_infer("peer", inputs(arrays(c)), request_id=f"c{c}", outputs=outputs(), headers=headers)
            for c in range(CALLERS)
        ]
        for caller, each in enumerate(pending):
            said[f"at once {caller}"] = attempt(lambda: of_triton(each.get_result(), ["x_out"]))
    return said


async def ask_triton_http_aio(rest: str, binary: bool) -> dict:
    async with triton_http_aio.InferenceServerClient(rest.removeprefix("http://")) as client:

        async def one(caller):
            inputs = triton_inputs(triton_http_aio, arrays(caller), binary_data=binary)
            outputs = [triton_http_aio.InferRequestedOutput("x_out", binary_data=binary)]
            own = {"request_id": f"c{caller}", "outputs": outputs, "headers": headers_of(binary)}
            return of_triton(await client.infer("peer", inputs, **own), ["x_out"])

        return await at_once(one, error_of)


def ask_triton_grpc(url: str) -> dict:
    with triton_grpc.InferenceServerClient(url) as client:
        said = of_the_server(client, as_json=True)
        for what, (model, given) in BAD.items():
            said[what] = attempt(
                lambda: of_triton(client.infer(model, triton_inputs(triton_grpc, given), request_id="bad"))
            )
        for caller in range(6):
            result = client.infer("peer", triton_inputs(triton_grpc, arrays(caller)), request_id=f"c{caller}")
            said[f"alone {caller}"] = of_triton(result)
    return said


async def ask_triton_grpc_aio(url: str) -> dict:
    async with triton_grpc_aio.InferenceServerClient(url) as client:

        async def one(caller):
            inputs = triton_inputs(triton_grpc_aio, arrays(caller))
            return of_triton(await client.infer("peer", inputs, request_id=f"c{caller}"))

        return await at_once(one, error_of)


def ask(server: str, rest: str, grpc: str) -> dict:
    said = {}
    # MLServer has no binary tensors over REST.
    for binary in [False, True] if server == "kserve" else [False]:
        form = "binary" if binary else "JSON"
        said[f"tritonclient.http, {form}"] = ask_triton_http(rest, binary)
        said[f"tritonclient.http.aio, {form}"] = asyncio.run(ask_triton_http_aio(rest, binary))
    said["tritonclient.grpc"] = ask_triton_grpc(grpc)
    said["tritonclient.grpc.aio"] = asyncio.run(ask_triton_grpc_aio(grpc))
    return said


if __name__ == "__main__":
    main(ask)
