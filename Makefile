# make run: set everything up and run the main job.   make test: set everything up and pass every test.
# make down: stop what `make run` left running.       make check: the whole gate.

# The newest that can make a virtual environment; make PYTHON=/path/to/python3.12 … names another.
# Looked for once, and only where an environment is made.
PYTHON ?= $(eval PYTHON := $(shell for python in python3.13 python3.12 python3.11; do \
	"$$python" -c 'import ensurepip, venv' 2> /dev/null && { command -v "$$python"; break; }; done))$(PYTHON)
export SAM_CLI_TELEMETRY = 0

# Another one beside it, for another Python: make smoke VENV=.venv-3.12 PYTHON=python3.12
VENV = .venv
BIN = $(VENV)/bin
UV = $(BIN)/uv pip
TYPESCRIPT_VERSION = 5.9.3
# The system's own certificates, for a network that has some of its own.
export UV_SYSTEM_CERTS = true
# What uv fetches stays in the project too.
export UV_CACHE_DIR ?= $(CURDIR)/.cache/uv
# A virtual environment that the caller has active is not used.
unexport VIRTUAL_ENV PYTHONPATH PYTHONHOME
# Compiled modules are kept, or every start of LocalStack, SAM and the command would compile thousands of files anew.
unexport PYTHONDONTWRITEBYTECODE

run: runs
	@$(BIN)/thumbs up
	@$(BIN)/thumbs start generateBatch --input-file examples/batch.json
	@echo
	@echo 'Open a picture: click its cell, or open its URL in a browser. All of them on one page: .venv/bin/thumbs open RUN'
	@echo 'Another run:    .venv/bin/thumbs start generateBatch --input-file examples/batch.json'
	@echo 'Stop the stack: make down'

# Processes that run tests side by side: three for the lanes of integration tests, which often wait, one for unit tests.
WORKERS ?= 4

test: setup
	@$(BIN)/python -m pytest --numprocesses $(WORKERS) --durations 10

# Three titles by two models, and each way in, on a stack of its own.
smoke: setup
	@$(BIN)/python -m pytest tests/integration -m smoke --durations 5

# What takes too long for every run of the suite.
test-nightly: setup
	@$(BIN)/python -m pytest --numprocesses $(WORKERS) -m nightly --durations 10

# Bad input by the thousand, other input each time, and how much of it was refused and accepted.
fuzz: setup
	@FUZZ=6 $(BIN)/python -m pytest tests/unit/test_fuzz.py tests/integration/test_api.py -k 'test_fuzz or generated_requests' --quiet

# What can go wrong in a batch, the slow rows too, and the table of it.
test-faults: setup
	@$(BIN)/python -m pytest tests/integration/test_faults.py tests/integration/test_batches.py -m '' -q --fault-table

# What other sites and other hosts try against a stack, some of it in Chromium, and the table of it.
test-attacks: setup
	@$(BIN)/python -m pytest tests/integration/test_attacks.py -m '' -q --attack-table

# What is killed in a batch of 25 × 2, a full disk too, and the table of it.
test-crashes: setup
	@$(BIN)/python -m pytest tests/integration/test_crashes.py -m '' -q --crash-table

# What can happen to an event, and the table of it.
test-lost-events: setup
	@$(BIN)/python -m pytest tests/integration/test_lost_events.py -m '' -q --fault-table

# Twenty batches of fifty with every fifth call failing, on a stack of its own: is anything lost, does anything leak?
soak: setup
	@$(BIN)/python -m tests.bench.soak $(OPTIONS)

# The functions in containers, under `sam local`; skipped where no Docker daemon answers (.ci/sam-local starts one).
test-sam-local: setup
	@$(BIN)/python -m pytest tests/sam_local --durations 10 $(OPTIONS)

check: check-static test

check-static: setup check-page
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy functions thumbs tests
	@$(BIN)/bandit --quiet --configfile pyproject.toml --recursive functions thumbs
	@$(BIN)/cfn-lint template.yaml infra/*.yaml
	@AWS_DEFAULT_REGION=us-east-1 PATH="$(CURDIR)/$(BIN):$$PATH" .venv-sam/bin/sam validate --lint

# The templates against checkov's rules for AWS (Well-Architected); .checkov.yaml argues what is left out.
check-rules: .venv-checkov/ready
	@.venv-checkov/bin/checkov --config-file .checkov.yaml && echo 'the templates keep the rules'

# The page's types, where Node is there.
check-page:
	@if command -v npx > /dev/null; then npx --yes --package typescript@$(TYPESCRIPT_VERSION) tsc -p functions/web/jsconfig.json; \
		else echo 'The types of the page are not checked: there is no Node.'; fi

# What the page weighs, and how soon it paints, on the stack that is up.
bench-page: setup
	@$(BIN)/python -m tests.bench.bench_page $(OPTIONS)

# What drawing a title costs, beside plain Pillow, ImageMagick and sharp where they are installed.
bench-overlay: setup
	@PYTHONPATH=functions $(BIN)/python -m tests.bench.bench_overlay $(OPTIONS)

# What JPEG settings cost in bytes, time and looks, over twenty pictures that it fetches.
bench-encoder: setup
	@PYTHONPATH=functions $(BIN)/python -m tests.bench.bench_encoder $(OPTIONS)

# Where an image's processor time goes in its function, on the stack that is up.
bench-cell: setup
	@PYTHONPATH=functions $(BIN)/python -m tests.bench.bench_cell $(OPTIONS)

# The same titles by this product and by two others, side by side; needs Node and the package indexes.
bench-peers: setup
	@PYTHONPATH=functions $(BIN)/python -m tests.bench.bench_peers

# How long a batch takes over its size, beside its floor and stock LocalStack: twenty minutes.
bench: setup
	@PYTHONPATH=functions $(BIN)/python -m tests.bench.bench_batch

# One shape of it, in two minutes.
bench-quick: setup
	@PYTHONPATH=functions $(BIN)/python -m tests.bench.bench_batch --quick

# What each change of thumbs/localstack/speedups.py is worth, each left out in turn.
bench-speed: setup
	@PYTHONPATH=functions $(BIN)/python -m tests.bench.bench_speedups $(OPTIONS)

# What a cold start of the function costs: package, import, first image.
bench-cold-start: setup
	@PYTHONPATH=functions $(BIN)/python -m tests.bench.bench_cold_start

# What it costs that objects are on the disk before S3 answers.
bench-disk: setup
	@$(BIN)/python -m tests.bench.bench_disk

bench-docs: setup
	@PYTHONPATH=functions $(BIN)/python -m tests.bench.bench_batch --docs

# What a campaign costs the embedded stack: wall time, and the memory of all its processes.
bench-campaign: setup
	@$(BIN)/python -m tests.bench.bench_campaign $(OPTIONS)

# A campaign of 200 titles at half price with two crashes in it: what is paid for, and at which part of the price.
bench-economy: setup
	@PYTHONPATH=functions $(BIN)/python -m tests.bench.bench_economy $(OPTIONS)

# Few environments and a slow provider, on the stack that is up: ten minutes and more. OPTIONS=--paper needs none.
bench-limits: setup
	@$(BIN)/python -m tests.bench.bench_limits $(OPTIONS)

# What pages of runs and images, a run and a redrive cost over 10, 1,000 and 10,000 stored runs: three minutes.
# OPTIONS=--docs writes docs/growth.md and its plot.
bench-growth: setup
	@PYTHONPATH=functions $(BIN)/python -m tests.bench.bench_growth $(OPTIONS)

# Draw the golden pictures anew, to be looked at before they are kept.
golden: setup
	@PYTHONPATH=functions $(BIN)/python -m tests.unit.test_overlay_golden

# Which letters each shipped font has, after a font was added or changed.
coverage: setup
	@PYTHONPATH=functions $(BIN)/python -m tests.unit.test_overlay_coverage

# What every answer of a provider becomes, in docs/troubleshooting.md.
error-table: setup
	@PYTHONPATH=functions $(BIN)/python -m tests.unit.test_provider_answers
# What the page shows of styles, templates and fonts, drawn anew to be looked at before it is kept.
examples: setup
	@PYTHONPATH=functions $(BIN)/python -m tests.unit.test_examples

# The API's document, from its code.
openapi: setup
	@PYTHONPATH=functions POWERTOOLS_TRACE_DISABLED=1 $(BIN)/python -m api > docs/openapi.json

# The JSON Schema of brand kits, from the code that checks them.
schema: setup
	@PYTHONPATH=functions $(BIN)/python -m thumbnails.brands > docs/schema/brand.schema.json

up: runs
	@$(BIN)/thumbs up

# What make does here.
help:
	@echo 'make           sets everything up, starts the stack and makes a batch (make run)'
	@echo 'make down      stops what that left running; the images stay'
	@echo 'make up        starts the stack alone'
	@echo 'make test      sets everything up and passes every test; make check passes the whole gate'
	@echo 'make smoke     a batch by each way in, on a stack of its own'
	@echo 'make setup     the environments alone; make pins renews what they hold'
	@echo 'More targets, each with a line of its own: less Makefile. The command: .venv/bin/thumbs --help'

down:
	@if [ -x $(BIN)/thumbs ]; then $(BIN)/thumbs down; else echo 'nothing was ever started here'; fi

# The environments, from the pins; again only when they change. What installs them leaves nothing outside the project.
$(VENV)/runs $(VENV)/ready .venv-sam/ready .venv-checkov/ready pins: export TMPDIR = $(CURDIR)/.cache/tmp
# What runs, and beside it what tests and checks.
runs: $(VENV)/runs .venv-sam/ready
setup: $(VENV)/ready .venv-sam/ready

# An environment whose Python is gone, or is another than the one that is named, is made anew.
WHICH = -c 'import sys; print(sys.version, sys.base_prefix)' 2> /dev/null
NAMED = $(if $(filter file,$(origin PYTHON)),$(BIN)/python,$(PYTHON))
ifneq ($(shell found=$$($(BIN)/python $(WHICH)) && [ "$$found" = "$$("$(NAMED)" $(WHICH))" ] && echo same),same)
$(VENV)/runs: anew
endif
ifneq ($(shell .venv-sam/bin/python -c 'print("runs")' 2> /dev/null),runs)
.venv-sam/ready: anew
endif

# pip works from the wheel that Python brings along: to install it first takes seconds, and nothing else needs it.
PIP = import ensurepip, glob, os, sysconfig; \
	folders = sysconfig.get_config_var('WHEEL_PKG_DIR'), os.path.join(os.path.dirname(ensurepip.__file__), '_bundled'); \
	print(next(pip for folder in folders if folder for pip in glob.glob(os.path.join(folder, 'pip-*.whl'))) + '/pip')
# Every pin is there, with its hashes: nothing is left to resolve.
INSTALL = $(UV) install --quiet --no-deps --require-hashes --build-constraints requirements-build.txt

$(VENV)/runs: requirements.txt requirements-build.txt pyproject.toml
	@"$(PYTHON)" -c 'import sys, ensurepip, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2> /dev/null || { \
		echo 'This needs Python 3.11, 3.12 or 3.13 with its venv module, and $(if $(PYTHON),$(PYTHON) is none,there is none): install it (Debian, Ubuntu: apt install python3-venv), or name one: make PYTHON=/path/to/python3.13 …'; exit 1; }
	@echo 'Installing the pins into $(VENV), on $(PYTHON) …'
	@mkdir -p "$$TMPDIR"
	@"$(PYTHON)" -m venv --clear --without-pip $(VENV)
	@pip=$$("$(PYTHON)" -c "$(PIP)" 2> /dev/null) || { $(BIN)/python -m ensurepip > /dev/null && pip=$(BIN)/pip3; }; \
		$(BIN)/python "$$pip" install --quiet --disable-pip-version-check --no-cache-dir --require-hashes -r requirements-build.txt || { echo 'uv could not be installed: is the package index reachable?'; exit 1; }
	@$(INSTALL) --python $(BIN)/python -r requirements.txt
	@$(UV) install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/ready: $(VENV)/runs requirements-dev.txt
	@echo 'Installing what tests and checks into $(VENV) …'
	@$(INSTALL) --python $(BIN)/python -r requirements-dev.txt
	@touch $@

.venv-sam/ready: requirements-sam.txt | $(VENV)/runs
	@echo 'Installing the AWS SAM CLI into .venv-sam …'
	@"$(PYTHON)" -m venv --clear --without-pip .venv-sam
	@$(INSTALL) --python .venv-sam/bin/python -r requirements-sam.txt
	@touch $@

# Its own, for it wants other versions than LocalStack; nothing but `make check-rules` needs it.
.venv-checkov/ready: requirements-checkov.txt | $(VENV)/runs
	@echo 'Installing checkov into .venv-checkov …'
	@"$(PYTHON)" -m venv --clear --without-pip .venv-checkov
	@$(INSTALL) --python .venv-checkov/bin/python -r requirements-checkov.txt
	@touch $@

# Whether every pin of the functions has a wheel for each runtime and architecture; asks the package index.
wheels: setup
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(MAKE) --no-print-directory -C functions wheels

# Renew every pin from pyproject.toml, requirements-sam.in and the functions' requirements.in.
pins:
	$(UV) compile pyproject.toml --extra dev --universal --generate-hashes --python-version 3.11 --quiet --custom-compile-command 'make pins' --output-file requirements-dev.txt
	$(UV) compile pyproject.toml --constraints requirements-dev.txt --universal --generate-hashes --python-version 3.11 --quiet --custom-compile-command 'make pins' --output-file requirements.txt
	$(UV) compile requirements-build.in --constraints requirements-dev.txt --universal --generate-hashes --python-version 3.11 --quiet --custom-compile-command 'make pins' --output-file requirements-build.txt
	$(UV) compile requirements-sam.in --universal --generate-hashes --python-version 3.11 --quiet --custom-compile-command 'make pins' --output-file requirements-sam.txt
	$(UV) compile requirements-checkov.in --universal --generate-hashes --python-version 3.11 --quiet --custom-compile-command 'make pins' --output-file requirements-checkov.txt
	PATH="$(CURDIR)/$(BIN):$$PATH" $(MAKE) -C functions pins

.PHONY: run test test-nightly test-attacks test-crashes test-lost-events test-faults test-sam-local soak fuzz check check-static check-rules bench bench-quick bench-docs bench-speed bench-cold-start bench-overlay bench-encoder bench-cell bench-peers bench-campaign bench-economy bench-limits bench-growth bench-disk \
	check-page bench-page coverage examples golden error-table openapi schema up down help runs setup anew smoke pins wheels
