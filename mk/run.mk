# A run: what it was begun with, which its file made-with remembers, and what is refused.
space := $() $()
hash := \#
comma := ,

RUNS   ?= data/runs
RUN    ?= $(or $(PRESET),tiny)
R      ?= $(RUNS)/$(RUN)
M      := _MANIFEST.json

# The first line of made-with has what every run remembers, further lines what a run may be begun with beside the usual. A run of
# an early version has the first line alone, and is given the rest with every call.
BEGUN  := $(wildcard $(R)/made-with)
FIRST  := $(if $(BEGUN),$(shell sed -n 1p $(R)/made-with))
FULL   := $(if $(BEGUN),$(shell sed -n 's/^INIT=.*/yes/p' $(R)/made-with))
# $(call begun,<variable>): what the first line says of it; $(call was,<variable>): what its own line says.
begun   = $(patsubst $(1)=%,%,$(filter $(1)=%,$(FIRST)))
was     = $(if $(FULL),$(shell sed -n 's/^$(1)=//p' $(R)/made-with))
# $(call told,<variable>): what was given now, or when the run was begun; empty for the usual.
told    = $(if $(call given,$(1)),$(patsubst %/,%,$($(1))),$(call was,$(1)))

PRESET ?= $(or $(call begun,PRESET),tiny)
SEED   ?= $(or $(call begun,SEED),0)
# 1: critics are trained anew in every round, on solutions of its policy, and judge the next one.
RETRAIN ?= $(call begun,RETRAIN)
override RETRAIN := $(filter-out 0,$(RETRAIN))
# Where a round's policy and control start: `previous`, from those of the round before, or `base`, from INIT.
START  ?= $(or $(call begun,START),previous)
# Which rounds' examples a policy learns from beside the seeds: `all` so far, or the `last`, its own.
KEPT   ?= $(or $(call begun,KEPT),all)
MADE_WITH := PRESET=$(PRESET) SEED=$(SEED)$(if $(RETRAIN), RETRAIN=1)$(if $(filter base,$(START)), START=base)$(if $(filter last,$(KEPT)), KEPT=last)

# The folder of the preset.
told_P            := $(call told,P)
usual_P           := pipelines/$(PRESET)
override P        := $(or $(told_P),$(usual_P))
# $(call chain,<file>): a file of it and those that the file extends.
CHAINS            := $(shell mk/bases.sh $(wildcard $(P)/*.toml $(P)/*/*.toml pipelines/base/*.toml))
chain              = $(subst =, ,$(or $(filter $(1) $(1)=%,$(CHAINS)),$(1)))
# How base models are trained from nothing: a preset with base.toml has its own, the others have those that are shipped.
B                 := $(if $(wildcard $(P)/base.toml),$(P),pipelines/base)
BASE              ?= $(if $(filter pipelines/base,$(B)),data/base,data/bases/$(notdir $(B)))
# The models that round 0 starts from; any Hugging Face directory of a supported model will do.
told_INIT         := $(call told,INIT)
usual_INIT        := $(BASE)/policy
override INIT     := $(or $(told_INIT),$(usual_INIT))
told_FAST_INIT    := $(call told,FAST_INIT)
usual_FAST_INIT   := $(BASE)/fast_policy
override FAST_INIT := $(or $(told_FAST_INIT),$(usual_FAST_INIT))
# A folder with problems from outside: seeds.jsonl, validation.jsonl and a file for each of SPLITS, as `synthesize import` reads them
# with IMPORT_FLAGS. Without one they are the embedded world's.
told_DATA         := $(call told,DATA)
override DATA     := $(told_DATA)
told_IMPORT_FLAGS := $(call told,IMPORT_FLAGS)
usual_IMPORT_FLAGS := --format gsm8k
override IMPORT_FLAGS := $(or $(told_IMPORT_FLAGS),$(usual_IMPORT_FLAGS))
# The splits to measure on.
told_SPLITS       := $(call told,SPLITS)
usual_SPLITS      := test ood-templates ood-chains
override SPLITS   := $(or $(told_SPLITS),$(usual_SPLITS))
# The split of figures that are made of one.
ON                ?= $(firstword $(SPLITS))
# `external` lets the preset's `external_trainer` fine-tune the policy and the control of a round.
told_TRAINER      := $(call told,TRAINER)
override TRAINER  := $(told_TRAINER)
REMEMBERED := P INIT FAST_INIT DATA SPLITS IMPORT_FLAGS TRAINER

# The address of a server, http://host:port/v1#model, that has the policy of the round before: it then writes the labels and the
# searches, and so does SERVER_FAST for the rollouts. It may move, but the name of its model stays. Several have commas between
# them, or are lines of a file.
SERVER      ?=
SERVER_FAST ?= $(SERVER)
# 1: the server is given the adapters of the round before (vLLM's /v1/load_lora_adapter), and need not be started again.
SERVER_LORA ?=
# $(call served,<checkpoint>): the checkpoint, or its server.
address      = $(subst $(space),$(comma),$(strip $(foreach s,$(subst $(comma), ,$(SERVER)),$(firstword $(subst $(hash), ,$(s))))))
served       = $(if $(SERVER),$(if $(filter-out 0,$(SERVER_LORA)),$(address)$(hash)lora:$(1),$(SERVER)),$(1))
served_fast  = $(if $(call given,SERVER_FAST),$(SERVER_FAST),$(call served,$(1)))
model        = $(if $(1),$(hash)$(word 2,$(subst $(hash), ,$(firstword $(subst $(comma), ,$(1))))))
SERVED      := $(strip $(call model,$(SERVER)) $(call model,$(SERVER_FAST)))
WAS_SERVED  := $(if $(wildcard $(R)/served-with),$(shell cat $(R)/served-with))

$(R)/made-with: | $(if $(SERVED),$(R)/served-with)
	@$(if $(BEGUN),:,mk/write-once.sh $@ $(call quoted,$(MADE_WITH)) $(foreach v,$(REMEMBERED),$(call quoted,$(v)=$(told_$(v)))))

$(R)/served-with:
	@mk/write-once.sh $@ $(call quoted,$(SERVED))

# -------------------------------------------------------------------------------------------------------- what is refused
list    = $(or $(strip $(1)),none)
another := give another RUN, or `make clean-run RUN=$(RUN)` first
PRESETS := $(patsubst pipelines/%/policy.toml,%,$(wildcard pipelines/*/policy.toml))

# All but these are about a run, and about one that fits.
NOT_OF_A_RUN := clean-run help test test-server test-real test-slurm test-report reliability fuzz lint schemas status build wheel base bench results
ifneq ($(filter-out $(NOT_OF_A_RUN),$(or $(MAKECMDGOALS),all)),)
ifeq ($(ENGINE),slurm)
$(if $(SHARDS),,$(error SHARDS is missing: how many tasks the job arrays of ENGINE=slurm have))
$(if $(wildcard $(CLUSTER)),,$(error CLUSTER=$(CLUSTER): there is no such file; docs/guide/cluster.md has an example))
endif
ifeq ($(wildcard $(P)/policy.toml),)
$(error $(if $(told_P),P=$(P),PRESET=$(PRESET)): there is no $(P)/policy.toml; presets are: $(call list,$(PRESETS)))
endif
# Files do not tell make to which settings they belong: two kinds in one run would go unnoticed.
ifneq ($(or $(FIRST),$(MADE_WITH)),$(MADE_WITH))
$(error $(R) was made with $(FIRST): $(another))
endif
# A word without spaces, since lists are compared and not what is in them.
joined  = [$(subst $(space),|,$(strip $(1)))]
before  = $(or $(call was,$(1)),$(usual_$(1)))
$(if $(FULL),$(foreach v,$(REMEMBERED),$(if $(filter-out $(call joined,$(call before,$(v))),$(call joined,$($(v)))),$(error \
  $(R) was made with $(v)=$(call before,$(v)), not $(v)=$($(v)): leave $(v) out, or $(another)))))

ifneq ($(WAS_SERVED),)
ifneq ($(WAS_SERVED),$(SERVED))
$(error $(R) was made with a server that has the models $(WAS_SERVED) (policy, fast policy), not $(call \
  list,$(SERVED)): give SERVER=http://host:port/v1$(hash)model with the same model, or $(another))
endif
else ifneq ($(SERVED),)
SEARCHED_HERE := $(wildcard $(R)/round-*/trajectories/$(M) $(R)/$(ARM)/round-*/trajectories/$(M))
$(if $(SEARCHED_HERE),$(error $(R) was searched without SERVER, as $(firstword $(SEARCHED_HERE)) was: leave SERVER out, or $(another)))
endif

# A preset with neither problems nor a base of its own is for a model from outside; so is one that talks to a model as a chat.
FOREIGN := $(if $(wildcard $(P)/base.toml),,$(if $(wildcard $(P)/world.toml),$(shell grep -l '^\[policy\.format\.chat\]' $(call chain,$(P)/text.toml)),$(P)))
$(if $(FOREIGN),$(if $(or $(told_INIT),$(call given,BASE)),,$(error \
  INIT is missing: $(P) is for a model of yours (INIT=folder with config.json), not for the shipped one, which knows the embedded world alone)))
$(if $(and $(FOREIGN),$(wildcard $(P)/fast-policy.toml)),$(if $(or $(told_FAST_INIT),$(call given,BASE)),,$(error \
  FAST_INIT is missing: $(P) has a fast policy, for which it takes a smaller model of yours (FAST_INIT=folder with config.json))))
$(foreach v,INIT FAST_INIT,$(if $(told_$(v)),$(if $(wildcard $($(v))/config.json),,$(error $(v)=$($(v)): there is no $($(v))/config.json))))

# Not every preset says what is measured side by side.
says = $(if $(filter $(2),$(MAKECMDGOALS)),$(if $(wildcard $(P)/$(1)),,$(error $(filter $(2),$(MAKECMDGOALS)): there is no $(P)/$(1), \
  which says what is measured side by side; pipelines/tiny/$(1) is an example)))
$(call says,compare.toml,compare decoders)
$(call says,ablation.toml,ablation parts)

# A shard that stops would be started again.
$(if $(ENGINE),$(foreach v,SEARCH_FLAGS CRITIQUE_FLAGS,$(if $(filter --stop-after%,$($(v))),$(error \
  $(v)=$($(v)): with ENGINE, what stops early is started again; make is what is stopped, by Ctrl-C))))

NEEDED := seeds validation $(SPLITS)
ifneq ($(DATA),)
$(if $(wildcard $(P)/import.toml),,$(error DATA=$(DATA): $(P) has no import.toml, by which problems are imported))
$(if $(wildcard $(DATA)/.),,$(error DATA=$(DATA): there is no such folder))
$(foreach s,$(NEEDED),$(if $(wildcard $(DATA)/$(s).jsonl),,$(error DATA=$(DATA): there is no $(s).jsonl; \
  the folder needs seeds.jsonl, validation.jsonl and a file for each of SPLITS="$(SPLITS)"; it has $(call list,$(notdir $(wildcard $(DATA)/*.jsonl))) (docs/guide/data.md))))
else ifeq ($(wildcard $(P)/world.toml),)
$(foreach s,$(NEEDED),$(if $(wildcard $(R)/world/$(s)/$(M)),,$(error DATA is missing: $(P) has no world.toml to make problems by. \
  Give DATA=folder with seeds.jsonl, validation.jsonl and a file for each of SPLITS="$(SPLITS)", or put datasets into $(R)/world)))
endif

$(if $(filter-out $(NEEDED),$(ON)),$(error ON=$(ON): is none of SPLITS, which are $(SPLITS)))
endif
