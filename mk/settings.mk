# Which file of a preset a stage goes by, and what every stage is told.

# What an arm may change.
VARIED := prompts search tree critique confidence filter finetune
ifneq ($(ARM),)
ARM_FILES := $(wildcard $(P)/$(ARM)/*)
ifneq ($(if $(ARM_FILES),$(filter-out $(VARIED:%=$(P)/$(ARM)/%.toml),$(ARM_FILES)),none),)
$(error ARM=$(ARM): $(P)/$(ARM) has to hold some of $(VARIED:%=%.toml), and nothing else; folders there are: $(notdir $(patsubst %/,%,$(wildcard $(P)/*/))))
endif
endif

# What a preset sets that no stage has a file for: labels of which all are right, or none, are no error where ONE_CLASS is set.
# Critics learn a constant from them.
-include $(P)/preset.mk
ONE_CLASS ?=
one_class := $(if $(ONE_CLASS),--allow-one-class)

# $(call settings,<stage>): its file, the arm's if that has one. $(call toml,<stage>): that and the files that it extends.
settings = $(or $(if $(ARM),$(wildcard $(P)/$(ARM)/$(1).toml)),$(P)/$(1).toml)
toml     = $(call chain,$(call settings,$(1)))
TEXT    := $(call chain,$(P)/text.toml)

# $(call flags,<stage>,<round>): what every stage is told. make knows that an output is stale, so it may be replaced.
flags    = --config $(call settings,$(1)) --seed $(SEED) --round $(2) --force
# What stages with a model are told, too, and those that search trees.
compute  = --device $(DEVICE) $(if $(WORKERS),--workers $(WORKERS))
memory   = $(if $(KV_MEMORY),--kv-memory $(KV_MEMORY))
# A recipe that found its output up to date has written nothing: the target must still become newer than what it was made from.
done     = $(if $(TRIED),,&& touch -c $@)

# With these a stage only tells something: its output is as old as it was, and only the stage itself may be made with them.
TELLING := --estimate --estimate=% --dry-run --help --version -h -V
TRIED   := $(strip $(foreach v,SEARCH CRITIQUE FILTER IMPORT,$(if $(filter $(TELLING),$($(v)_FLAGS)),$(v)_FLAGS)))
trying_SEARCH_FLAGS   := search
trying_CRITIQUE_FLAGS := critique
trying_FILTER_FLAGS   := filter
$(foreach v,$(TRIED),$(if $(filter-out [$(or $(trying_$(v)),-)],[$(or $(MAKECMDGOALS),all)]),$(error \
  $(v)=$($(v)): it makes nothing that other stages could go on from$(if $(trying_$(v)),; only `make $(trying_$(v))` may have it))))
