# Each target does all its own set-up: `make demo` runs the main job, `make test` passes the tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
WORKERS ?= 2

.PHONY: demo test test-heavy lint system-libraries benchmark clean

demo: $(VENV)/.installed
	$(BIN)/hearsight demo demo

test: $(VENV)/.installed-dev system-libraries lint
	$(BIN)/python -m pytest -n $(WORKERS)

test-heavy: $(VENV)/.installed-dev system-libraries
	$(BIN)/python -m pytest -m heavy

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

benchmark: $(VENV)/.installed-dev system-libraries
	for file in benchmarks/bench_*.py; do $(BIN)/python $$file || exit 1; done

# FluidSynth plays the simulated concerts; nothing else of hearsight needs a system library.
system-libraries:
	@ldconfig -p 2>/dev/null | grep -q libfluidsynth || { \
	  if command -v apt-get >/dev/null; then \
	    if [ "$$(id -u)" = 0 ]; then SUDO=; else SUDO=sudo; fi; \
	    $$SUDO apt-get -qq update && $$SUDO apt-get -qq install -y --no-install-recommends libfluidsynth3 >/dev/null; \
	  else echo "install FluidSynth (libfluidsynth) with your system's package manager" >&2; exit 1; fi; }

$(VENV)/.created:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "hearsight needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.installed: $(VENV)/.created pyproject.toml constraints.txt
	$(PIP) install -c constraints.txt -e .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) install -c constraints.txt -e ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) demo build dist src/*.egg-info
