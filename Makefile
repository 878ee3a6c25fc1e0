# make demo   profile, search and export the demo supernet, from nothing, into demo/
# make test   every check there is; what CI runs
# make test-avx2  what computes, as on a processor without AVX-512; a part of make test
# make fast   the tests that take seconds
# make docs   docs/cli.md anew from the help, tables from benchmarks/results, and printed output from running it all
# make clean  removes what the other targets made

PYTHON ?= python3

# Containers often set it; each test process would compile every file anew.
unexport PYTHONDONTWRITEBYTECODE

VENV := .venv
DEMO_VENV := .demo-venv
# Each environment holds its own stamp, so that a second run installs nothing and a removed one is made again.
DEV := $(VENV)/.installed
DEMO := $(DEMO_VENV)/.installed
COMPUTING := tests/training/test_precision.py tests/training/test_sandwich.py tests/training/test_losses.py tests/training/test_optimizers.py tests/layers \
	$(wildcard tests/families/*_golden.py) tests/cli/test_train.py tests/answering/test_asking.py tests/exporting
# One test process for each core; the same tests run one after the other with 'pytest' alone.
PYTEST := $(VENV)/bin/pytest --numprocesses auto --dist worksteal
PACKAGE := pyproject.toml $(shell find bstsearch profiles -type f -not -name '*.pyc')

.PHONY: test test-avx2 fast demo docs clean

test: $(DEV)
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	$(VENV)/bin/mypy --strict profiles
	$(PYTEST)
	$(MAKE) test-avx2

# Most laptops have no AVX-512: other kernels round otherwise there, and torch lacks some.
ifneq ($(filter x86_64 amd64,$(shell uname -m)),)
test-avx2: $(DEV)
	ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 MKL_ENABLE_INSTRUCTIONS=AVX2 $(PYTEST) $(COMPUTING)
else
test-avx2:
	@echo "test-avx2: skipped, this processor is no x86"
endif

fast: $(DEV)
	$(PYTEST) -m "not slow"

demo: $(DEMO)
	BSTSEARCH='$(CURDIR)/$(DEMO_VENV)/bin/bstsearch' sh docs/demo.sh

docs: $(DEV)
	$(VENV)/bin/python docs/cli_reference.py
	$(VENV)/bin/python docs/profile_schema.py
	$(VENV)/bin/python docs/json_schemas.py
	$(VENV)/bin/python docs/cost_tables.py --anew
	$(VENV)/bin/python profiles/build.py
	$(VENV)/bin/python docs/slimming_tables.py
	$(VENV)/bin/python docs/transformers_table.py
	$(VENV)/bin/python docs/console_blocks.py
	$(VENV)/bin/python docs/run_notebook.py

clean:
	rm -rf $(VENV) $(DEMO_VENV) demo build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find bstsearch profiles tests benchmarks docs -name __pycache__ -prune -exec rm -rf {} +

$(DEV): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

$(DEMO): $(PACKAGE)
	$(PYTHON) -m venv $(DEMO_VENV)
	$(DEMO_VENV)/bin/python -m pip install --quiet --disable-pip-version-check .
	touch $@
