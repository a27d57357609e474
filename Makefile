# The loop of AlphaLLM: files and arrows. Hyperparameters are in pipelines/<preset>/, a file per stage; what a stage does is in
# its binary. The target of a stage is the manifest of its output, which is written last.
#
# One call of make makes one round, ROUND. What it takes from earlier rounds are files to it; a call for the round before brings
# those up to date first. So every rule below is about this round or the one before, and is there once.

.DEFAULT_GOAL := all

include mk/variables.mk mk/run.mk

# ------------------------------------------------------------------------------------------------------------- this round
# Rounds from the same round 0 with other settings: the files of $(P)/$(ARM) in place of those of the same name in $(P).
ARM    ?=
A      := $(R)$(addprefix /,$(ARM))
# `make round` builds the round after those whose comparison exists, plain `make` brings the last one up to date.
DONE   := $(words $(wildcard $(A)/round-*/comparison.json))
ROUND  ?= $(shell expr $(DONE) + $(if $(filter round,$(MAKECMDGOALS))$(filter 0,$(DONE)),1,0))
N      ?= 1
# All rounds so far in two digits, this one, and the one before it: round 0 is that of all arms.
ROUNDS := $(shell seq -f %02g $(ROUND))
THIS   := $(A)/round-$(lastword $(ROUNDS))
PREVIOUS := $(lastword 00 $(filter-out $(lastword $(ROUNDS)),$(ROUNDS)))
Z      := $(R)/round-00
BEFORE := $(if $(filter 00,$(PREVIOUS)),$(Z),$(A)/round-$(PREVIOUS))

DEVICE    ?= cpu
# What a build for graphics cards has besides: autotune, fusion.
GPU_FEATURES ?=
WORKERS   ?=
# The most memory for what models have read, such as 8GiB; none is no limit.
KV_MEMORY ?=
# What runs the stages: nothing is one process of this machine, `local` JOBS of them, `slurm` a cluster, by the file CLUSTER. The
# parts of an output are made by SHARDS processes or tasks; its bytes do not depend on it.
ENGINE    ?=
SHARDS    ?=
JOBS      ?= 2
CLUSTER   ?= cluster.toml
# Where metrics are shown while the stages write them: tensorboard, wandb, mlflow, trackio, or several with commas between them.
TRACK     ?=
PYTHON    ?= python3
# 1: show the commands of stages and the tables they print, and not only a line about each.
V         ?=
# More arguments of these stages, such as --weak-critics of search.
SEARCH_FLAGS   ?=
CRITIQUE_FLAGS ?=
FILTER_FLAGS   ?=

.PHONY: all round rounds compared report show bootstrap synthesize search critique filter finetune policy evaluate measured build tracked
## all: bring the last round up to date (the first one if there is none)
all: $(A)/report.html

## round: build the next round that is missing, or ROUND=n
round: $(A)/report.html
# What a round needs of the one before.
compared: $(THIS)/comparison.json

## report: the rounds so far on one page, report.html in the run's folder
report: $(A)/report.html

## rounds: build N more rounds, N=3
rounds: | tracked
	@for i in $$(seq $(N)); do $(MAKE) --no-print-directory round || exit; done

## show: print the comparison of the rounds so far again, or that of ROUND=n
show:
	@$(if $(wildcard $(THIS)/comparison.json),$(comparison),echo 'no round of $(R) has ended yet; `make round` makes one')

## bootstrap, synthesize, search, critique, filter, finetune, evaluate: one stage of a round, and what it needs
bootstrap:  $(Z)/evaluation/$(M)
synthesize: $(THIS)/prompts/$(M)
search:     $(THIS)/trajectories/$(M)
critique:   $(THIS)/critiques/$(M)
filter:     $(THIS)/sft/$(M)
policy:     $(THIS)/policy/$(M)
finetune:   $(THIS)/policy/$(M) $(THIS)/control/$(M)
evaluate:   $(THIS)/evaluation/$(M) $(THIS)/control-evaluation/$(M)

## measured: the rounds of ARM=name up to ROUND=n and their evaluations, without controls
measured: $(THIS)/evaluation/$(M)

# BUILD=: takes the binaries as they are. Where there is no cargo, they call those of an installed wheel.
NO_CARGO    := $(if $(shell command -v cargo 2>/dev/null),,yes)
INSTALLED   := target/installed
BIN         ?= $(if $(NO_CARGO),$(INSTALLED),target/release)
BACKEND     := $(filter-out cpu,$(firstword $(subst :, ,$(DEVICE))))
CARGO_FLAGS := --release --locked $(if $(BACKEND),--features '$(patsubst %,decoding/%,$(BACKEND) $(GPU_FEATURES))')
export ALPHALLM_REVISION := $(shell git describe --always --dirty 2>/dev/null)
ifeq ($(NO_CARGO),)
BUILD       ?= cargo build $(CARGO_FLAGS) --workspace --bins
else
BUILD       ?= $(if $(filter $(INSTALLED),$(BIN)),mk/installed.sh $(BIN) $(ALPHALLM_REVISION),:)
endif
build: | tracked
	@$(BUILD)
	@$(if $(PLANNED)$(filter-out 0,$(V))$(filter estimate estimated,$(MAKECMDGOALS)),:,$(call outputs_of,$(MAKECMDGOALS)) | mk/plan.sh $(R))

# $(call outputs_of,<goals>): a command that prints the manifests of the outputs that make would make for them, in order.
outputs_of = PLANNED=yes $(MAKE) -n --no-print-directory BUILD=: V=0 $(1) 2>/dev/null | sed -n 's|.*mk/quiet.sh \([^ ]*\) .*|\1|p'

# It follows the run as long as the make that somebody called is at work.
ifeq ($(if $(TRACK),$(MAKELEVEL)),0)
track := $(PYTHON) examples/track.py $(R) --to $(TRACK)
tracked:
	@$(track) --check && { $(track) --while $$PPID & }
endif

include mk/settings.mk mk/stages.mk mk/experiments.mk mk/base.mk mk/developers.mk

# What a stage has committed stays, though make is interrupted or the stage ends badly after that: its manifest is what says so,
# and it appears last.
.PRECIOUS: $(R)/made-with $(R)/served-with $(EARLIER) $(OUTPUTS)

.PHONY: status estimate clean-run help
## status: which outputs of the run exist, and which comes next
status:
	@mk/status.sh $(A) $(R)/logs "$$($(call outputs_of,round) | head -n 1)"

## estimate: about what a round would take: time, memory, disk; the policy answers a few seeds
# In a folder of its own: whoever asks what a round would take has not begun the run yet.
estimate: | build
	@place=$$(mktemp -d) && trap 'rm -rf "$$place"' EXIT && $(MAKE) --no-print-directory BUILD=: V=0 R=$$place/run estimated \
	  $(foreach v,PRESET SEED P INIT FAST_INIT DATA SPLITS IMPORT_FLAGS,$(call quoted,$(v)=$($(v))))

.PHONY: estimated
estimated: $(WORLD)
	@$(BIN)/evaluate estimate --preset $(P) $(compute) --policy $(or $(SERVER),$(INIT)) --seeds $(R)/world/seeds --validation $(R)/world/validation \
	  $(foreach s,$(SPLITS),--problems $(R)/world/$(s))

## clean-run: delete the run's folder, RUN=name
clean-run:
	rm -rf '$(R)'

ifneq ($(filter clean-run,$(MAKECMDGOALS)),)
ALL_RUNS := $(call list,$(patsubst $(RUNS)/%/made-with,%,$(wildcard $(RUNS)/*/made-with)))
$(if $(or $(call given,RUN),$(call given,R)),,$(error clean-run deletes a run: say which, RUN=name; there are: $(ALL_RUNS)))
$(if $(wildcard $(R)/.),,$(error clean-run: there is no $(R); there are: $(ALL_RUNS)))
$(if $(call given,R),$(if $(BEGUN),,$(error clean-run: $(R) is not the folder of a run, it has no made-with)))
endif

## help: this list
help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)
	@echo; echo 'Variables, as they are now; README.md and docs/guide say what they mean:'
	@$(call shown,of a run,       PRESET RUN SEED ROUND N ARM)
	@$(call shown,models and data,INIT FAST_INIT DATA SPLITS)
	@$(call shown,this machine,   DEVICE WORKERS KV_MEMORY)
	@$(call shown,more machines,  SERVER SERVER_FAST ENGINE SHARDS JOBS CLUSTER)
	@$(call shown,what is shown,  TRACK V)
shown = echo '  $(1): $(foreach v,$(2),$(v)=$(if $(word 2,$($(v))),"$($(v))",$($(v))))'
