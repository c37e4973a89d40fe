#!/bin/sh
# Retrains every demo model and rebuilds the test models, in a virtual environment at the repository's top (.venv).
set -eu
cd "$(dirname "$0")/.."
python3 -m venv .venv
.venv/bin/pip install --quiet --requirement models/requirements.txt
.venv/bin/python models/iris/train.py
.venv/bin/python models/digits/train.py
.venv/bin/python packages/testkit/fixtures/build.py
.venv/bin/python packages/testkit/fixtures/detectors/build.py
