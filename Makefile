# make demo | test | check | bench: each installs what it needs first. Nothing but Debian 12, Python 3.11 and make is assumed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
RIVALS := .venv-rivals
# uv does not read pip's settings: hand it the folder of ready-made wheels, where pip was given one (a CPU build of torch).
WHEELS := $(or $(UV_FIND_LINKS),$(PIP_FIND_LINKS),$(shell $(PYTHON) -m pip config get global.find-links 2>/dev/null))
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
# Libraries that tests and benchmarks must never let reach for a network, and a training-size thread pool they must not open.
export HF_HUB_OFFLINE = 1
export PYANNOTE_METRICS_ENABLED = false
export RAY_USAGE_STATS_ENABLED = 0

.PHONY: demo test test-slow check format bench constraints system install clean

demo: install
	$(BIN)/mmer demo

test: install system
	$(BIN)/pytest -m "not slow" --numprocesses logical --maxprocesses 4 --dist loadgroup

test-slow: install system
	$(BIN)/pytest -m slow

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: install system $(RIVALS)/.installed
	for question in benchmarks/*.py; do echo "== $$question"; PYTHONPATH=. $(BIN)/python $$question || exit 1; done

install: $(INSTALLED)

# Compiled here, once: where PYTHONDONTWRITEBYTECODE is set, each process would compile torch, Ray and the rest anew.
$(INSTALLED): pyproject.toml constraints.txt overrides.txt
	$(PYTHON) -m venv $(VENV) || { $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq python3-venv && $(PYTHON) -m venv $(VENV); }
	$(BIN)/python -m pip install --quiet --constraint constraints.txt uv
	UV_FIND_LINKS="$(WHEELS)" $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --override overrides.txt --constraint constraints.txt --editable '.[dev,weights,onnx,dashboard]'
	$(BIN)/python -m compileall -q mmer_ray dashboard
	touch $(INSTALLED)

# Daft, a rival in benchmarks/, does not install beside our Arrow and fsspec: an environment of its own.
$(RIVALS)/.installed: benchmarks/rivals.txt
	$(PYTHON) -m venv $(RIVALS)
	$(RIVALS)/bin/python -m pip install --quiet uv
	UV_FIND_LINKS="$(WHEELS)" $(RIVALS)/bin/uv pip install --quiet --compile-bytecode --python $(RIVALS)/bin/python --requirements benchmarks/rivals.txt
	touch $(RIVALS)/.installed

# Makers of test audio and synthetic speech; running the package itself needs neither.
system:
	@command -v ffmpeg espeak-ng >/dev/null && [ $$(command -v ffmpeg espeak-ng | wc -l) = 2 ] || \
		{ $(SUDO) apt-get update -qq && DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -qq --no-install-recommends ffmpeg espeak-ng; }

constraints: install
	{ sed -n '/^#/p' constraints.txt; $(BIN)/uv pip freeze --python $(BIN)/python --exclude-editable | sed 's/+cpu//'; } > constraints.new && mv constraints.new constraints.txt

clean:
	rm -rf $(VENV) $(RIVALS) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
