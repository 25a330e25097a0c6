# Every chore of the project. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
JOBS ?= auto

.DEFAULT_GOAL := help
KAFKA := .cache/kafka
MAVEN := mvn --quiet --batch-mode
PRISM_VERSION := v$(shell sed -n 's/^apache-beam.*==//p' requirements.txt)
.PHONY: help run test lint audit format types bench lock clean install
.PHONY: live prism kafka kafka-start kafka-stop kafka-expansion flink-job-server pubsub
.PHONY: bigquery-emulator flink flink-start flink-stop prometheus bench-stream soak

help: ## List the targets.
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 17

run: $(VENV)/.run ## Install what is pinned and run the main job on the packaged sample.
	$(BIN)/python -m pipelines.regional_means

live: $(VENV)/.run prism kafka ## Simulator, Kafka, pipeline and store at once; shows the means as they change.
	$(BIN)/python -m pipelines.live

test: $(VENV)/.dev lint types ## Install and run all checks; SLOW=1 runs the slow tests too.
	$(BIN)/python -m pytest -n $(JOBS) --cov --cov-report=term --durations=20 $(if $(SLOW),,-m "not slow")

lint: $(VENV)/.dev ## Check style.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev ## Check types.
	$(BIN)/mypy

audit: $(VENV)/.dev ## Look for known vulnerabilities and unfit licences among what is locked.
	$(BIN)/python -m deploy.audit

format: $(VENV)/.dev ## Rewrite the code in the project's style.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev ## Measure against peers and write benchmarks/RESULTS.md (half an hour, 12 GB).
	$(BIN)/python -m benchmarks.run

bench-stream: $(VENV)/.dev prism kafka flink-job-server ## Measure streams on Flink and Prism; writes benchmarks/RESULTS-streaming.md (3 hours, 20 GB).
	$(BIN)/python -m benchmarks.streaming all

soak: $(VENV)/.dev kafka flink ## Streams with random faults on Flink (RUNS=20 SEED=1).
	$(BIN)/python -m tests.faults.soak --runs $(or $(RUNS),20) --seed $(or $(SEED),1)

install: $(VENV)/.run ## Create the environment only.

prism: $(BIN)/prism ## Install Prism, Beam's local runner for streams (needs Go, 2 minutes).

kafka: $(KAFKA)/libs/.done ## Install a Kafka broker (needs Java 17 and Maven).

kafka-start: kafka ## Start the broker on 127.0.0.1:9092.
	deploy/kafka/start.sh

kafka-stop: ## Stop it; its topics stay.
	deploy/kafka/stop.sh

kafka-expansion: $(KAFKA)/expansion/.done ## Install Beam's KafkaIO, the reader that is Java.

flink-job-server: .cache/flink/.done ## Put together Beam's job server with an embedded Flink.

flink: flink-job-server .cache/flink/libs/.done ## Install a Flink cluster, too (Java, Maven).

flink-start: flink ## Start the cluster on 127.0.0.1:8081.
	deploy/flink/start.sh

flink-stop: ## Stop it; its checkpoints stay.
	deploy/flink/stop.sh

prometheus: .cache/prometheus/.done ## Unpack Prometheus and promtool for tests (Debian, Ubuntu).

pubsub: ## Run Google's Pub/Sub emulator (PORT=8085).
	deploy/pubsub/emulator.sh $(or $(PORT),8085)

bigquery-emulator: .cache/bigquery/venv/.done ## Install a BigQuery and a Cloud Storage to test against.

lock: $(VENV)/.dev ## Make the lock files anew from the *.in files.
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-emit-index-url \
		--no-emit-find-links --custom-compile-command "make lock" requirements.in -o requirements.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-emit-index-url \
		--no-emit-find-links --custom-compile-command "make lock" requirements-dev.in -o requirements-dev.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-emit-index-url \
		--no-emit-find-links --custom-compile-command "make lock" \
		deploy/bigquery/requirements-emulator.in -o deploy/bigquery/requirements-emulator.txt

clean: ## Remove what can be made again.
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage*

$(BIN)/prism: | $(VENV)/bin/python
	@command -v go >/dev/null || { echo "Prism is built with Go, which is missing: install Go, or \
	name a ready program from Beam's releases by --prism_location"; exit 1; }
	GOBIN=$(abspath $(BIN)) go install github.com/apache/beam/sdks/v2/go/cmd/prism@$(PRISM_VERSION)

$(KAFKA)/%/.done:
	@command -v java >/dev/null || { echo "Kafka needs Java 17 or newer, which is missing"; exit 1; }
	@command -v mvn >/dev/null || { echo "Kafka is installed by Maven, which is missing"; exit 1; }
	$(MAVEN) -f deploy/kafka/$(if $(filter expansion,$*),expansion/)pom.xml \
		dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory=$(abspath $(@D))
	@touch $@

.cache/flink/.done: deploy/flink/pom.xml
	@command -v mvn >/dev/null || { echo "the job server is put together by Maven, which is missing"; exit 1; }
	$(MAVEN) -f $< package
	@touch $@

.cache/flink/libs/.done: deploy/flink/cluster/pom.xml
	@command -v java >/dev/null || { echo "Flink needs Java 11 or 17, which is missing"; exit 1; }
	@command -v mvn >/dev/null || { echo "Flink is put together by Maven, which is missing"; exit 1; }
	$(MAVEN) -f $< dependency:copy-dependencies -DincludeScope=runtime \
		-DoutputDirectory=$(abspath $(@D))
	@touch $@

.cache/bigquery/venv/.done: deploy/bigquery/requirements-emulator.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

.cache/prometheus/.done:
	@command -v apt-get >/dev/null || { echo "Prometheus is taken from Debian's packages, and apt-get is missing"; exit 1; }
	@mkdir -p $(@D)
	cd $(@D) && apt-get download -qq prometheus && dpkg-deb -x prometheus_*.deb . && rm prometheus_*.deb
	@touch $@

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@
