# Each target does all its own set-up: `make demo` runs the main job, `make test` passes the tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
# Python compiles what is imported when it is imported first; to compile all that is installed takes two minutes.
INSTALL := $(PIP) install --no-compile -c constraints.txt
WORKERS ?= 2
# Check the shapes in annotations at every call of the core tier.
SHAPES := --jaxtyping-packages=hearsight,shape_checks.checked
# The files that hold the core tier, so that the others need not be read.
CORE = $$($(BIN)/python tests/support/core_tier.py)

# Where Python must not keep what it compiled, each of the many processes that tests start compiles PyTorch again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test run-tests test-core test-shapes test-heavy lint docs system-libraries browser benchmark clean

demo: $(VENV)/.installed
	$(BIN)/hearsight demo demo

# What does not need each other is done side by side: packages of Python and of the system, then lint and the tests.
test:
	$(MAKE) --jobs=2 lint run-tests

run-tests: $(VENV)/.installed-dev system-libraries
	$(BIN)/python -m pytest $(SHAPES) -n $(WORKERS) --dist loadgroup

# The two minutes to run at every change.
test-core: $(VENV)/.installed-dev system-libraries
	$(BIN)/python -m pytest -m core $(SHAPES) $(CORE)

test-heavy: $(VENV)/.installed-heavy system-libraries browser
	$(BIN)/python -m pytest -m heavy -n $(WORKERS) --dist loadgroup -o timeout=900 --durations=20

# All normal tests with shapes checked at every call.
test-shapes: $(VENV)/.installed-dev system-libraries
	$(BIN)/python -m pytest $(SHAPES) --all-shapes -n $(WORKERS) --dist loadgroup

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The documentation site, in site/; any broken link, and any page that the navigation lacks, is an error.
docs: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

benchmark: $(VENV)/.installed-heavy system-libraries
	for file in benchmarks/bench_*.py; do $(BIN)/python $$file || exit 1; done

# FluidSynth plays the simulated concerts; nothing else of hearsight needs a system library.
system-libraries:
	@{ ldconfig -p || /sbin/ldconfig -p; } 2>/dev/null | grep -q libfluidsynth || $(call debian,libfluidsynth3)

# The report's players and the page are clicked in a real browser.
browser:
	@command -v chromium >/dev/null && command -v chromedriver >/dev/null || $(call debian,chromium chromium-driver)

# Install Debian packages, as root or by sudo; elsewhere say what is missing.
define debian
{ if command -v apt-get >/dev/null; then \
    if [ "$$(id -u)" = 0 ]; then SUDO=; else SUDO=sudo; fi; \
    $$SUDO apt-get -qq update && $$SUDO apt-get -qq install -y --no-install-recommends $(1) >/dev/null; \
  else echo "install with your system's package manager what Debian calls: $(1)" >&2; exit 1; fi; }
endef

$(VENV)/.created:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "hearsight needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.installed: $(VENV)/.created pyproject.toml constraints.txt
	$(INSTALL) -e .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.created pyproject.toml constraints.txt
	$(INSTALL) -e ".[dev]"
	touch $(VENV)/.installed $@

$(VENV)/.installed-heavy: $(VENV)/.installed-dev
	$(INSTALL) -e ".[heavy]"
	touch $@

$(VENV)/.installed-docs: $(VENV)/.installed-dev
	$(INSTALL) -e ".[docs]"
	touch $@

clean:
	rm -rf $(VENV) demo build dist site src/*.egg-info
