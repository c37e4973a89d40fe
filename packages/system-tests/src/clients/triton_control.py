"""Loads and unloads models of a running server with Triton's own clients, over HTTP and gRPC.

    triton_control.py HTTP_ADDRESS GRPC_ADDRESS REPOSITORY

In REPOSITORY, which the server does not look at by itself, are switched_http, switched_grpc (simulated) and
onnx_http, onnx_grpc (FP32 in and out). Serves as the script of a test; what it prints is said in checks.py.
"""

import shutil
import sys
from pathlib import Path

import numpy as np
import tritonclient.grpc as grpcclient
import tritonclient.http as httpclient
from checks import check, refused, run

http_address, grpc_address, repository = sys.argv[1:4]
CLIENTS = {
    "http": (httpclient, httpclient.InferenceServerClient(http_address)),
    "grpc": (grpcclient, grpcclient.InferenceServerClient(grpc_address)),
}
STATUSES = {
    "http": {"invalid": "400", "unknown": "404", "away": "503"},
    "grpc": {
        "invalid": "StatusCode.INVALID_ARGUMENT",
        "unknown": "StatusCode.NOT_FOUND",
        "away": "StatusCode.UNAVAILABLE",
    },
}

for kind, (module, client) in CLIENTS.items():
    switched, onnx, status = f"switched_{kind}", f"onnx_{kind}", STATUSES[kind]

    def infer(name, width, module=module, client=client):
        array = np.full((1, width), 7, np.float32)
        tensor = module.InferInput("x", [1, width], "FP32")
        tensor.set_data_from_numpy(array)
        result = client.infer(name, [tensor])
        assert np.array_equal(result.as_numpy("y"), array), result.as_numpy("y")
        response = result.get_response()
        return response["model_version"] if isinstance(response, dict) else response.model_version

    def index(name, kind=kind, client=client):
        told = client.get_model_repository_index(**({} if kind == "http" else {"as_json": True}))
        entries = told if kind == "http" else told["models"]
        return [(one["version"], one["state"], one.get("reason", "")) for one in entries if one["name"] == name]

    @check(f"{kind}: the server says that it has a model repository")
    def _(kind=kind, client=client):
        metadata = client.get_server_metadata()
        extensions = metadata["extensions"] if kind == "http" else list(metadata.extensions)
        assert "model_repository" in extensions, extensions
        assert "model_repository(unload_dependents)" not in extensions, extensions

    @check(f"{kind}: a model that is loaded can be loaded again")
    def _(client=client, switched=switched, infer=infer, index=index):
        client.load_model(switched)
        assert index(switched) == [("1", "READY", "")], index(switched)
        assert infer(switched, 1) == "1"

    @check(f"{kind}: a model that is unloaded is told as such, and answers nothing")
    def _(client=client, switched=switched, infer=infer, index=index, status=status):
        client.unload_model(switched)
        assert not client.is_model_ready(switched)
        ((version, state, reason),) = index(switched)
        assert version == "1" and state in ("UNLOADING", "UNAVAILABLE"), (version, state, reason)
        refused(lambda: infer(switched, 1), status["away"], switched, "unloaded")

    @check(f"{kind}: a model that is unloaded can be unloaded again")
    def _(client=client, switched=switched):
        client.unload_model(switched, unload_dependents=True)
        assert not client.is_model_ready(switched)

    @check(f"{kind}: a model that was unloaded is loaded again")
    def _(client=client, switched=switched, infer=infer, index=index):
        client.load_model(switched)
        assert client.is_model_ready(switched)
        assert index(switched) == [("1", "READY", "")], index(switched)
        assert infer(switched, 1) == "1"

    @check(f"{kind}: a version that was put into the folder is served once the model is loaded again")
    def _(client=client, switched=switched, infer=infer, index=index):
        (Path(repository) / switched / "2").mkdir()
        assert [version for version, _, _ in index(switched)] == ["1"], index(switched)
        client.load_model(switched)
        assert index(switched) == [("1", "READY", ""), ("2", "READY", "")], index(switched)
        assert infer(switched, 1) == "2"

    @check(f"{kind}: a version that cannot be read is refused with its file, and the one before it still answers")
    def _(client=client, onnx=onnx, infer=infer, status=status):
        folder = Path(repository) / onnx / "2"
        folder.mkdir()
        (folder / "model.onnx").write_bytes(b"no model")
        refused(lambda: client.load_model(onnx), status["invalid"], onnx, "model.onnx")
        assert infer(onnx, 2) == "1"
        shutil.rmtree(folder)
        client.load_model(onnx)
        assert infer(onnx, 2) == "1"

    @check(f"{kind}: a model that is not in the repository cannot be loaded, and one that nobody knows not unloaded")
    def _(client=client, status=status):
        refused(lambda: client.load_model("nobody"), status["invalid"], "nobody", "not in the repository")
        refused(lambda: client.unload_model("nobody_at_all"), status["unknown"], "nobody_at_all")

    @check(f"{kind}: a model that comes with the request is refused")
    def _(client=client, switched=switched, status=status):
        refused(lambda: client.load_model(switched, config="{}"), status["invalid"], "config")
        files = {"file:1/model.onnx": b"no model"}
        # Which of the two is named first is for the client: a map has no order.
        refused(lambda: client.load_model(switched, config="{}", files=files), status["invalid"], "not supported")


run()
