# Two commands do everything on a fresh machine: `make book` and `make test`. They need make, the package index and Python
# 3.11, 3.12 or 3.13; everything else is installed into .venv.

# PYTHON: an interpreter of your choice; TORCH_INDEX: a package index of PyTorch to take torch from, for example CPU builds
PYTHON ?=
TORCH_INDEX ?=
PRESET ?= quick
# nproc counts the threads of OpenMP where they are set; a core is one all the same
CORES ?= $(shell env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc 2>/dev/null || sysctl -n hw.ncpu 2>/dev/null || echo 2)
SEEDS ?=
DRY ?=
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
INTERPRETERS := $(BIN)/python python3.11 python3.12 python3.13 python3
# a shim on the path may only say that its version is not active, and some systems' Python has no venv
SUPPORTED := import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
export OMP_NUM_THREADS := 1

.PHONY: book test lab grid block published edition report bench verify setup python

setup: .venv/.installed

.venv/.installed: requirements.txt pyproject.toml
	@$(CHOOSE); "$$python" -c 'import sys; print("setting up .venv with", sys.executable, sys.version.split()[0])'
	@echo "to download: 0.6 GB, to keep: 2.5 GB; with the CUDA build of torch, the index's default on Linux, 3 GB and 6 GB"
	@df -Pk . | awk 'NR == 2 { printf "free on this disk: %.1f GB\n", $$4 / 1e6; exit $$4 < 3e6 }' || \
	  { echo "error: setting up needs 3 GB of free disk" >&2; exit 1; }
	@$(CHOOSE); test "$$python" = $(BIN)/python || "$$python" -m venv --clear .venv
	@test -z '$(TORCH_INDEX)' || $(PIP) --no-deps --index-url '$(TORCH_INDEX)' "$$(grep '^torch==' requirements.txt)"
	@$(PIP) -r requirements.txt
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

define CHOOSE
for python in $(if $(PYTHON),"$(PYTHON)",$(INTERPRETERS)) ""; do \
  "$$python" -c '$(SUPPORTED)' 2> /dev/null && break; \
done; \
test -n "$$python" || { \
  echo "error: none of $(or $(PYTHON),$(INTERPRETERS)) runs as Python 3.11, 3.12 or 3.13 with venv;" >&2; \
  echo "install one of these, or say where one is: make PYTHON=/path/to/python ..." >&2; exit 1; }
endef

python:  ## say which interpreter `setup` takes
	@$(CHOOSE); "$$python" -c 'import sys; print(sys.executable, "is Python", sys.version.split()[0])'

book: setup  ## run preset `quick` end to end and build its book
	@$(BIN)/python -m tdlib.grid.command $(PRESET) book --cores $(CORES)

grid: setup  ## run the grid of PRESET, or with SEEDS="0 1" the cells of these seeds; DRY=1 lists its jobs
	@$(BIN)/python -m tdlib.grid.command $(PRESET) grid --cores $(CORES) $(if $(SEEDS),--seeds $(SEEDS)) $(if $(DRY),--dry-run)

block: setup  ## run the cells of SEEDS="0 1" of PRESET, from collection to tables, and keep their rows in book/blocks
	@test -n '$(SEEDS)' || { echo 'error: SEEDS must name seeds: make block PRESET=full SEEDS="0 1"' >&2; exit 1; }
	@$(BIN)/python -m tdlib.grid.command $(PRESET) grid --cores $(CORES) --seeds $(SEEDS)
	@$(BIN)/python -m tdlib.publish.block $(PRESET) $(SEEDS)

# commands first: some of them take a result away and make the pages anew, which browsers then look at
test: setup  ## lint, format, types, tests, notebooks and the whole grid at smoke size, strict book build
	@$(BIN)/python -m ruff check .
	@$(BIN)/python -m ruff format --check .
	@$(BIN)/python -m mypy
	@$(BIN)/python -m pytest tests --ignore=tests/commands --ignore=tests/browser -n $(CORES)
	@$(BIN)/python -m tdlib.grid.command smoke book --cores $(CORES)
	@$(BIN)/python -m pytest --nbval-lax --nbval-current-env --nbval-cell-timeout 300 -n $(CORES) --dist loadfile notebooks
	@$(BIN)/python -m pytest tests/commands -n $(CORES) --dist loadfile
	@$(BIN)/python -m pytest tests/browser -n $(CORES) --dist loadfile

lab: setup  ## open the notebooks in JupyterLab; kernels start in this folder, as the paths in README and book do
	@$(BIN)/python -m jupyterlab notebooks --MappingKernelManager.root_dir="$(CURDIR)"

published: setup  ## build the edition in git, without running anything
	@$(BIN)/python -m tdlib.publish.site published

# each chapter has an edition of its own, so the presets beside this one are not run; `make published` shows all together
edition: setup  ## run PRESET and take its results into book/published
	@$(BIN)/python -m tdlib.grid.command $(PRESET) grid --alone --cores $(CORES)
	@$(BIN)/python -m tdlib.publish.report $(PRESET)
	@$(BIN)/python -m tdlib.publish.site edition $(PRESET)
	@$(BIN)/python book/_ext/readme_block.py

report: setup  ## write the report of a finished run of PRESET of the main study as runs/PRESET/results/summary_report.pdf
	@$(BIN)/python -m tdlib.publish.report $(PRESET)

bench: setup .peers/.installed .peers-mbrl/.installed  ## ours against its peers; saves runs/bench/bench.json
	@$(BIN)/python tests/benchmarks/run.py $(if $(DEVICE),--device $(DEVICE))

# peers lie beside the environment, not in it: mbrl wants an older Gymnasium, and nothing but a benchmark imports them
.peers/.installed: tests/benchmarks/requirements-peers.txt | setup
	@rm -rf $(@D)
	@$(PIP) --no-deps --target $(@D) -r $<
	@touch $@

.peers-mbrl/.installed: tests/benchmarks/requirements-mbrl.txt | setup
	@rm -rf $(@D)
	@$(PIP) --no-deps --target $(@D) -r $<
	@touch $@

verify: setup  ## check the data of PRESET
	@$(BIN)/python -m tdlib.data.verify runs/$(PRESET)/data $(if $(filter full full_literal,$(PRESET)),--require-gain)
