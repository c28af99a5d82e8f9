# Two commands do everything on a fresh machine: `make book` and `make test`. They need Python 3.11, make and the
# package index; everything else is installed into .venv.

PYTHON ?= python3.11
PRESET ?= quick
CORES ?= $(shell nproc 2>/dev/null || sysctl -n hw.ncpu 2>/dev/null || echo 2)
DRY ?=
BIN := .venv/bin
export OMP_NUM_THREADS := 1

.PHONY: book test lab grid published edition bench verify setup

setup: .venv/.installed

.venv/.installed: requirements.txt pyproject.toml
	@command -v $(PYTHON) > /dev/null || { echo "error: $(PYTHON) not found; set PYTHON to a Python 3.11" >&2; exit 1; }
	@echo "setting up .venv (once; about two minutes)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

book: setup  ## run preset `quick` end to end and build its book
	@$(BIN)/python -m tdlib.grid.command $(PRESET) book --cores $(CORES)

grid: setup  ## run the grid of PRESET; DRY=1 lists its jobs
	@$(BIN)/python -m tdlib.grid.command $(PRESET) grid --cores $(CORES) $(if $(DRY),--dry-run)

test: setup  ## lint, tests, notebooks and the whole grid at smoke size, strict book build
	@$(BIN)/ruff check .
	@$(BIN)/python -m pytest tests --ignore=tests/commands --ignore=tests/browser
	@$(BIN)/python -m tdlib.grid.command smoke book --cores $(CORES)
	@$(BIN)/python -m pytest --nbval-lax --nbval-current-env --nbval-cell-timeout 300 notebooks
	@$(BIN)/python -m pytest tests/commands
	@$(BIN)/python -m pytest tests/browser

lab: setup  ## open the notebooks in JupyterLab
	@$(BIN)/jupyter lab notebooks

published: setup  ## build the edition in git, without running anything
	@$(BIN)/python -m tdlib.publish.site published

edition: setup  ## run PRESET and take its results into book/published
	@$(BIN)/python -m tdlib.grid.command $(PRESET) book --cores $(CORES)
	@$(BIN)/python -m tdlib.publish.site edition $(PRESET)
	@$(BIN)/python book/_ext/readme_block.py

bench: setup .peers/.installed .peers-mbrl/.installed  ## ours against its peers; saves runs/bench/bench.json
	@$(BIN)/python tests/benchmarks/run.py $(if $(DEVICE),--device $(DEVICE))

# peers lie beside the environment, not in it: mbrl wants an older Gymnasium, and nothing but a benchmark imports them
.peers/.installed: tests/benchmarks/requirements-peers.txt | setup
	@rm -rf $(@D)
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --target $(@D) -r $<
	@touch $@

.peers-mbrl/.installed: tests/benchmarks/requirements-mbrl.txt | setup
	@rm -rf $(@D)
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --target $(@D) -r $<
	@touch $@

verify: setup  ## check the data of PRESET
	@$(BIN)/python -m tdlib.data.verify runs/$(PRESET)/data $(if $(filter full full_literal,$(PRESET)),--require-gain)
