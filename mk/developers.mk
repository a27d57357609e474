# For developers.

.PHONY: test reliability fuzz test-server test-real test-slurm test-report lint bench schemas wheel
## test: run all tests
test:
	cargo build --release --locked --workspace --bins
	cargo test --release --locked --workspace

## reliability: kills, failing and full disks, damage, malformed inputs, servers that fail: a table of tries and failures
reliability:
	cargo build --release --locked --workspace --bins
	cargo test --release --locked --workspace --test reliability -- --full

# Fuzz targets count what they reach; the flags are those of cargo-fuzz, but for the sanitizer, which stable Rust lacks.
TARGET ?= answers
TIME   ?= 60
FUZZ   := target/fuzz
SANCOV := --cfg fuzzing -Cpasses=sancov-module -Ccodegen-units=1 -Cllvm-args=-sanitizer-coverage-level=4 \
	-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
	-Cllvm-args=-sanitizer-coverage-trace-compares
# Named, so that build scripts are compiled without the flags.
HOST    = $(shell rustc -vV | sed -n 's/^host: //p')
## fuzz: one of fuzz/targets, TARGET=answers, for TIME=60 seconds; needs a C++ compiler
fuzz:
	RUSTFLAGS="$(SANCOV)" cargo build --release --locked --manifest-path fuzz/Cargo.toml --target-dir $(FUZZ) --target $(HOST) \
	  $(if $(filter manifest presets,$(TARGET)),--features files) $(if $(filter server template tokenizer weights,$(TARGET)),--features models) \
	  --bin $(TARGET)
	@mkdir -p $(FUZZ)/corpus/$(TARGET) $(FUZZ)/found
	$(FUZZ)/$(HOST)/release/$(TARGET) -max_total_time=$(TIME) -timeout=20 -rss_limit_mb=4096 -artifact_prefix=$(FUZZ)/found/ $(FUZZ)/corpus/$(TARGET)

# The tests' virtual environments: llama.cpp's server (about 400 MB), the converter of a packaged model (250 MB), a browser's driver.
SERVER_ENV := target/server-env
REAL_ENV   := target/real-env
PAGE_ENV   := target/page-env
$(SERVER_ENV)/made: tests/llama_cpp/requirements.txt
$(REAL_ENV)/made:   tests/real_model/requirements.txt
$(PAGE_ENV)/made:   tests/report/requirements.txt
$(SERVER_ENV)/made $(REAL_ENV)/made $(PAGE_ENV)/made:
	python3 -m venv $(@D)
	$(@D)/bin/pip install -q -r $<
	@touch $@

## test-server: a round with its policies behind llama.cpp's server, from PyPI; needs python3
test-server: $(SERVER_ENV)/made
	cargo build --release --locked --workspace --bins
	$(SERVER_ENV)/bin/python tests/llama_cpp/test.py target/release

## test-real: a round with a pretrained model of 135 million parameters, from PyPI; needs python3
test-real: $(REAL_ENV)/made
	cargo build --release --locked --workspace --bins
	$(REAL_ENV)/bin/python tests/real_model/test.py target/release

## test-slurm: rounds on a cluster of two nodes on this machine; needs root, python3, and Debian's slurmctld slurmd slurm-client munge
test-slurm:
	cargo build --release --locked --workspace --bins
	python3 tests/slurm/test.py target/release

## test-report: reports in headless Chromium, clicked through; needs python3, and Debian's chromium chromium-driver
test-report: $(PAGE_ENV)/made
	$(PAGE_ENV)/bin/python tests/report/test.py
	rm -f target/page-run/report.html
	$(MAKE) --no-print-directory round PRESET=smoke ROUND=1 R=target/page-run
	$(PAGE_ENV)/bin/python tests/report/test.py target/page-run/report.html

## lint: formatting, clippy and documentation, as CI runs them
# In the profile of the tests: its macros and build scripts are then compiled once.
lint:
	cargo fmt --all --check
	cargo clippy --release --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --release --locked --workspace --no-deps --document-private-items

# The virtual environment with what the benchmarks compare with, about 6 GB.
BENCH_ENV := target/bench-env
$(BENCH_ENV)/made: benches/requirements.txt
	python3 -m venv $(BENCH_ENV)
	$(BENCH_ENV)/bin/pip install -q -r $<
	$(BENCH_ENV)/bin/pip install -q --no-deps llm-reasoners==1.0.2
	@touch $@

## bench: this project beside PyTorch, transformers, llm-reasoners and treequest; BENCH_FLAGS='--only train --runs 3', DEVICE=cuda
bench: $(BENCH_ENV)/made
	cargo build $(CARGO_FLAGS) --workspace --bins --examples
	$(BENCH_ENV)/bin/python benches/compare.py --device $(DEVICE) $(BENCH_FLAGS)

## schemas: write schemas/*.json again from the declarations
schemas:
	cargo run --release --locked -p schema --example schemas

WHEEL_ENV := target/wheel-env
$(WHEEL_ENV)/made: pyproject.toml
	python3 -m venv $(@D)
	$(@D)/bin/pip install -q "$$(sed -n 's/^requires = \["\(.*\)"\]$$/\1/p' $<)"
	@touch $@

## wheel: all stages as a Python wheel for machines like this one, in target/wheels; needs python3
wheel: $(WHEEL_ENV)/made
	ALPHALLM_BUILT_FROM='$(ALPHALLM_REVISION)' $(WHEEL_ENV)/bin/maturin build --release --locked --out target/wheels
