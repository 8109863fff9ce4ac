"""Asks a server by KServe's own clients."""

import asyncio

import httpx
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest
from kserve.inference_client import RESTConfig

from asked import arrays, at_once, attempt_async, main, shown


def of_kserve(response) -> dict:
    outputs = {output.name: shown(output.as_numpy()) for output in response.outputs}
    return {"id": response.id, "model": response.model_name, "outputs": outputs}


def error_of(error: Exception) -> dict:
    if isinstance(error, httpx.HTTPStatusError):
        return {"error": error.response.text, "status": error.response.status_code}
    if hasattr(error, "code"):
        return {"error": error.details(), "status": error.code().name}
    return {"error": f"{type(error).__name__}: {error}"}


def kserve_request(caller: int, binary: bool) -> InferRequest:
    inputs = []
    for name, array in arrays(caller).items():
        datatype = {"int64": "INT64", "float32": "FP32", "object": "BYTES"}[str(array.dtype)]
        each = InferInput(name, list(array.shape), datatype)
        each.set_data_from_numpy(array, binary_data=binary)
        inputs.append(each)
    return InferRequest(model_name="peer", infer_inputs=inputs, request_id=f"c{caller}")


async def ask_kserve_rest(rest: str, binary: bool) -> dict:
    client = InferenceRESTClient(RESTConfig(protocol="v2"))

    async def one(caller):
        return of_kserve(await client.infer(rest, kserve_request(caller, binary), model_name="peer"))

    said = {"ready": await attempt_async(client.is_server_ready(rest), error_of)}
    said["model ready"] = await attempt_async(client.is_model_ready(rest, "peer"), error_of)
    said["an unknown model"] = await attempt_async(client.infer(rest, kserve_request(1, binary), model_name="nobody"), error_of)
    said |= await at_once(one, error_of)
    await client.close()
    return said


async def ask_kserve_v1(rest: str) -> dict:
    client = InferenceRESTClient(RESTConfig(protocol="v1"))

    async def one(caller):
        rows = [[caller, 0.5], [1e300, caller]] if caller % 2 else [[caller, -1]]
        return await client.infer(rest, {"instances": rows}, model_name="strict" if caller % 8 == 2 else "peer")

    said = {"an unknown model": await attempt_async(client.infer(rest, {"instances": [[1]]}, model_name="nobody"), error_of)}
    said |= await at_once(one, error_of)
    await client.close()
    return said


async def ask_kserve_grpc(url: str, binary: bool) -> dict:
    client = InferenceGRPCClient(url, retries=0)

    async def one(caller):
        return of_kserve(await client.infer(kserve_request(caller, binary)))

    said = {"ready": await client.is_server_ready(), "live": await client.is_server_live()}
    said |= await at_once(one, error_of)
    await client.close()
    return said


def ask(server: str, rest: str, grpc: str) -> dict:
    said = {}
    # MLServer has no binary tensors over REST, and no V1.
    for binary in [False, True] if server == "kserve" else [False]:
        form = "binary" if binary else "JSON"
        said[f"InferenceRESTClient, V2 {form}"] = asyncio.run(ask_kserve_rest(rest, binary))
    if server == "kserve":
        said["InferenceRESTClient, V1"] = asyncio.run(ask_kserve_v1(rest))
    for binary in [True, False]:
        form = "raw" if binary else "typed"
        said[f"InferenceGRPCClient, {form}"] = asyncio.run(ask_kserve_grpc(grpc, binary))
    return said


if __name__ == "__main__":
    main(ask)
