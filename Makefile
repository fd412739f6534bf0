# Every task of the house. `make setup` once, then `make fast` while you work and `make check test` before you commit.

PYTHON ?= python3

.PHONY: setup check test fast golden docs bench clean

setup:  ## install the package with everything that tests need
	$(PYTHON) -m pip install -e ".[dev]"

check:  ## format, lint, types, floors and spelling; seconds, changes nothing
	ruff format --check .
	ruff check .
	basedpyright
	lint-imports
	typos

test:  ## everything that a processor can test
	pytest

fast:  ## what takes no longer than a cup of tea
	pytest -m "not slow and not browser and not compile"

golden:  ## write the stored figures of tests/golden anew; review the diff
	PARACOSM_WRITE_GOLDEN=1 pytest tests/golden -n 0

docs:  ## write the generated pages anew and build the site into site/
	$(PYTHON) -m tests.docs.generate
	zensical build --clean

bench:  ## measure this machine: what a simulated viewer sees of the bundled worlds
	mkdir -p benchmarks
	for world in doom coinrun; do paracosm play $$world --bench 20 --json benchmarks/play_$$world.json || exit 1; done

clean:
	rm -rf build dist site .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests -name __pycache__ -prune -exec rm -rf {} +
