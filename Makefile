# make run     set up .venv, train VIME on a sparse MuJoCo task for a few minutes, draw its reward curve
# make test    set up .venv, run the tests
# make check   ruff, pyright and the tests
#
# Another interpreter: make test PY=python3.12. Another run: make run TASK=Ant-v5 STEPS=1e6 ARGS='--algo sac'

PY ?= python3
TASK ?= rlgen/SparseHalfCheetahFar-v0
STEPS ?= 4e5
ARGS ?=

BIN := .venv/bin
# Rewritten when what .venv should hold changes.
READY := .venv/.ready

# Small networks: a second thread costs more than it gives.
export OMP_NUM_THREADS ?= 1

.PHONY: run test check

run: $(READY)
	$(BIN)/python -m rlgen.train_vime --env $(TASK) -n $(STEPS) $(ARGS)

test: $(READY)
	$(BIN)/python -m pytest

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/python -m pytest

$(READY): pyproject.toml setup.cfg constraints.txt
	@$(PY) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: rlgen needs Python 3.11 or \
	newer, and $(PY) is not: name one that is, such as make test PY=python3.12" >&2; exit 1; }
	@$(PY) -c 'import ensurepip, venv' 2>/dev/null || { echo "error: $(PY) cannot make virtual environments: \
	install its venv module (Debian, Ubuntu: apt install python3-venv)" >&2; exit 1; }
	@echo "setting up .venv (a minute or more the first time)"
	@$(PY) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@
