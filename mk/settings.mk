# The settings file of each stage, and the arguments that stages have in common.

# The stages whose settings an arm may change.
VARIED := prompts search tree critique confidence filter finetune
ifneq ($(ARM),)
ARM_FILES := $(wildcard $(P)/$(ARM)/*)
ifneq ($(if $(ARM_FILES),$(filter-out $(VARIED:%=$(P)/$(ARM)/%.toml),$(ARM_FILES)),none),)
$(error ARM=$(ARM): $(P)/$(ARM) has to hold some of $(VARIED:%=%.toml), and nothing else; folders there are: $(notdir $(patsubst %/,%,$(wildcard $(P)/*/))))
endif
endif

# Make variables of a preset. With ONE_CLASS=1, labels that are all right or all wrong are not an error, although critics only
# learn a constant from them.
-include $(P)/preset.mk
ONE_CLASS ?=
one_class := $(if $(ONE_CLASS),--allow-one-class)

# $(call settings,<stage>): its file, the arm's if that has one. $(call toml,<stage>): that and the files that it extends.
settings = $(or $(if $(ARM),$(wildcard $(P)/$(ARM)/$(1).toml)),$(P)/$(1).toml)
toml     = $(call chain,$(call settings,$(1)))
TEXT    := $(call chain,$(P)/text.toml)

# $(call flags,<stage>,<round>): arguments of every stage. make knows that an output is stale, so --force may replace it.
flags    = --config $(call settings,$(1)) --seed $(SEED) --round $(2) --force
# More arguments of stages that run models, and of those that search trees.
compute  = --device $(DEVICE) $(if $(WORKERS),--workers $(WORKERS))
# Those of a stage that has JOBS processes on this machine: they share its cores.
CORES   := $(if $(filter local,$(ENGINE)),$(shell getconf _NPROCESSORS_ONLN))
each     = --device $(DEVICE) $(if $(or $(WORKERS),$(CORES)),--workers $(or $(WORKERS),$(shell expr \( $(CORES) + $(JOBS) - 1 \) / $(JOBS))))
memory   = $(if $(KV_MEMORY),--kv-memory $(KV_MEMORY))
# What stands before a stage: $(rows) where several processes can make the parts, $(whole) before any other that takes long.
# Without ENGINE, one process of this machine does it.
run_by   = ENGINE=$(ENGINE) SHARDS=$(or $(SHARDS),$(JOBS)) JOBS=$(JOBS) CLUSTER=$(CLUSTER) LOGS=$(R)/logs mk/engine.sh
rows     = $(quiet)$(if $(ENGINE),$(if $(TRIED),,$(run_by) rows ))
whole    = $(quiet)$(if $(filter slurm,$(ENGINE)),$(if $(TRIED),,$(run_by) whole ))
# Before all of them: a line about a stage instead of its command and its tables, unless V=1.
quiet    = $(if $(filter-out 0,$(V))$(TRIED),,@mk/quiet.sh $@ $(R) )
# A recipe that found its output up to date has written nothing: the target must still become newer than what it was made from.
done     = $(if $(TRIED),,&& touch -c $@)

# With these flags a stage only prints something and leaves its output alone, so only that stage may be made with them.
TELLING := --estimate --estimate=% --dry-run --help --version -h -V
TRIED   := $(strip $(foreach v,SEARCH CRITIQUE FILTER IMPORT,$(if $(filter $(TELLING),$($(v)_FLAGS)),$(v)_FLAGS)))
trying_SEARCH_FLAGS   := search
trying_CRITIQUE_FLAGS := critique
trying_FILTER_FLAGS   := filter
$(foreach v,$(TRIED),$(if $(filter-out [$(or $(trying_$(v)),-)],[$(or $(MAKECMDGOALS),all)]),$(error \
  $(v)=$($(v)): it makes nothing that other stages could go on from$(if $(trying_$(v)),; only `make $(trying_$(v))` may have it))))
