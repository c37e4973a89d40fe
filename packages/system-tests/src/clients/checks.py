"""Named checks, which run in their order: one JSON line on stdout for each, {"check", "error"}; error is null
where all was as it was to be. Exit code 0 also where checks fail.
"""

import json
import traceback

from tritonclient.utils import InferenceServerException

checks = []


def check(name):
    def add(function):
        checks.append((name, function))
        return function

    return add


def refused(call, status, *words):
    try:
        call()
    except InferenceServerException as error:
        assert error.status() == status, f"status {error.status()} is not {status}: {error.message()}"
        for word in words:
            assert word in error.message(), f"{word!r} is not in {error.message()!r}"
        return
    raise AssertionError(f"was not refused with {status}")


def run():
    for name, function in checks:
        error = None
        try:
            function()
        except Exception as cause:  # noqa: BLE001
            at = traceback.extract_tb(cause.__traceback__)[-1]
            error = f"{type(cause).__name__}: {cause} (line {at.lineno})"
        print(json.dumps({"check": name, "error": error}), flush=True)
