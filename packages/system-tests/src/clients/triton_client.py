"""Drives a running server with Triton's own clients, over HTTP and gRPC.

    triton_client.py HTTP_ADDRESS GRPC_ADDRESS

Serves as the script of a test; what it prints is said in checks.py.
"""

import queue
import sys
import time

import ml_dtypes
import numpy as np
import tritonclient.grpc as grpcclient
import tritonclient.http as httpclient
from checks import check, refused, run
from tritonclient.utils import np_to_triton_dtype

http_address, grpc_address = sys.argv[1:3]
http = httpclient.InferenceServerClient(http_address, concurrency=8)
grpc = grpcclient.InferenceServerClient(grpc_address)

BEYOND = 2**53 + 1

VALUES = {
    "bool": np.array([[True, False], [False, True]]),
    "int8": np.array([[-128, 127], [0, -1]], np.int8),
    "int16": np.array([[-(2**15), 2**15 - 1]], np.int16),
    "int32": np.array([[-(2**31), 2**31 - 1]], np.int32),
    "int64": np.array([[BEYOND, -(2**63)], [2**63 - 1, -BEYOND]], np.int64),
    "uint8": np.array([[0, 255], [127, 128]], np.uint8),
    "uint16": np.array([[0, 2**16 - 1]], np.uint16),
    "uint32": np.array([[0, 2**32 - 1]], np.uint32),
    "uint64": np.array([[BEYOND, 2**64 - 1]], np.uint64),
    "fp16": np.array([[0.1, -65504], [6e-8, np.inf]], np.float16),
    "fp32": np.array([[0.1, -1e30], [3.4e38, 0]], np.float32),
    "fp64": np.array([[0.1, 1e300], [-5e-324, 0]], np.float64),
    "string": np.array([["caf\u00e9".encode(), b""], [b"a" * 1000, "\U0001f680".encode()]], np.object_),
}
DATATYPES = {name: np_to_triton_dtype(array.dtype) for name, array in VALUES.items()}
# In JSON the client has no form for these.
NOT_IN_JSON = {"fp16"}

# What clients look up without asking whether it is there.
STATISTICS = ("success", "fail", "queue", "compute_input", "compute_infer", "compute_output", "cache_hit", "cache_miss")

def same(actual, wanted):
    assert actual is not None, "there is no such output"
    assert actual.shape == wanted.shape, f"{actual.shape} is not {wanted.shape}"
    assert np.array_equal(actual, wanted), f"{actual!r} is not {wanted!r}"


def http_input(array, name="x", datatype=None, binary=True):
    tensor = httpclient.InferInput(name, list(array.shape), datatype or np_to_triton_dtype(array.dtype))
    tensor.set_data_from_numpy(array, binary_data=binary)
    return tensor


def grpc_input(array, name="x", datatype=None):
    tensor = grpcclient.InferInput(name, list(array.shape), datatype or np_to_triton_dtype(array.dtype))
    tensor.set_data_from_numpy(array)
    return tensor


FP32 = VALUES["fp32"]

# ---- both


for client, kind in ((http, "http"), (grpc, "grpc")):

    @check(f"{kind}: the server lives and is ready")
    def _(client=client):
        assert client.is_server_live() and client.is_server_ready()

    @check(f"{kind}: a model is ready, with and without version; one that nobody knows is not")
    def _(client=client):
        assert client.is_model_ready("identity_fp32")
        assert client.is_model_ready("identity_fp32", "1")
        assert not client.is_model_ready("nobody")
        assert not client.is_model_ready("identity_fp32", "7")

    @check(f"{kind}: metadata of the server")
    def _(client=client, kind=kind):
        metadata = client.get_server_metadata()
        name = metadata["name"] if kind == "http" else metadata.name
        extensions = metadata["extensions"] if kind == "http" else list(metadata.extensions)
        assert name == "inferry", name
        for extension in ("binary_tensor_data", "classification", "parameters"):
            assert extension in extensions, extensions

    @check(f"{kind}: metadata of a model")
    def _(client=client, kind=kind):
        metadata = client.get_model_metadata("identity_int64", **({} if kind == "http" else {"as_json": True}))
        assert metadata["versions"] == ["1"], metadata
        assert metadata["platform"] == "onnxruntime_onnx", metadata
        (tensor,) = metadata["inputs"]
        assert (tensor["name"], tensor["datatype"]) == ("x", "INT64"), tensor
        assert [int(size) for size in tensor["shape"]] == [-1, 2], tensor

    @check(f"{kind}: metadata of a model that nobody knows")
    def _(client=client, kind=kind):
        status = "404" if kind == "http" else "StatusCode.NOT_FOUND"
        refused(lambda: client.get_model_metadata("nobody"), status, "nobody")

    @check(f"{kind}: errors name the tensor and what would fit")
    def _(client=client, kind=kind):
        make = http_input if kind == "http" else grpc_input
        status = "400" if kind == "http" else "StatusCode.INVALID_ARGUMENT"
        wide = np.zeros((1, 3), np.float32)
        refused(lambda: client.infer("identity_fp32", [make(wide)]), status, '"x"', "[1,3]")
        refused(lambda: client.infer("identity_fp32", [make(FP32, name="z")]), status, '"z"')
        refused(lambda: client.infer("identity_int64", [make(FP32)]), status, "INT64")
        tall = np.zeros((1000, 2), np.float32)
        refused(lambda: client.infer("identity_fp32", [make(tall)]), status, "1000 rows")

    @check(f"{kind}: infer on a model or a version that is not there")
    def _(client=client, kind=kind):
        make = http_input if kind == "http" else grpc_input
        status = "404" if kind == "http" else "StatusCode.NOT_FOUND"
        refused(lambda: client.infer("nobody", [make(FP32)]), status, "nobody")
        refused(lambda: client.infer("identity_fp32", [make(FP32)], model_version="7"), status, "7")

    @check(f"{kind}: an input that a model throws on is an error of the server")
    def _(client=client, kind=kind):
        make = http_input if kind == "http" else grpc_input
        status = "500" if kind == "http" else "StatusCode.INTERNAL"
        name = "picky"
        spec = client.get_model_metadata(name, **({} if kind == "http" else {"as_json": True}))["inputs"][0]
        dtype = {"INT64": np.int64, "FP32": np.float32, "INT32": np.int32}[spec["datatype"]]
        bad = np.full([max(1, int(size)) for size in spec["shape"]], 10**6, dtype)
        refused(lambda: client.infer(name, [make(bad, name=spec["name"])]), status)

    @check(f"{kind}: id, version and custom parameters")
    def _(client=client, kind=kind):
        make = http_input if kind == "http" else grpc_input
        result = client.infer(
            "identity_fp32",
            [make(FP32)],
            model_version="1",
            request_id="my-id",
            parameters={"color": "blue", "size": 3, "flag": True, "share": 0.5},
        )
        response = result.get_response() if kind == "http" else result.get_response(as_json=True)
        assert response["id"] == "my-id", response
        assert response["model_name"] == "identity_fp32", response
        assert response["model_version"] == "1", response

    @check(f"{kind}: a time limit in microseconds ends what runs for too long")
    def _(client=client, kind=kind):
        make = http_input if kind == "http" else grpc_input
        status = "504" if kind == "http" else "StatusCode.DEADLINE_EXCEEDED"
        turns = np.ones((1, 1), np.float32)
        started = time.monotonic()
        call = lambda: client.infer("slow", [make(turns)], timeout=200_000)
        refused(call, status)
        assert time.monotonic() - started < 10

    @check(f"{kind}: a priority where all stand in one line is refused, and says why")
    def _(client=client, kind=kind):
        make = http_input if kind == "http" else grpc_input
        status = "400" if kind == "http" else "StatusCode.INVALID_ARGUMENT"
        refused(lambda: client.infer("identity_fp32", [make(FP32)], priority=1), status, "priority")

    @check(f"{kind}: sequences are refused, and not answered as if they were none")
    def _(client=client, kind=kind):
        make = http_input if kind == "http" else grpc_input
        status = "400" if kind == "http" else "StatusCode.INVALID_ARGUMENT"
        call = lambda: client.infer("identity_fp32", [make(FP32)], sequence_id=5, sequence_start=True)
        refused(call, status, "sequence_")

    @check(f"{kind}: classification")
    def _(client=client, kind=kind):
        make = http_input if kind == "http" else grpc_input
        module = httpclient if kind == "http" else grpcclient
        wanted = module.InferRequestedOutput("y", class_count=2)
        result = client.infer("identity_fp32", [make(np.array([[0.25, 4.0]], np.float32))], outputs=[wanted])
        texts = [text.decode() for text in result.as_numpy("y").flatten()]
        assert texts == ["4.000000:1", "0.250000:0"], texts

    @check(f"{kind}: BF16, which no model here takes, is refused in these words")
    def _(client=client, kind=kind):
        module = httpclient if kind == "http" else grpcclient
        tensor = module.InferInput("x", [2, 2], "BF16")
        tensor.set_data_from_numpy(FP32.astype(ml_dtypes.bfloat16))
        status = "400" if kind == "http" else "StatusCode.INVALID_ARGUMENT"
        refused(lambda: client.infer("identity_fp32", [tensor]), status, "BF16")

    @check(f"{kind}: many at once, each answered with its own")
    def _(client=client, kind=kind):
        make = http_input if kind == "http" else grpc_input
        arrays = [np.full((1, 2), i, np.float32) for i in range(32)]
        if kind == "http":
            pending = [client.async_infer("identity_fp32", [make(array)]) for array in arrays]
            results = [one.get_result() for one in pending]
        else:
            done = queue.Queue()
            for i, array in enumerate(arrays):
                back = lambda result, error, i=i: done.put((i, result, error))
                client.async_infer("identity_fp32", [make(array)], back)
            got = dict()
            for _ in arrays:
                i, result, error = done.get(timeout=20)
                assert error is None, error
                got[i] = result
            results = [got[i] for i in range(len(arrays))]
        for array, result in zip(arrays, results):
            same(result.as_numpy("y"), array)

    @check(f"{kind}: the index of the repository")
    def _(client=client, kind=kind):
        index = client.get_model_repository_index(**({} if kind == "http" else {"as_json": True}))
        entries = index if kind == "http" else index["models"]
        found = [one for one in entries if one["name"] == "identity_fp32"]
        assert [(one["version"], one["state"]) for one in found] == [("1", "READY")], found

    @check(f"{kind}: statistics count requests, rows, runs and failures, and have every key")
    def _(client=client, kind=kind):
        make = http_input if kind == "http" else grpc_input
        more = {} if kind == "http" else {"as_json": True}
        metadata = client.get_server_metadata()
        assert "statistics" in (metadata["extensions"] if kind == "http" else metadata.extensions)

        def told(model=f"counted_{kind}", version=""):
            (one,) = client.get_inference_statistics(model, version, **more)["model_stats"]
            # gRPC leaves out what is 0, and writes numbers of 64 bits as texts.
            stats = one["inference_stats"]
            if kind == "http":
                assert all({"count", "ns"} == set(stats[key]) for key in STATISTICS), stats
            number = lambda value: int(value or 0)
            return {
                "rows": number(one.get("inference_count")),
                "runs": number(one.get("execution_count")),
                "last": number(one.get("last_inference")),
                "batches": {
                    number(each["batch_size"]): number(each["compute_infer"]["count"])
                    for each in one.get("batch_stats", [])
                },
                **{key: (number(stats[key].get("count")), number(stats[key].get("ns"))) for key in STATISTICS},
            }

        before = told()
        for rows in (1, 3):
            client.infer(f"counted_{kind}", [make(np.ones((rows, 1), np.float32))])
        bad = [make(np.full((1, 1), 666, np.float32))]
        refused(lambda: client.infer(f"counted_{kind}", bad), "500" if kind == "http" else "StatusCode.INTERNAL")
        # Workers add what they counted once a second.
        until = time.monotonic() + 15
        while (after := told())["rows"] < before["rows"] + 4 or after["fail"][0] == before["fail"][0]:
            assert time.monotonic() < until, (before, after)
            time.sleep(0.1)
        assert after["rows"] == before["rows"] + 4, after
        assert after["runs"] == before["runs"] + 2, after
        assert after["batches"][3] == before["batches"].get(3, 0) + 1, after
        assert after["fail"][0] == before["fail"][0] + 1, after
        assert abs(after["last"] - time.time() * 1000) < 60_000, after
        for key in ("success", "queue", "compute_input", "compute_infer", "compute_output"):
            assert after[key][0] == before[key][0] + 2, (key, before, after)
        assert after["compute_infer"][1] > before["compute_infer"][1], after
        parts = sum(after[key][1] for key in STATISTICS if key == "queue" or key.startswith("compute"))
        assert 0 < parts <= after["success"][1], after
        assert told(version="1") == after

    @check(f"{kind}: statistics of all models, and of one that nobody knows")
    def _(client=client, kind=kind):
        given = client.get_inference_statistics(**({} if kind == "http" else {"as_json": True}))
        names = [one["name"] for one in given["model_stats"]]
        assert "slow" in names and "identity_fp32" in names, names
        status = "404" if kind == "http" else "StatusCode.NOT_FOUND"
        refused(lambda: client.get_inference_statistics("nobody"), status, "nobody")

    @check(f"{kind}: the configuration of a model")
    def _(client=client, kind=kind):
        given = client.get_model_config("identity_fp32", **({} if kind == "http" else {"as_json": True}))
        config = given if kind == "http" else given["config"]
        assert config["name"] == "identity_fp32", config
        assert int(config["max_batch_size"]) > 0, config
        (tensor,) = config["input"]
        assert (tensor["name"], tensor["data_type"]) == ("x", "TYPE_FP32"), config
        assert [int(size) for size in tensor["dims"]] == [2], config

    for name, array in VALUES.items():

        @check(f"{kind}: {DATATYPES[name]} behind the header, both ways")
        def _(client=client, kind=kind, name=name, array=array):
            make = http_input if kind == "http" else grpc_input
            result = client.infer(f"identity_{name}", [make(array)])
            same(result.as_numpy("y"), array)


# ---- HTTP alone

for name, array in VALUES.items():
    if name in NOT_IN_JSON:
        continue

    @check(f"http: {DATATYPES[name]} in JSON, both ways")
    def _(name=name, array=array):
        wanted = httpclient.InferRequestedOutput("y", binary_data=False)
        result = http.infer(f"identity_{name}", [http_input(array, binary=False)], outputs=[wanted])
        told = result.as_numpy("y")
        # Of JSON the client makes texts.
        same(np.array([[text.encode() for text in row] for row in told], np.object_) if name == "string" else told, array)


@check("http: FP16 is sent behind the header and told in JSON where that is asked for")
def _():
    wanted = httpclient.InferRequestedOutput("y", binary_data=False)
    array = np.array([[0.5, -2.0]], np.float16)
    result = http.infer("identity_fp16", [http_input(array)], outputs=[wanted])
    assert result.get_response()["outputs"][0]["data"] == [0.5, -2.0], result.get_response()


for way in ("gzip", "deflate"):

    @check(f"http: {way}, both ways")
    def _(way=way):
        array = np.tile(np.array([b"abc" * 2000], np.object_), (4, 2))
        result = http.infer(
            "identity_string",
            [http_input(array)],
            request_compression_algorithm=way,
            response_compression_algorithm=way,
        )
        same(result.as_numpy("y"), array)


@check("http: two inputs, one in JSON and one behind it")
def _():
    specs = http.get_model_metadata("two_inputs")["inputs"]
    dtypes = {"FP32": np.float32, "INT64": np.int64}
    tensors = []
    for i, spec in enumerate(specs):
        shape = [1 if size == -1 else size for size in spec["shape"]]
        tensors.append(http_input(np.ones(shape, dtypes[spec["datatype"]]), name=spec["name"], binary=i == 0))
    outputs = http.infer("two_inputs", tensors).get_response()["outputs"]
    assert len(outputs) > 0, outputs


@check("http: request bodies that the client makes for others")
def _():
    body, length = httpclient.InferenceServerClient.generate_request_body([http_input(FP32)])
    assert length is not None and len(body) > length


# ---- gRPC alone


@check("grpc: typed contents are answered with typed contents")
def _():
    from tritonclient.grpc import service_pb2

    fields = {
        "bool": ("bool_contents", bool),
        "int8": ("int_contents", int),
        "int16": ("int_contents", int),
        "int32": ("int_contents", int),
        "int64": ("int64_contents", int),
        "uint8": ("uint_contents", int),
        "uint16": ("uint_contents", int),
        "uint32": ("uint_contents", int),
        "uint64": ("uint64_contents", int),
        "fp32": ("fp32_contents", float),
        "fp64": ("fp64_contents", float),
        "string": ("bytes_contents", bytes),
    }
    stub = grpc._client_stub
    for name, (field, to) in fields.items():
        array = VALUES[name]
        request = service_pb2.ModelInferRequest(model_name=f"identity_{name}")
        tensor = request.inputs.add(name="x", datatype=DATATYPES[name], shape=array.shape)
        values = [to(value) for value in array.flatten()]
        getattr(tensor.contents, field).extend(values)
        response = stub.ModelInfer(request)
        assert len(response.raw_output_contents) == 0, name
        assert list(getattr(response.outputs[0].contents, field)) == values, (name, response)


@check("grpc: a stream answers in order, and goes on after a request that fails")
def _():
    done = queue.Queue()
    with grpcclient.InferenceServerClient(grpc_address) as client:
        client.start_stream(lambda result, error: done.put((result, error)))
        for i in range(50):
            array = np.full((1, 2), i, np.float32)
            client.async_stream_infer("identity_fp32" if i != 20 else "nobody", [grpc_input(array)], request_id=str(i))
        for i in range(50):
            result, error = done.get(timeout=30)
            if i == 20:
                assert error is not None and "nobody" in error.message(), error
                continue
            assert error is None, error
            assert result.get_response().id == str(i), (result.get_response().id, i)
            assert result.as_numpy("y")[0][0] == i
        client.stop_stream()


@check("grpc: a stream says which answer is the last, where that is asked for")
def _():
    done = queue.Queue()
    with grpcclient.InferenceServerClient(grpc_address) as client:
        client.start_stream(lambda result, error: done.put((result, error)))
        client.async_stream_infer("identity_fp32", [grpc_input(FP32)], enable_empty_final_response=True)
        result, error = done.get(timeout=20)
        assert error is None, error
        assert result.get_response().parameters["triton_final_response"].bool_param
        client.stop_stream()


@check("grpc: a stream has an answer for each part that a processor tells, and the whole as the last")
def _():
    done = queue.Queue()
    with grpcclient.InferenceServerClient(grpc_address) as client:
        client.start_stream(lambda result, error: done.put((result, error)))
        until = grpcclient.InferInput("until", [1], "INT64")
        until.set_data_from_numpy(np.array([4], np.int64))
        client.async_stream_infer("counter", [until], request_id="told", enable_empty_final_response=True)
        told = []
        while not told or not told[-1][1]:
            result, error = done.get(timeout=20)
            assert error is None, error
            response = result.get_response()
            assert response.id == "told", response.id
            told.append((result.as_numpy("numbers").tolist(), response.parameters["triton_final_response"].bool_param))
        assert told == [([1], False), ([2], False), ([3], False), ([4], False), ([1, 2, 3, 4], True)], told
        client.stop_stream()


@check("grpc: a call with one answer gets the whole of what a processor makes")
def _():
    until = grpcclient.InferInput("until", [1], "INT64")
    until.set_data_from_numpy(np.array([2], np.int64))
    same(grpc.infer("counter", [until]).as_numpy("numbers"), np.array([1, 2]))


@check("grpc: compressed messages are read")
def _():
    array = np.tile(np.array([b"abc" * 2000], np.object_), (4, 2))
    for way in ("gzip", "deflate"):
        result = grpc.infer("identity_string", [grpc_input(array)], compression_algorithm=way)
        same(result.as_numpy("y"), array)


@check("grpc: the deadline of the call ends it, and a call can be canceled")
def _():
    slow = lambda: [grpc_input(np.ones((1, 1), np.float32))]
    refused(lambda: grpc.infer("slow", slow(), client_timeout=0.3), "StatusCode.DEADLINE_EXCEEDED")
    done = queue.Queue()
    call = grpc.async_infer("slow", slow(), lambda result, error: done.put(error))
    time.sleep(0.2)
    call.cancel()
    error = done.get(timeout=10)
    assert "CANCELLED" in str(error.status()), error


@check("grpc: a message of 3 MB, and one beyond the limit")
def _():
    array = np.array([[b"x" * 3_000_000, b""]], np.object_)
    same(grpc.infer("identity_string", [grpc_input(array)]).as_numpy("y"), array)
    large = np.array([[b"x" * 9_000_000, b""]], np.object_)
    call = lambda: grpc.infer("identity_string", [grpc_input(large)])
    refused(call, "StatusCode.RESOURCE_EXHAUSTED")


@check("grpc: what is not served says so")
def _():
    for call in (
        lambda: grpc.get_system_shared_memory_status(),
        lambda: grpc.get_trace_settings(),
    ):
        refused(call, "StatusCode.UNIMPLEMENTED")


run()
