# Everything here makes its own .venv first; all it takes is python3 >= 3.11 with venv, make and git.
#
#   make demo        three devices and a relay that is killed on the way, on real files   (DEMO_ARGS="PATH --keep")
#   make test        the tests                                                          (TEST_ARGS="tests/tables -x")
#   make lint        ruff, pyright strict, planted bugs that still fit their files
#   make mutants     every planted bug must be caught by its test                       (MUTANT_ARGS="--only NAME")
#   make trace       docs/traceability.md: which test settles which requirement         (TRACE_ARGS=--check)
#   make machines    docs/machines/: what every machine does, made by running it        (MACHINES_ARGS=--check)
#   make sim         the committed scenarios and the planted bugs, in under 90 s        (SIM_ARGS="-j 1")
#   make sim-full    the same everywhere: every operation, policy and recovery; hours
#   make matrix      docs/failure-matrix.md: every scenario, crashed wherever it asks for      (MATRIX_ARGS="joining")
#   make docs        site/
#   make bench       docs/benchmarks.md, at most 15 minutes                             (BENCH_ARGS="--only core")
#   make soak        properties with fifty times their examples, crashes, simulations: 12 to 30 minutes
#   make clean
#
# PYTHON=/path/to/python3.12 chooses the interpreter of a new .venv.

BIN := .venv/bin
STAMPS := .venv/.stamps
export PYTHON

.PHONY: help demo test lint format mutants trace machines sim sim-full matrix docs bench soak clean
.DEFAULT_GOAL := help

help:
	@sed -n 's/^#   //p' Makefile

# One stamp a dependency group: `make demo` does not wait for pytest. None is made when its install fails.
$(STAMPS)/users: pyproject.toml tests/tools/venv.sh
	@tests/tools/venv.sh
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/%: pyproject.toml tests/tools/venv.sh
	@tests/tools/venv.sh $*
	@mkdir -p $(STAMPS) && touch $@

demo: $(STAMPS)/users
	@$(BIN)/ferryman demo $(DEMO_ARGS)

test: $(STAMPS)/dev
	@$(BIN)/python -m pytest $(TEST_ARGS)

lint: $(STAMPS)/dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/pyright
	@$(BIN)/python -m tests.tools.mutants --check

format: $(STAMPS)/dev
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

mutants: $(STAMPS)/dev
	@$(BIN)/python -m tests.tools.mutants $(MUTANT_ARGS)

trace: $(STAMPS)/dev
	@$(BIN)/python -m tests.tools.trace $(TRACE_ARGS)

machines: $(STAMPS)/dev
	@$(BIN)/python -m tests.tools.machines $(MACHINES_ARGS)

matrix: $(STAMPS)/dev
	@$(BIN)/python -m tests.tools.failure_matrix $(MATRIX_ARGS)

sim: $(STAMPS)/users
	@$(BIN)/ferryman sim run examples/scenarios/*.toml $(SIM_ARGS)
	@$(BIN)/ferryman sim self-test $(SIM_ARGS)

sim-full: $(STAMPS)/users
	@$(BIN)/ferryman sim run --full examples/scenarios/*.toml $(SIM_ARGS)

docs: $(STAMPS)/docs
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict  # never --quiet: it hides warnings from --strict

bench: $(STAMPS)/dev
	@$(BIN)/python -m tests.benchmarks.run $(BENCH_ARGS)

# The longest property takes two minutes alone and six on a busy machine; one that takes 15 hangs.
soak: $(STAMPS)/dev
	@$(BIN)/python -m pytest --hypothesis-profile=soak --timeout=900 tests/properties tests/crash tests/simulation $(TEST_ARGS)

clean:
	rm -rf .venv site dist build .pytest_cache .ruff_cache .hypothesis .coverage*
	find actors protocol supervisors src tests examples -name __pycache__ -type d -prune -exec rm -rf {} +
