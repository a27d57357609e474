# The loop of AlphaLLM: files and arrows. Hyperparameters are in pipelines/<preset>/, a file per stage; what a stage does is
# in its binary. The target of a stage is the manifest of its output, which is written last.

PRESET  ?= tiny
RUN     ?= $(PRESET)
SEED    ?= 0
DEVICE  ?= cpu
WORKERS ?=
# The most memory for what models have read, such as 8GiB; none is no limit.
KV_MEMORY ?=
# 1: critics are trained anew in every round, on solutions of its policy, and judge the next one.
RETRAIN ?=
override RETRAIN := $(filter-out 0,$(RETRAIN))
# A folder with problems from outside instead of the embedded world's: seeds.jsonl, validation.jsonl and a file for each of
# SPLITS, as `synthesize import` reads them with these flags.
DATA    ?=
IMPORT_FLAGS ?= --format gsm8k
# The address of a server, http://host:port/v1#model, that has the policy of the round before: it then writes the labels and
# the searches, and so does SERVER_FAST for the rollouts.
SERVER  ?=
SERVER_FAST ?= $(SERVER)
# `external` lets the preset's `external_trainer` fine-tune the policy and the control of a round.
TRAINER ?=
# Where a round's policy and control start: `previous`, from those of the round before, or `base`, from INIT.
START   ?= previous
# Which rounds' examples a policy learns from beside the seeds: `all` so far, or the `last`, its own.
KEPT    ?= all
ifneq ($(filter-out previous base,$(START))$(filter-out all last,$(KEPT)),)
$(error START has to be previous or base, and KEPT all or last)
endif
# Rounds from the same round 0 with other settings: those of $(P)/$(ARM) in place of those of the same name in $(P). Round 0
# and how models are measured are the same in all arms.
ARM     ?=
# More arguments of these stages, such as --weak-critics of search.
SEARCH_FLAGS   ?=
CRITIQUE_FLAGS ?=
FILTER_FLAGS   ?=
N       ?= 1

P    ?= pipelines/$(PRESET)
RUNS ?= data/runs
R    ?= $(RUNS)/$(RUN)
# How the base models are trained from nothing: a preset with base.toml has its own, the others those that are shipped.
B    := $(if $(wildcard $(P)/base.toml),$(P),pipelines/base)
BASE ?= $(if $(filter pipelines/base,$(B)),data/base,data/bases/$(notdir $(B)))
# The models that round 0 starts from; any Hugging Face directory of a supported model will do.
INIT      ?= $(BASE)/policy
FAST_INIT ?= $(BASE)/fast_policy
M    := _MANIFEST.json

# The folder of the rounds of the arm.
A    := $(R)$(addprefix /,$(ARM))

# Rounds whose comparison exists; `make round` builds the one after them, plain `make` keeps the last one up to date.
DONE := $(words $(wildcard $(A)/round-*/comparison.json))
NEXT := $(shell expr $(DONE) + 1)
LAST := $(if $(filter 0,$(DONE)),1,$(DONE))
ROUND ?= $(if $(filter round,$(MAKECMDGOALS)),$(NEXT),$(LAST))

two      = $(shell printf '%02d' $(1))
previous = $(call two,$(shell expr $(1) - 1))
THIS    := $(A)/round-$(call two,$(ROUND))

CARGO_FLAGS := --release --locked $(if $(filter cuda%,$(DEVICE)),--features decoding/cuda)
BIN         ?= target/release
export ALPHALLM_REVISION := $(shell git describe --always --dirty 2>/dev/null)

# What an arm may change.
VARIED := prompts search tree critique confidence filter finetune
ifneq ($(ARM),)
ARM_FILES := $(wildcard $(P)/$(ARM)/*)
ifneq ($(if $(ARM_FILES),$(filter-out $(VARIED:%=$(P)/$(ARM)/%.toml),$(ARM_FILES)),none),)
$(error ARM=$(ARM): $(P)/$(ARM) has to hold some of $(VARIED:%=%.toml), and nothing else)
endif
endif
# $(call settings,<stage>): its file, the arm's if that has one.
settings = $(or $(if $(ARM),$(wildcard $(P)/$(ARM)/$(1).toml)),$(P)/$(1).toml)
# $(call flags,<stage>,<round>): what every stage is told. make knows that an output is stale, so it may be replaced.
flags   = --config $(call settings,$(1)) --seed $(SEED) --round $(2) --device $(DEVICE) $(if $(WORKERS),--workers $(WORKERS)) $(if $(KV_MEMORY),--kv-memory $(KV_MEMORY)) --force
# A recipe that found its output up to date has written nothing: the target must still become newer than what it was made from.
done    = && touch $@

SPLITS  := test ood-templates ood-chains
# The settings that rounds are measured with.
MEASURED ?= evaluate
# The split of figures that are made of one.
ON      ?= $(firstword $(SPLITS))
WORLD   := $(foreach s,seeds validation $(SPLITS),$(R)/world/$(s)/$(M))
CRITICS := $(patsubst $(P)/critic-%.toml,%,$(wildcard $(P)/critic-*.toml))
Z       := $(R)/round-00
# A preset without fast-policy.toml has no small model: the fast policy is that of round 0.
FAST    := $(Z)/$(if $(wildcard $(P)/fast-policy.toml),fast_policy,policy)
# $(call at,nn): the folder of a round's models and labels; round 0 is that of all arms.
at      = $(if $(filter 00,$(1)),$(Z),$(A)/round-$(1))
# $(call from,nn,<stages>,<rounds>): the folder of a round's datasets that these settings decide. In these rounds an arm
# without a file for any of them has those of the preset.
from    = $(if $(or $(filter-out $(3),$(1)),$(wildcard $(foreach s,$(2),$(P)/$(ARM)/$(s).toml))),$(A),$(R))/round-$(1)
SEARCHED := search tree
JUDGED   := $(SEARCHED) critique confidence
prompted   = $(call from,$(1),prompts,00 01)
searched   = $(call from,$(1),prompts $(SEARCHED),00 01)
judged     = $(call from,$(1),prompts $(JUDGED),00 01)
filtered   = $(call from,$(1),prompts $(JUDGED) filter,00 01)
calibrated = $(call from,$(1),$(JUDGED),00)
audited    = $(A)/round-$(1)/audit-$(ON)
# $(call judges,nn): the critics that were trained after round nn, as prerequisites and as arguments.
judge_manifests = $(foreach c,$(CRITICS),$(call at,$(1))/critics/$(c)/$(M))
judges  = $(foreach c,$(CRITICS),--critic $(call at,$(1))/critics/$(c))
# $(call sure,nn): the calibration of those critics; a preset without confidence.toml has none.
sure    = $(if $(wildcard $(P)/confidence.toml),$(call calibrated,$(1))/confidence)
# A preset with [preferences] learns from pairs, too.
PAIRS   := $(shell grep -l '^\[preferences\]' $(call settings,finetune) 2>/dev/null)
# Prompts are made with models where one writes or tries them, and with earlier rounds where the preset looks back.
WRITES  := $(shell grep -lE '^\[(writing|difficulty)\]' $(call settings,prompts) 2>/dev/null)
BACK    := $(shell grep -lE '^(\[curriculum\]|backward)' $(call settings,prompts) 2>/dev/null)
TESTS   := $(foreach s,$(SPLITS),$(R)/world/$(s)/$(M))

# A run belongs to one preset, one seed and one way to learn: files do not say so to make, and mixing them would go unnoticed.
MADE_WITH := PRESET=$(PRESET) SEED=$(SEED)$(if $(RETRAIN), RETRAIN=1)$(if $(filter base,$(START)), START=base)$(if $(filter last,$(KEPT)), KEPT=last)
FOUND     := $(shell cat $(R)/made-with 2>/dev/null)
ifneq ($(filter-out clean-run help test test-server lint schemas status build base bench results,$(or $(MAKECMDGOALS),all)),)
ifneq ($(or $(FOUND),$(MADE_WITH)),$(MADE_WITH))
$(error $(R) was made with $(FOUND): give another RUN, or `make clean-run RUN=$(RUN)` first)
endif
endif

.DELETE_ON_ERROR:
.PHONY: all help round rounds compare ablation results build base bench test test-server lint schemas status clean-run synthesize search critique filter finetune evaluate bootstrap

## all: bring the last round up to date (the first one if there is none)
all: $(THIS)/comparison.json

## round: build the next round that is missing, or ROUND=n
round: $(THIS)/comparison.json

## rounds: build N more rounds, N=3
rounds:
	@for i in $$(seq $(N)); do $(MAKE) --no-print-directory round || exit; done

## bootstrap, synthesize, search, critique, filter, finetune, evaluate: one stage of a round, and what it needs
bootstrap:  $(Z)/evaluation/$(M)
synthesize: $(THIS)/prompts/$(M)
search:     $(THIS)/trajectories/$(M)
critique:   $(THIS)/critiques/$(M)
filter:     $(THIS)/sft/$(M)
finetune:   $(THIS)/policy/$(M) $(THIS)/control/$(M)
evaluate:   $(THIS)/evaluation/$(M) $(THIS)/control-evaluation/$(M)

# BUILD=: takes the binaries as they are.
BUILD ?= cargo build $(CARGO_FLAGS) --workspace --bins
build:
	@$(BUILD)

# ---------------------------------------------------------------------------------------------------- the embedded world
$(R)/made-with:
	@mkdir -p $(R) && echo '$(MADE_WITH)' > $@

ifeq ($(DATA),)
$(R)/world/%/$(M): $(P)/world.toml | build $(R)/made-with
	$(BIN)/synthesize world $(call flags,world,0) --split $* --out $(@D) $(done)
else
# What is tested must not be learned or chosen by: no question may be in a split and in one that comes after it here.
EXAMINED := $(filter-out seeds validation,$(SPLITS))
apart     = $(if $(filter seeds,$(1)),validation $(EXAMINED),$(if $(filter validation,$(1)),$(EXAMINED)))
$(R)/world/%/$(M): $(DATA)/%.jsonl $(P)/import.toml | build $(R)/made-with
	$(BIN)/synthesize import $(call flags,import,0) $(IMPORT_FLAGS) --input $< --split $* \
	  $(foreach s,$(call apart,$*),--apart-from $(R)/world/$(s)) --out $(@D) $(done)
$(foreach s,seeds validation,$(eval $(R)/world/$(s)/$(M): $(foreach o,$(call apart,$(s)),$(R)/world/$(o)/$(M))))
endif

# ------------------------------------------------------------------------------- round 0: what the labelled seeds teach
$(Z)/policy/$(M): $(P)/policy.toml $(P)/text.toml $(INIT)/config.json $(R)/world/seeds/$(M) $(R)/world/validation/$(M) | build
	$(BIN)/finetune policy $(call flags,policy,0) --text $(P)/text.toml --init $(INIT) \
	  --seeds $(R)/world/seeds --validation $(R)/world/validation --out $(@D) $(done)

$(Z)/fast_policy/$(M): $(P)/fast-policy.toml $(P)/text.toml $(FAST_INIT)/config.json $(R)/world/seeds/$(M) $(R)/world/validation/$(M) | build
	$(BIN)/finetune policy $(call flags,fast-policy,0) --text $(P)/text.toml --init $(FAST_INIT) \
	  --seeds $(R)/world/seeds --validation $(R)/world/validation --out $(@D) $(done)

# $(call search_with,<round>,<policy>,<round of the critics>,<prompts>,<folder>): trajectories and nodes.
search_with = $(BIN)/search $(call flags,search,$(1)) $(SEARCH_FLAGS) --text $(P)/text.toml --tree $(call settings,tree) --prompts $(4) --policy $(or $(SERVER),$(2)) \
	  --fast-policy $(or $(SERVER_FAST),$(FAST)) $(call judges,$(3)) --out-trajectories $(5)/trajectories --out-nodes $(5)/nodes $(done)

# $(call score_with,<round>,<round of the critics>,<folder of the trajectories>,<folder>,[calibration]): critiques.
score_with = $(BIN)/critique score $(call flags,critique,$(1)) $(CRITIQUE_FLAGS) --text $(P)/text.toml --trajectories $(3)/trajectories $(call judges,$(2)) $(addprefix --confidence ,$(5)) --out $(4)/critiques $(done)

# $(call filter_with,<round>,<prompts>,<folder of the trajectories>,<of the critiques>,<folder>): what is kept of them.
filter_with = $(BIN)/filter $(call flags,filter,$(1)) $(FILTER_FLAGS) --prompts $(2) --trajectories $(3)/trajectories --critiques $(4)/critiques \
	  --out-sft $(5)/sft --out-preferences $(5)/preferences --out-steps $(5)/steps $(done)

# $(call critic_rules,n,nn)
define critic_rules
$(call at,$(2))/labels/$(M): $(P)/label.toml $(P)/text.toml $(call at,$(2))/policy/$(M) | build
	$$(BIN)/critique label $$(call flags,label,$(1)) --text $(P)/text.toml --policy $(or $(SERVER),$(call at,$(2))/policy) \
	  --seeds $(R)/world/seeds --held-out $(R)/world/validation --out $$(@D) $$(done)

$(call at,$(2))/critics/%/$(M): $(P)/critic-%.toml $(P)/text.toml $(call at,$(2))/labels/$(M) | build
	$$(BIN)/finetune critic $$(call flags,critic-$$*,$(1)) --text $(P)/text.toml --init $(call at,$(2))/policy \
	  --labels $(call at,$(2))/labels --out $$(@D) $$(done)

# How likely a solution is right of which these critics say so much: fitted to a search of the validation problems.
$(call calibrated,$(2))/held-out/trajectories/$(M): $(call settings,search) $(P)/text.toml $(call settings,tree) $(R)/world/validation/$(M) $(call at,$(2))/policy/$(M) $(FAST)/$(M) $(call judge_manifests,$(2)) | build
	$$(call search_with,$(1),$(call at,$(2))/policy,$(2),$(R)/world/validation,$(call calibrated,$(2))/held-out)

$(call calibrated,$(2))/held-out/critiques/$(M): $(call settings,critique) $(P)/text.toml $(call calibrated,$(2))/held-out/trajectories/$(M) $(call judge_manifests,$(2)) | build
	$$(call score_with,$(1),$(2),$(call calibrated,$(2))/held-out,$(call calibrated,$(2))/held-out)

$(call calibrated,$(2))/confidence/$(M): $(call settings,confidence) $(call calibrated,$(2))/held-out/critiques/$(M) | build
	$$(BIN)/critique calibrate $$(call flags,confidence,$(1)) --trajectories $(call calibrated,$(2))/held-out/trajectories \
	  --critiques $(call calibrated,$(2))/held-out/critiques --problems $(R)/world/validation --out $$(@D) $$(done)
endef

$(foreach n,0 $(if $(RETRAIN),$(shell seq $(ROUND))),$(eval $(call critic_rules,$(n),$(call two,$(n)))))

# $(call measure,<round>,<policy>,[settings],[splits]): evaluates a policy, on every evaluation split unless others are named.
measure = $(BIN)/evaluate run $(call flags,$(or $(3),$(MEASURED)),$(1)) --text $(P)/text.toml --tree $(P)/tree.toml --policy $(2) --fast-policy $(FAST) \
	  $(call judges,00) $(foreach s,$(or $(4),$(SPLITS)),--problems $(R)/world/$(s)) --out $(@D) $(done)
# $(call scales,<settings>): what that needs beside the policy and the problems.
scales = $(P)/$(1).toml $(P)/text.toml $(P)/tree.toml $(FAST)/$(M) $(call judge_manifests,00)
SCALES := $(call scales,$(MEASURED)) $(TESTS)

$(Z)/evaluation/$(M): $(Z)/policy/$(M) $(SCALES) | build
	$(call measure,0,$(Z)/policy)

# The same on problems of another seed of the world, by which nothing was ever chosen.
$(R)/fresh-world/%/$(M): $(P)/fresh-world.toml | build $(R)/made-with
	$(BIN)/synthesize world $(call flags,fresh-world,0) --split $* --out $(@D) $(done)

measure_fresh = $(subst $(R)/world/,$(R)/fresh-world/,$(call measure,$(1),$(2),fresh))
FRESH_SCALES := $(call scales,fresh) $(foreach s,$(SPLITS),$(R)/fresh-world/$(s)/$(M))

$(Z)/fresh/$(M): $(Z)/policy/$(M) $(FRESH_SCALES) | build
	$(call measure_fresh,0,$(Z)/policy)

# ------------------------------------------------------------------------------------------------- round n, after round m
# $(call start,<checkpoint>): where fine-tuning starts that would start from this checkpoint.
start = $(if $(filter base,$(START)),$(INIT),$(1))

# $(call learned,n): the rounds whose examples the policy of round n learns from.
learned = $(if $(filter last,$(KEPT)),$(1),$(shell seq $(1)))

# $(call round_rules,n,nn,mm,kk): kk is the round whose critics judge.
define round_rules
$(call prompted,$(2))/prompts/$(M): $(call settings,prompts) $(WORLD) $(if $(WRITES),$(P)/text.toml $(call at,$(3))/policy/$(M)) $(if $(BACK),$(foreach k,$(shell seq $(3)),$(call filtered,$(call two,$(k)))/sft/$(M))) | build
	$$(BIN)/synthesize prompts $$(call flags,prompts,$(1)) --seeds $(R)/world/seeds \
	  $(if $(WRITES),--policy $(or $(SERVER),$(call at,$(3))/policy) --author $(or $(SERVER),$(INIT)) --text $(P)/text.toml) \
	  $(if $(BACK),$(foreach k,$(shell seq $(3)),--earlier $(call prompted,$(call two,$(k)))/prompts --kept $(call filtered,$(call two,$(k)))/sft)) \
	  $(foreach s,validation $(SPLITS),--avoid $(R)/world/$(s)) --out $$(@D) $$(done)

$(call searched,$(2))/trajectories/$(M): $(call settings,search) $(P)/text.toml $(call settings,tree) $(call prompted,$(2))/prompts/$(M) $(call at,$(3))/policy/$(M) $(FAST)/$(M) $(call judge_manifests,$(4)) | build
	$$(call search_with,$(1),$(call at,$(3))/policy,$(4),$(call prompted,$(2))/prompts,$(call searched,$(2)))

$(call judged,$(2))/critiques/$(M): $(call settings,critique) $(P)/text.toml $(call searched,$(2))/trajectories/$(M) $(call judge_manifests,$(4)) $(addsuffix /$(M),$(call sure,$(4))) | build
	$$(call score_with,$(1),$(4),$(call searched,$(2)),$(call judged,$(2)),$(call sure,$(4)))

$(call filtered,$(2))/sft/$(M): $(call settings,filter) $(call searched,$(2))/trajectories/$(M) $(call judged,$(2))/critiques/$(M) | build
	$$(call filter_with,$(1),$(call prompted,$(2))/prompts,$(call searched,$(2)),$(call judged,$(2)),$(call filtered,$(2)))

$(A)/round-$(2)/policy/$(M): $(call settings,finetune) $(P)/text.toml $(foreach k,$(call learned,$(1)),$(call filtered,$(call two,$(k)))/sft/$(M)) $(call at,$(3))/policy/$(M) | build
	$$(BIN)/finetune policy $$(call flags,finetune,$(1)) $(if $(TRAINER),--trainer $(TRAINER)) --text $(P)/text.toml --init $(call start,$(call at,$(3))/policy) --seeds $(R)/world/seeds \
	  $(foreach k,$(call learned,$(1)),--sft $(call filtered,$(call two,$(k)))/sft $(if $(PAIRS),--preferences $(call filtered,$(call two,$(k)))/preferences)) --validation $(R)/world/validation --out $$(@D) $$(done)

# The control: the same number of updates on the seeds alone, from the control of the round before.
$(A)/round-$(2)/control/$(M): $(call settings,finetune) $(P)/text.toml $(A)/round-$(2)/policy/$(M) $(if $(filter 00,$(3)),,$(call at,$(3))/control/$(M)) | build
	$$(BIN)/finetune policy $$(call flags,finetune,$(1)) $(if $(TRAINER),--trainer $(TRAINER)) --text $(P)/text.toml --init $(call start,$(call at,$(3))/$(if $(filter 00,$(3)),policy,control)) \
	  --seeds $(R)/world/seeds --validation $(R)/world/validation --updates-of $(A)/round-$(2)/policy --out $$(@D) $$(done)

$(A)/round-$(2)/evaluation/$(M): $(A)/round-$(2)/policy/$(M) $(SCALES) | build
	$$(call measure,$(1),$(A)/round-$(2)/policy)

$(A)/round-$(2)/control-evaluation/$(M): $(A)/round-$(2)/control/$(M) $(SCALES) | build
	$$(call measure,$(1),$(A)/round-$(2)/control)

$(A)/round-$(2)/fresh/$(M): $(A)/round-$(2)/policy/$(M) $(FRESH_SCALES) | build
	$$(call measure_fresh,$(1),$(A)/round-$(2)/policy)

$(A)/round-$(2)/control-fresh/$(M): $(A)/round-$(2)/control/$(M) $(FRESH_SCALES) | build
	$$(call measure_fresh,$(1),$(A)/round-$(2)/control)

$(A)/round-$(2)/comparison.json: $(Z)/evaluation/$(M) $(A)/round-$(2)/evaluation/$(M) $(A)/round-$(2)/control-evaluation/$(M) $(if $(filter 00,$(3)),,$(A)/round-$(3)/comparison.json)
	@$$(BIN)/evaluate compare $$(call models,$(1)) --out $$@ $$(done)

# What the round's filter keeps of the problems of the split ON, beside their answers: nothing learns from it.
$(call audited,$(2))/trajectories/$(M): $(call settings,search) $(P)/text.toml $(call settings,tree) $(R)/world/$(ON)/$(M) $(call at,$(3))/policy/$(M) $(FAST)/$(M) $(call judge_manifests,$(4)) | build
	$$(call search_with,$(1),$(call at,$(3))/policy,$(4),$(R)/world/$(ON),$(call audited,$(2)))

$(call audited,$(2))/critiques/$(M): $(call settings,critique) $(P)/text.toml $(call audited,$(2))/trajectories/$(M) $(call judge_manifests,$(4)) $(addsuffix /$(M),$(call sure,$(4))) | build
	$$(call score_with,$(1),$(4),$(call audited,$(2)),$(call audited,$(2)),$(call sure,$(4)))

$(call audited,$(2))/sft/$(M): $(call settings,filter) $(call audited,$(2))/critiques/$(M) | build
	$$(call filter_with,$(1),$(R)/world/$(ON),$(call audited,$(2)),$(call audited,$(2)),$(call audited,$(2)))

$(call audited,$(2))/audit.json: $(call audited,$(2))/sft/$(M) | build
	$$(BIN)/evaluate audit --sft $(call audited,$(2))/sft --problems $(R)/world/$(ON) --out $$@ $$(done)

# How well critics, agreement and the confidence that the filter goes by tell right from wrong there. Nothing is fitted.
$(call audited,$(2))/quality/$(M): $(call settings,confidence) $(call audited,$(2))/critiques/$(M) | build
	$$(BIN)/critique calibrate $$(call flags,confidence,$(1)) --trajectories $(call audited,$(2))/trajectories \
	  --critiques $(call audited,$(2))/critiques --problems $(R)/world/$(ON) --out $$(@D) $$(done)
endef

# $(call models,n): the models that round n is compared with.
models = --run base=$(Z)/evaluation --run control=$(A)/round-$(call two,$(1))/control-evaluation --against control \
	  $(foreach k,$(shell seq $(1)),--run 'round $(k)'=$(A)/round-$(call two,$(k))/evaluation)

$(foreach n,$(shell seq $(ROUND)),$(eval $(call round_rules,$(n),$(call two,$(n)),$(call previous,$(n)),$(if $(RETRAIN),$(call previous,$(n)),00))))

# ------------------------------------------------------------------------------------ which decoder, and what it is made of
# Of the policy of round OF; the figures are those of the split ON.
OF ?= 0
D  := $(call at,$(call two,$(OF)))

## compare: all decoders side by side at equal tokens, of the policy of round OF=0, on ON=test
compare: $(D)/compare-$(ON)/$(M)
	@$(BIN)/evaluate compare --run 'round $(OF)'=$(<D) --costs --out $(<D)/comparison.json

## ablation: eta-MCTS without and with each of its parts, with critics without the calculator, and without lines as options
ablation: $(D)/ablation-$(ON)/$(M) $(D)/with-both-$(ON)/$(M) $(D)/without-tool-$(ON)/$(M) $(D)/without-options-$(ON)/$(M) $(D)/without-both-$(ON)/$(M)
	@$(BIN)/evaluate compare --run 'round $(OF)'=$(<D) --costs --out $(<D)/comparison.json
	@$(BIN)/evaluate compare --run 'with both'=$(D)/with-both-$(ON) --run 'without tool'=$(D)/without-tool-$(ON) \
	  --run 'without options'=$(D)/without-options-$(ON) --run 'without both'=$(D)/without-both-$(ON) --out $(D)/with-both-$(ON)/comparison.json

# Critics that learn from the same labels and are not told what the calculator finds (the paper's Table 3b).
BLIND := $(patsubst $(Z)/critics/%,$(Z)/blind-critics/%,$(call judge_manifests,00))
$(Z)/blind-critics/%/$(M): $(P)/critic-%.toml $(P)/text-blind.toml $(Z)/labels/$(M) | build
	$(BIN)/finetune critic $(call flags,critic-$*,0) --text $(P)/text-blind.toml --init $(Z)/policy --labels $(Z)/labels --out $(@D) $(done)

# Critics that learn from the same seeds, judged and searched in pieces of so many tokens instead of lines (Table 3b again).
TOKENS := $(patsubst $(Z)/critics/%,$(Z)/token-critics/%,$(call judge_manifests,00))
$(Z)/token-labels/$(M): $(P)/label.toml $(P)/text-tokens.toml $(Z)/policy/$(M) | build
	$(BIN)/critique label $(call flags,label,0) --text $(P)/text-tokens.toml --policy $(Z)/policy \
	  --seeds $(R)/world/seeds --held-out $(R)/world/validation --out $(@D) $(done)

$(Z)/token-critics/%/$(M): $(P)/critic-%.toml $(P)/text-tokens.toml $(Z)/token-labels/$(M) | build
	$(BIN)/finetune critic $(call flags,critic-$*,0) --text $(P)/text-tokens.toml --init $(Z)/policy --labels $(Z)/token-labels --out $(@D) $(done)

# Both at once.
NEITHER := $(patsubst $(Z)/critics/%,$(Z)/blind-token-critics/%,$(call judge_manifests,00))
$(Z)/blind-token-critics/%/$(M): $(P)/critic-%.toml $(P)/text-blind-tokens.toml $(Z)/token-labels/$(M) | build
	$(BIN)/finetune critic $(call flags,critic-$*,0) --text $(P)/text-blind-tokens.toml --init $(Z)/policy --labels $(Z)/token-labels --out $(@D) $(done)

# $(call measure_with,<critics>,<text>): the search of the preset with other critics, which read another text.
measure_with = $(subst $(Z)/critics/,$(Z)/$(1)/,$(subst $(P)/text.toml,$(P)/$(2).toml,$(call measure,$(OF),$(D)/policy,tool,$(ON))))

$(D)/with-both-$(ON)/$(M): $(P)/tool.toml $(SCALES) $(D)/policy/$(M) | build
	$(call measure,$(OF),$(D)/policy,tool,$(ON))

$(D)/without-tool-$(ON)/$(M): $(P)/tool.toml $(P)/text-blind.toml $(SCALES) $(BLIND) $(D)/policy/$(M) | build
	$(call measure_with,blind-critics,text-blind)

$(D)/without-options-$(ON)/$(M): $(P)/tool.toml $(P)/text-tokens.toml $(SCALES) $(TOKENS) $(D)/policy/$(M) | build
	$(call measure_with,token-critics,text-tokens)

$(D)/without-both-$(ON)/$(M): $(P)/tool.toml $(P)/text-blind-tokens.toml $(SCALES) $(NEITHER) $(D)/policy/$(M) | build
	$(call measure_with,blind-token-critics,text-blind-tokens)

$(D)/compare-$(ON)/$(M) $(D)/ablation-$(ON)/$(M): $(D)/%-$(ON)/$(M): $(P)/%.toml $(SCALES) $(D)/policy/$(M) | build
	$(call measure,$(OF),$(D)/policy,$*,$(ON))

# --------------------------------------------------------------------------------------------- results with error bars
SEEDS    ?= 0 1 2
# The arms beside the rounds: all folders of the preset.
ARMS     ?= $(notdir $(patsubst %/,%,$(wildcard $(P)/*/)))
# Rounds of each arm.
ARM_N    ?= $(N)
# A preset may have its rounds measured more closely.
results: export MEASURED := $(if $(wildcard $(P)/results.toml),results,$(MEASURED))
# The tables that the preset has settings for: which decoder, and what it is made of, of the policy of round OF; and the
# rounds on fresh problems.
TABLES   ?= $(foreach t,compare ablation fresh,$(if $(wildcard $(P)/$(t).toml),$(t)))
RESULTS  ?= docs/results/$(PRESET)
seed_run  = $(RUNS)/$(PRESET)-seed$(1)
# $(call evaluated,<seed>,<folder>): the evaluations of a seed's run in the folders of this name.
evaluated = --run '$(1):base=$(call seed_run,$(1))/round-00/$(2)' \
	  $(foreach k,$(shell seq $(N)),--run '$(1):control $(k)=$(call seed_run,$(1))/round-$(call two,$(k))/control-$(2)' \
	  --run '$(1):round $(k)=$(call seed_run,$(1))/round-$(call two,$(k))/$(2)') \
	  $(foreach k,$(shell seq $(ARM_N)),$(foreach a,$(ARMS),--run '$(1):$(a) $(k)=$(call seed_run,$(1))/$(a)/round-$(call two,$(k))/$(2)'))

# $(call report_of,<folder>): the report of these evaluations of all seeds.
report_of = $(BIN)/evaluate report $(foreach s,$(SEEDS),$(call evaluated,$(s),$(1))) \
	  $(foreach k,$(shell seq $(N)),--pair 'round $(k)=control $(k)' --pair 'round $(k)=base') \
	  $(foreach k,$(shell seq $(ARM_N)),$(foreach a,$(ARMS),--pair 'round $(k)=$(a) $(k)' --pair '$(a) $(k)=base'))

# $(call tabled,<name>=<folder> ...): the same of evaluations of round OF on the split ON, spaces in names being underscores.
tabled    = $(foreach s,$(SEEDS),$(foreach t,$(1),--run '$(s):$(subst _, ,$(firstword $(subst =, ,$(t))))=$(call seed_run,$(s))/round-$(call two,$(OF))/$(lastword $(subst =, ,$(t)))-$(ON)'))

.PHONY: measured audit fresh
## measured: the rounds of ARM=name up to ROUND=n and their evaluations, without controls
measured: $(foreach k,$(shell seq $(ROUND)),$(A)/round-$(call two,$(k))/evaluation/$(M))

## audit: what the filters of these rounds keep of the problems of the split ON=test, and how well critics judge there
audit: $(foreach k,$(shell seq $(ROUND)),$(call audited,$(call two,$(k)))/audit.json $(if $(wildcard $(P)/confidence.toml),$(call audited,$(call two,$(k)))/quality/$(M)))

## fresh: the rounds up to ROUND=n and their controls, or those of ARM=name, on problems by which nothing was ever chosen
fresh: $(if $(ARM),,$(Z)/fresh/$(M)) $(foreach k,$(shell seq $(ROUND)),$(A)/round-$(call two,$(k))/fresh/$(M) $(if $(ARM),,$(A)/round-$(call two,$(k))/control-fresh/$(M)))

## results: N=1 rounds of each of SEEDS='0 1 2', and of every arm, and all decoders, then their tables and plots, in docs/results
results:
	@for s in $(SEEDS); do \
	  $(MAKE) --no-print-directory all audit $(filter fresh,$(TABLES)) RUN=$(PRESET)-seed$$s SEED=$$s ROUND=$(N) || exit; \
	  for a in $(ARMS); do $(MAKE) --no-print-directory measured audit $(filter fresh,$(TABLES)) RUN=$(PRESET)-seed$$s SEED=$$s ROUND=$(ARM_N) ARM=$$a || exit; done; \
	  for t in $(filter-out fresh,$(TABLES)); do $(MAKE) --no-print-directory $$t RUN=$(PRESET)-seed$$s SEED=$$s || exit; done; done
	@$(call report_of,evaluation) $(foreach s,$(SEEDS),--folder $(s)=$(call seed_run,$(s))) --out $(RESULTS)
	@$(if $(filter fresh,$(TABLES)),$(call report_of,fresh) --out $(RESULTS)/fresh)
	@$(foreach t,$(filter-out fresh,$(TABLES)),$(BIN)/evaluate report $(call tabled,round_$(OF)=$(t)) --out $(RESULTS)/$(t) &&) true
	@$(if $(filter ablation,$(TABLES)),$(BIN)/evaluate report $(call tabled,with_both=with-both without_tool=without-tool without_options=without-options without_both=without-both) \
	  --pair 'with both=without tool' --pair 'with both=without options' --pair 'with both=without both' --out $(RESULTS)/parts)

# ------------------------------------------------------------------------------------------- the base models, from nothing
## base: train the preset's base models from nothing, those that are shipped in ten to fifteen minutes
base: $(BASE)/policy/$(M) $(if $(wildcard $(B)/fast-base.toml),$(BASE)/fast_policy/$(M))

# The shipped models are not made again because a file looks newer.
ifneq ($(filter base,$(MAKECMDGOALS))$(filter-out pipelines/base,$(B)),)
$(BASE)/corpus/$(M): $(B)/corpus.toml | build
	$(BIN)/synthesize corpus --config $< --force --out $(@D) $(done)

$(BASE)/policy/$(M): $(B)/base.toml $(BASE)/corpus/$(M) | build
	$(BIN)/finetune pretrain --config $< --force --corpus $(BASE)/corpus --out $(@D) $(done)

$(BASE)/fast_policy/$(M): $(B)/fast-base.toml $(BASE)/corpus/$(M) $(BASE)/policy/$(M) | build
	$(BIN)/finetune pretrain --config $< --force --corpus $(BASE)/corpus --tokenizer-of $(BASE)/policy --out $(@D) $(done)

$(BASE)/%/config.json: $(BASE)/%/$(M) ;
endif

# --------------------------------------------------------------------------------------------------------- for developers
## test: run all tests
test:
	cargo build --release --locked --workspace --bins
	cargo test --release --locked --workspace

# The virtual environment with llama.cpp's server, about 400 MB.
SERVER_ENV := target/server-env
$(SERVER_ENV)/made: tests/llama_cpp/requirements.txt
	python3 -m venv $(SERVER_ENV)
	$(SERVER_ENV)/bin/pip install -q -r $<
	@touch $@

## test-server: a round with its policies behind llama.cpp's server, from PyPI; needs python3
test-server: $(SERVER_ENV)/made
	cargo build --release --locked --workspace --bins
	$(SERVER_ENV)/bin/python tests/llama_cpp/test.py target/release

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

## status: which outputs of the run exist
status:
	@for round in $(A)/round-*; do [ -d "$$round" ] || continue; echo "$$round"; \
	  for output in "$$round"/*/ "$$round"/critics/*/ "$$round"/held-out/*/; do [ -d "$$output/data" ] || [ -e "$$output/config.json" ] || [ -e "$$output/$(M)" ] || [ -e "$$output/.lock" ] || continue; \
	    if [ -e "$$output/$(M)" ]; then state=complete; else state=unfinished; fi; printf '  %-12s %s\n' "$$state" "$${output#$$round/}"; done; done

## clean-run: delete the run's folder, RUN=name
clean-run:
	rm -rf '$(R)'

## help: this list
help:
	@sed -n 's/^## //p' Makefile
	@echo; echo 'Variables: PRESET=$(PRESET) RUN=$(RUN) ROUND=$(ROUND) SEED=$(SEED) DEVICE=$(DEVICE) WORKERS=$(WORKERS) KV_MEMORY=$(KV_MEMORY) N=$(N)'
