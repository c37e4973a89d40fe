"""Drives the ensemble of docs/examples with Triton's own clients, over HTTP and gRPC.

    triton_ensemble.py HTTP_ADDRESS GRPC_ADDRESS

Serves as the script of a test; what it prints is said in checks.py.
"""

import sys

import numpy as np
import tritonclient.grpc as grpcclient
import tritonclient.http as httpclient
from checks import check, refused, run

http_address, grpc_address = sys.argv[1:3]
CLIENTS = {
    "http": (httpclient, httpclient.InferenceServerClient(http_address)),
    "grpc": (grpcclient, grpcclient.InferenceServerClient(grpc_address)),
}

# The right half is white.
PHOTOS = np.zeros((2, 8, 8), np.uint8)
PHOTOS[:, :, 4:] = 255


def infer(module, client, photos, outputs=None):
    tensor = module.InferInput("PHOTO", list(photos.shape), "UINT8")
    tensor.set_data_from_numpy(photos)
    return client.infer("photo", [tensor], outputs=outputs)


for kind, (module, client) in CLIENTS.items():

    @check(f"{kind}: an ensemble is ready, and told as one")
    def _(kind=kind, client=client):
        assert client.is_model_ready("photo")
        metadata = client.get_model_metadata("photo")
        if kind == "grpc":
            assert metadata.platform == "ensemble" and list(metadata.inputs[0].shape) == [-1, 8, 8]
        else:
            assert metadata["platform"] == "ensemble" and metadata["inputs"][0]["shape"] == [-1, 8, 8]

    @check(f"{kind}: its configuration names the models and versions of its steps")
    def _(kind=kind, client=client):
        if kind == "grpc":
            config = client.get_model_config("photo").config
            steps = [(step.model_name, step.model_version) for step in config.ensemble_scheduling.step]
            assert config.WhichOneof("scheduling_choice") == "ensemble_scheduling"
            assert config.platform == "ensemble"
        else:
            config = client.get_model_config("photo")
            steps = [(step["model_name"], step["model_version"]) for step in config["ensemble_scheduling"]["step"]]
            assert config["platform"] == "ensemble"
        assert steps == [("scale", -1), ("light", -1)], steps

    @check(f"{kind}: it answers with what its steps give, all outputs and those asked for")
    def _(module=module, client=client):
        answer = infer(module, client, PHOTOS)
        light, scaled = answer.as_numpy("LIGHT"), answer.as_numpy("SCALED")
        assert light.shape == (2, 4) and (light.argmax(axis=1) == 1).all()
        assert np.array_equal(scaled, PHOTOS.reshape(2, 64).astype(np.float32) / 255)
        only = infer(module, client, PHOTOS, [module.InferRequestedOutput("LIGHT", class_count=1)])
        assert only.as_numpy("SCALED") is None
        assert only.as_numpy("LIGHT").ravel()[0].endswith(b":1:right")

    @check(f"{kind}: its statistics are there, beside those of its steps")
    def _(kind=kind, client=client):
        for model in ("photo", "scale", "light"):
            statistics = client.get_inference_statistics(model)
            if kind == "grpc":
                assert len(statistics.model_stats) == 1
            else:
                assert len(statistics["model_stats"]) == 1

    @check(f"{kind}: what does not fit is refused")
    def _(kind=kind, module=module, client=client):
        wrong = np.zeros((17, 8, 8), np.uint8)
        refused(lambda: infer(module, client, wrong), "400" if kind == "http" else "StatusCode.INVALID_ARGUMENT", "1 to 16")


run()
