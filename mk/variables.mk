# What may be given, on the command line or by the environment. README.md and docs/guide say what each means.
VARIABLES := PRESET RUN SEED ROUND N RUNS R P ARM START KEPT RETRAIN INIT FAST_INIT DATA SPLITS IMPORT_FLAGS TRAINER SERVER SERVER_FAST SERVER_LORA \
  ONE_CLASS MEASURED OF ON SEEDS ARMS ARM_N TABLES RESULTS SEARCH_FLAGS CRITIQUE_FLAGS FILTER_FLAGS ENGINE SHARDS JOBS CLUSTER DEVICE GPU_FEATURES WORKERS KV_MEMORY BASE \
  BIN BUILD CARGO_FLAGS TARGET TIME BENCH_FLAGS ALPHALLM_REVISION V TRACK PYTHON

# $(call given,<variable>): whether somebody gave it.
given = $(filter-out undefined default file override automatic,$(origin $(1)))
# $(call quoted,<text>): as one word of the shell.
quoted = '$(subst ','\'',$(1))'

# Looked at as they were given, before anything expands them.
CHECKED := $(shell mk/check.sh $(foreach v,$(VARIABLES),$(if $(call given,$(v)),$(call quoted,$(v)=$(value $(v))))))
ifneq ($(CHECKED),ok)
$(error $(or $(CHECKED),mk/check.sh cannot be run))
endif

# A name of which nothing is known here may be of the environment of what is run, such as RUST_LOG; or it is misspelt.
$(foreach v,$(filter-out $(VARIABLES),$(.VARIABLES)),$(if $(filter command,$(firstword $(origin $(v)))),$(warning \
  $(v) is no variable that is known here; those are: $(sort $(VARIABLES)))))
