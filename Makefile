# The loop of AlphaLLM: files and arrows. Hyperparameters are in pipelines/<preset>/, a file per stage; what a stage does is
# in its binary. The target of a stage is the manifest of its output, which is written last.

# --------------------------------------------------------------------------------------------------- what may be given
# Values become folders, targets and words of commands: each is looked at as it was given, before anything expands it.
space := $() $()
backslash := $(subst x,,\x)
hash := \#
comma := ,
open := (
close := )
define newline


endef
DIGITS  := 0 1 2 3 4 5 6 7 8 9
PLAIN   := $(DIGITS) a b c d e f g h i j k l m n o p q r s t u v w x y z \
  A B C D E F G H I J K L M N O P Q R S T U V W X Y Z . _ -
# What means something to the shell, and what means something to make.
COMMANDS := ; & | < > ` $$
PATTERNS := $(open) $(close) { } [ ] * ? ! " ' $(backslash) $(hash) % :
# $(call rest,<text>,<characters>): what is left of a text without them. $(call apart,...): a space after each of them.
rest     = $(if $(2),$(call rest,$(subst $(firstword $(2)),,$(1)),$(wordlist 2,99,$(2))),$(1))
apart    = $(if $(2),$(call apart,$(subst $(firstword $(2)),$(firstword $(2)) ,$(1)),$(wordlist 2,99,$(2))),$(1))
# $(call some,<text>): whether there is any of it, be it only space.
some     = $(filter-out [],[$(1)])
given    = $(filter-out undefined default file override automatic,$(origin $(1)))
refuse   = $(error $(1)=$(value $(1)): $(2))
# $(call each,<check>,<variables>): checks those that were given.
each     = $(foreach v,$(2),$(if $(call given,$(v)),$(call $(1),$(v),$(value $(v)))))
held     = $(strip $(foreach c,$(2),$(findstring $(c),$(1)))$(if $(findstring $(newline),$(1)),line))
spaced   = $(filter-out [$(firstword $(1))],[$(1)])
a_name   = $(if $(or $(call some,$(call rest,$(2),$(PLAIN))),$(filter -% .%,$(2))),$(call \
  refuse,$(1),a name has letters$(comma) digits$(comma) "."$(comma) "_" and "-" alone$(comma) and begins with a letter or a digit))
a_choice = $(if $(call some,$(2)),$(call a_name,$(1),$(2)))
no_blank = $(if $(call some,$(2)),,$(call refuse,$(1),give one$(comma) or leave the variable out))
names    = $(if $(call some,$(call rest,$(subst $(space),,$(2)),$(PLAIN))),$(call refuse,$(1),it has to be names with a space between them))
a_number = $(if $(or $(call some,$(call rest,$(2),$(DIGITS))),$(filter 0%,$(filter-out 0,$(2)))),$(call refuse,$(1),it has to be a number))
a_count  = $(if $(filter-out 0 1 2 3 4,$(words $(call apart,$(2),$(DIGITS)))),$(call refuse,$(1),it is too large))
a_path   = $(if $(or $(call spaced,$(2)),$(call held,$(2),$(COMMANDS) $(PATTERNS)),$(filter -%,$(2))),$(call \
  refuse,$(1),a path here has no spaces and none of $(COMMANDS) $(PATTERNS)$(comma) and begins with no "-"; a link to it will do))
address  = $(if $(or $(call spaced,$(2)),$(call held,$(2),$(COMMANDS) $(open) $(close) { } * ! " ' $(backslash)),$(filter-out \
  http://% https://%,$(2))),$(call refuse,$(1),it has to be an address$(comma) http://host:port/v1$(hash)model))
flags_of = $(if $(call held,$(2),$(COMMANDS)),$(call refuse,$(1),flags have none of $(COMMANDS)))

# The settings that rounds are measured with may be given by `results`, too.
NAMES := PRESET RUN ON START KEPT MEASURED DEVICE
PATHS := R P RUNS BASE BIN RESULTS
CHOICES := ARM TRAINER KV_MEMORY
LISTS := SPLITS SEEDS ARMS TABLES
NUMBERS := SEED ROUND N OF ARM_N WORKERS RETRAIN
FOLDERS := DATA INIT FAST_INIT
SERVERS := SERVER SERVER_FAST
FLAGS := SEARCH_FLAGS CRITIQUE_FLAGS FILTER_FLAGS IMPORT_FLAGS BENCH_FLAGS
OTHERS := ONE_CLASS BUILD CARGO_FLAGS TARGET TIME ALPHALLM_REVISION
$(call each,no_blank,$(NAMES) $(PATHS) SPLITS SEED ROUND N OF)
$(call each,a_choice,$(filter-out DEVICE,$(NAMES)) $(CHOICES))
$(if $(call given,DEVICE),$(call a_name,DEVICE,$(subst :,,$(subst $(comma),,$(value DEVICE)))))
$(if $(filter-out external,$(value TRAINER)),$(call refuse,TRAINER,it is external or nothing))
$(call each,names,$(LISTS))
$(call each,a_number,$(NUMBERS))
$(call each,a_count,ROUND N OF ARM_N)
$(call each,a_path,$(PATHS) $(FOLDERS))
$(call each,address,$(foreach v,$(SERVERS),$(if $(call some,$(value $(v))),$(v))))
$(call each,flags_of,$(FLAGS))
# A name of which this file knows nothing may be of the environment of what it runs, such as RUST_LOG; or it is misspelt.
VARIABLES := $(sort $(NAMES) $(PATHS) $(CHOICES) $(LISTS) $(NUMBERS) $(FOLDERS) $(SERVERS) $(FLAGS) $(OTHERS))
worded    = $(filter command,$(firstword $(origin $(1))))
$(foreach v,$(filter-out $(VARIABLES),$(.VARIABLES)),$(if $(call worded,$(v)),$(warning $(v) is no variable that is \
  known here; those are: $(VARIABLES))))
$(if $(filter 0,$(value ROUND)),$(call refuse,ROUND,rounds are counted from 1; `make bootstrap` is what comes before))

# What a run was begun with; what belongs to a run need not be given again.
RUNS    ?= data/runs
RUN     ?= $(or $(PRESET),tiny)
R       ?= $(RUNS)/$(RUN)
BEGUN   := $(wildcard $(R)/made-with)
FOUND   := $(if $(BEGUN),$(shell sed -n 1p $(R)/made-with))
# $(call begun,<variable>): what its first line says of it.
begun    = $(patsubst $(1)=%,%,$(filter $(1)=%,$(FOUND)))
PRESET  ?= $(or $(call begun,PRESET),tiny)
SEED    ?= $(or $(call begun,SEED),0)
DEVICE  ?= cpu
WORKERS ?=
# The most memory for what models have read, such as 8GiB; none is no limit.
KV_MEMORY ?=
# 1: critics are trained anew in every round, on solutions of its policy, and judge the next one.
RETRAIN ?= $(call begun,RETRAIN)
override RETRAIN := $(filter-out 0,$(RETRAIN))
# A folder with problems from outside instead of the embedded world's: seeds.jsonl, validation.jsonl and a file for each of
# SPLITS, as `synthesize import` reads them with these flags.
# DATA and IMPORT_FLAGS, which are those that the run was begun with.
# The address of a server, http://host:port/v1#model, that has the policy of the round before: it then writes the labels and
# the searches, and so does SERVER_FAST for the rollouts.
SERVER  ?=
SERVER_FAST ?= $(SERVER)
# `external` lets the preset's `external_trainer` fine-tune the policy and the control of a round.
# TRAINER, which is that of the run.
# Where a round's policy and control start: `previous`, from those of the round before, or `base`, from INIT.
START   ?= $(or $(call begun,START),previous)
# Which rounds' examples a policy learns from beside the seeds: `all` so far, or the `last`, its own.
KEPT    ?= $(or $(call begun,KEPT),all)
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

# What else belongs to a run: the further lines of made-with, empty for the usual. A run that was begun when there were no
# such lines has what is given with every call.
REMEMBERED := P INIT FAST_INIT DATA SPLITS IMPORT_FLAGS TRAINER
usual_P            = pipelines/$(PRESET)
usual_INIT         = $(BASE)/policy
usual_FAST_INIT    = $(BASE)/fast_policy
usual_DATA         =
usual_SPLITS       = test ood-templates ood-chains
usual_IMPORT_FLAGS = --format gsm8k
usual_TRAINER      =
ALL_LINES := $(if $(BEGUN),$(shell sed -n 's/^INIT=.*/yes/p' $(R)/made-with))
# $(call recall,<variable>): gives it its value; told_... is what made-with says or will say, was_... what it would be by that.
define recall
was_line_$(1) := $(if $(ALL_LINES),$(shell sed -n 's/^$(1)=//p' $(R)/made-with))
told_$(1) := $$(if $$(call given,$(1)),$$(patsubst %/,%,$$($(1))),$$(was_line_$(1)))
override $(1) = $$(or $$(told_$(1)),$$(usual_$(1)))
endef
$(foreach v,$(REMEMBERED),$(eval $(call recall,$(v))))

# What a preset sets that no stage has a file for: labels of which all are right, or none, are no error where ONE_CLASS is
# set. Critics learn a constant from them.
-include $(P)/preset.mk
ONE_CLASS ?=
one_class := $(if $(ONE_CLASS),--allow-one-class)

# How the base models are trained from nothing: a preset with base.toml has its own, the others those that are shipped.
B    := $(if $(wildcard $(P)/base.toml),$(P),pipelines/base)
BASE ?= $(if $(filter pipelines/base,$(B)),data/base,data/bases/$(notdir $(B)))
# The models that round 0 starts from; any Hugging Face directory of a supported model will do.
# INIT and FAST_INIT are those of the run, or else these bases.
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
$(error ARM=$(ARM): $(P)/$(ARM) has to hold some of $(VARIED:%=%.toml), and nothing else; folders there are: $(notdir $(patsubst %/,%,$(wildcard $(P)/*/))))
endif
endif
# $(call settings,<stage>): its file, the arm's if that has one.
settings = $(or $(if $(ARM),$(wildcard $(P)/$(ARM)/$(1).toml)),$(P)/$(1).toml)
# $(call flags,<stage>,<round>): what every stage is told. make knows that an output is stale, so it may be replaced.
flags   = --config $(call settings,$(1)) --seed $(SEED) --round $(2) --force
# What those with a model are told beside it, and those that search.
compute = --device $(DEVICE) $(if $(WORKERS),--workers $(WORKERS))
memory  = $(if $(KV_MEMORY),--kv-memory $(KV_MEMORY))
# A recipe that found its output up to date has written nothing: the target must still become newer than what it was made from.
done    = $(if $(TRIED),,&& touch -c $@)
# With these a stage only tells something; its output is as old as it was.
TELLING := --estimate --estimate=% --dry-run --help --version -h -V
TRIED   := $(strip $(foreach v,SEARCH CRITIQUE FILTER IMPORT,$(if $(filter $(TELLING),$($(v)_FLAGS)),$(v)_FLAGS)))
# What may be made with them: the stage itself.
trying   = $(if $(filter SEARCH_FLAGS,$(1)),search,$(if $(filter CRITIQUE_FLAGS,$(1)),critique,$(if $(filter FILTER_FLAGS,$(1)),filter)))
$(foreach v,$(TRIED),$(if $(filter-out [$(or $(call trying,$(v)),-)],[$(or $(MAKECMDGOALS),all)]),$(error \
  $(v)=$($(v)): it makes nothing that other stages could go on from$(if $(call trying,$(v)),; only `make $(call trying,$(v))` may have it))))

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
# Whoever serves the policy may move, but the name of the model stays.
model    = $(if $(1),$(hash)$(word 2,$(subst $(hash), ,$(1))))
SERVED  := $(call model,$(SERVER)) $(call model,$(SERVER_FAST))
WAS_SERVED := $(if $(wildcard $(R)/served-with),$(shell cat $(R)/served-with))
LOCAL   := $(if $(WAS_SERVED),,$(wildcard $(R)/round-*/trajectories/$(M) $(A)/round-*/trajectories/$(M)))
another := give another RUN, or `make clean-run RUN=$(RUN)` first
joined   = [$(subst $(space),|,$(strip $(1)))]
differ   = $(filter-out $(call joined,$(1)),$(call joined,$(2)))
list     = $(or $(strip $(1)),none)
PRESETS := $(patsubst pipelines/%/policy.toml,%,$(wildcard pipelines/*/policy.toml))
ALL_RUNS := $(patsubst $(RUNS)/%/made-with,%,$(wildcard $(RUNS)/*/made-with))
# A preset with neither problems nor a base of its own is for a model from outside; so is one that talks to a model as a chat.
FOREIGN := $(if $(wildcard $(P)/base.toml),,$(if $(wildcard $(P)/world.toml),$(shell grep -l '^\[policy\.format\.chat\]' $(P)/text.toml 2>/dev/null),$(P)))

define check_run
ifeq ($(wildcard $(P)/policy.toml),)
$$(error $(if $(told_P),P=$(P),PRESET=$(PRESET)): there is no $(P)/policy.toml; presets are: $(call list,$(PRESETS)))
endif
ifneq ($(or $(FOUND),$(MADE_WITH)),$(MADE_WITH))
$$(error $(R) was made with $(FOUND): $(another))
endif
$(if $(ALL_LINES),$(foreach v,$(REMEMBERED),$(if $(call differ,$(or $(was_line_$(v)),$(usual_$(v))),$($(v))),$$(error \
  $(R) was made with $(v)=$(or $(was_line_$(v)),$(usual_$(v))), not $(v)=$($(v)): leave $(v) out, or $(another)))))
$(if $(WAS_SERVED),$(if $(call differ,$(WAS_SERVED),$(SERVED)),$$(error \
  $(R) was made with a server that has the models $(WAS_SERVED) (policy, fast policy), not $(call list,$(SERVED)): give SERVER=http://host:port/v1$(hash)model with the same model, or $(another))))
$(if $(strip $(SERVED)),$(if $(LOCAL),$$(error $(R) was searched without SERVER, as $(firstword $(LOCAL)) was: leave SERVER out, or $(another))))
$(if $(FOREIGN),$(if $(or $(told_INIT),$(call given,BASE)),,$$(error \
  INIT is missing: $(P) is for a model of yours (INIT=folder with config.json), not for the shipped one, which knows the embedded world alone)))
$(if $(and $(FOREIGN),$(wildcard $(P)/fast-policy.toml)),$(if $(or $(told_FAST_INIT),$(call given,BASE)),,$$(error \
  FAST_INIT is missing: $(P) has a fast policy, for which it takes a smaller model of yours (FAST_INIT=folder with config.json))))
$(foreach v,INIT FAST_INIT,$(if $(told_$(v)),$(if $(wildcard $($(v))/config.json),,$$(error $(v)=$($(v)): there is no $($(v))/config.json))))
$(if $(DATA),$(check_data),$(if $(wildcard $(P)/world.toml),,$(check_world)))
$(if $(filter-out seeds validation $(SPLITS),$(ON)),$$(error ON=$(ON): is none of SPLITS, which are $(SPLITS)))
endef
# Problems from outside: the folder, the preset's settings and a file for each split.
absent   = $(strip $(foreach s,seeds validation $(SPLITS),$(if $(wildcard $(DATA)/$(s).jsonl),,$(s).jsonl)))
check_data = $(if $(wildcard $(P)/import.toml),,$$(error DATA=$(DATA): $(P) has no import.toml, by which problems are imported))$(if \
  $(wildcard $(DATA)/.),,$$(error DATA=$(DATA): there is no such folder))$(if \
  $(absent),$$(error DATA=$(DATA): there is no $(firstword $(absent)) for the split that SPLITS="$(SPLITS)" names; there are $(call \
  list,$(notdir $(wildcard $(DATA)/*.jsonl))): give SPLITS="..." with those that are to be measured on))
unmade   = $(strip $(foreach s,seeds validation $(SPLITS),$(if $(wildcard $(R)/world/$(s)/$(M)),,$(s))))
check_world = $(if $(unmade),$$(error DATA is missing: $(P) has no world.toml to make problems by. Give DATA=folder with seeds.jsonl, \
  validation.jsonl and a file for each of SPLITS="$(SPLITS)", or put datasets into $(R)/world))
NOT_OF_A_RUN := clean-run help test test-server reliability fuzz lint schemas status build base bench results
ifneq ($(filter-out $(NOT_OF_A_RUN),$(or $(MAKECMDGOALS),all)),)
$(eval $(check_run))
endif
ifneq ($(filter clean-run,$(MAKECMDGOALS)),)
$(if $(or $(call given,RUN),$(call given,R)),,$(error clean-run deletes a run: say which, RUN=name; there are: $(call list,$(ALL_RUNS))))
$(if $(wildcard $(R)/.),,$(error clean-run: there is no $(R); there are: $(call list,$(ALL_RUNS))))
$(if $(call given,R),$(if $(BEGUN),,$(error clean-run: $(R) is not the folder of a run, it has no made-with)))
endif

.PHONY: all help round rounds compare ablation results build base bench test test-server reliability fuzz lint schemas status clean-run synthesize search critique filter finetune evaluate bootstrap

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
# $(call write_once,<words of the shell>): a line for each word. Whoever comes second has to find the same.
write_once = mkdir -p $(@D) && new=$(@D)/.$(@F).$$$$ && printf '%s\n' $(1) > $$new && { mv -n $$new $@; [ ! -e $$new ] || \
	  { cmp -s $$new $@ || { rm -f $$new; echo '$@: another make began this run with other settings' >&2; exit 1; }; rm -f $$new; }; }
quoted   = '$(subst ','\'',$(1))'

$(R)/made-with: | $(if $(strip $(SERVED)),$(R)/served-with)
	@$(if $(BEGUN),:,$(call write_once,$(call quoted,$(MADE_WITH)) $(foreach v,$(REMEMBERED),$(call quoted,$(v)=$(told_$(v))))))

$(R)/served-with:
	@$(call write_once,$(call quoted,$(SERVED)))

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
$(Z)/policy/$(M): $(P)/policy.toml $(P)/text.toml $(INIT)/config.json $(R)/world/seeds/$(M) $(R)/world/validation/$(M) | build $(R)/made-with
	$(BIN)/finetune policy $(call flags,policy,0) $(compute) --text $(P)/text.toml --init $(INIT) \
	  --seeds $(R)/world/seeds --validation $(R)/world/validation --out $(@D) $(done)

$(Z)/fast_policy/$(M): $(P)/fast-policy.toml $(P)/text.toml $(FAST_INIT)/config.json $(R)/world/seeds/$(M) $(R)/world/validation/$(M) | build
	$(BIN)/finetune policy $(call flags,fast-policy,0) $(compute) --text $(P)/text.toml --init $(FAST_INIT) \
	  --seeds $(R)/world/seeds --validation $(R)/world/validation --out $(@D) $(done)

# $(call search_with,<round>,<policy>,<round of the critics>,<prompts>,<folder>): trajectories and nodes.
search_with = $(BIN)/search $(call flags,search,$(1)) $(compute) $(memory) $(SEARCH_FLAGS) --text $(P)/text.toml --tree $(call settings,tree) --prompts $(4) --policy $(or $(SERVER),$(2)) \
	  --fast-policy $(or $(SERVER_FAST),$(FAST)) $(call judges,$(3)) --out-trajectories $(5)/trajectories --out-nodes $(5)/nodes $(done)

# $(call score_with,<round>,<round of the critics>,<folder of the trajectories>,<folder>,[calibration]): critiques.
score_with = $(BIN)/critique score $(call flags,critique,$(1)) $(compute) $(CRITIQUE_FLAGS) --text $(P)/text.toml --trajectories $(3)/trajectories $(call judges,$(2)) $(addprefix --confidence ,$(5)) --out $(4)/critiques $(done)

# $(call filter_with,<round>,<prompts>,<folder of the trajectories>,<of the critiques>,<folder>): what is kept of them.
filter_with = $(BIN)/filter $(call flags,filter,$(1)) $(FILTER_FLAGS) --prompts $(2) --trajectories $(3)/trajectories --critiques $(4)/critiques \
	  --out-sft $(5)/sft --out-preferences $(5)/preferences --out-steps $(5)/steps $(done)

# $(call critic_rules,n,nn)
define critic_rules
$(call at,$(2))/labels/$(M): $(P)/label.toml $(P)/text.toml $(call at,$(2))/policy/$(M) | build
	$$(BIN)/critique label $$(call flags,label,$(1)) $(compute) --text $(P)/text.toml --policy $(or $(SERVER),$(call at,$(2))/policy) \
	  --seeds $(R)/world/seeds --held-out $(R)/world/validation $(one_class) --out $$(@D) $$(done)

$(call at,$(2))/critics/%/$(M): $(P)/critic-%.toml $(P)/text.toml $(call at,$(2))/labels/$(M) | build
	$$(BIN)/finetune critic $$(call flags,critic-$$*,$(1)) $(compute) --text $(P)/text.toml --init $(call at,$(2))/policy \
	  --labels $(call at,$(2))/labels $(one_class) --out $$(@D) $$(done)

# How likely a solution is right of which these critics say so much: fitted to a search of the validation problems.
$(call calibrated,$(2))/held-out/trajectories/$(M): $(call settings,search) $(P)/text.toml $(call settings,tree) $(R)/world/validation/$(M) $(call at,$(2))/policy/$(M) $(FAST)/$(M) $(call judge_manifests,$(2)) | build
	$$(call search_with,$(1),$(call at,$(2))/policy,$(2),$(R)/world/validation,$(call calibrated,$(2))/held-out)

$(call calibrated,$(2))/held-out/critiques/$(M): $(call settings,critique) $(P)/text.toml $(call calibrated,$(2))/held-out/trajectories/$(M) $(call judge_manifests,$(2)) | build
	$$(call score_with,$(1),$(2),$(call calibrated,$(2))/held-out,$(call calibrated,$(2))/held-out)

$(call calibrated,$(2))/confidence/$(M): $(call settings,confidence) $(call calibrated,$(2))/held-out/critiques/$(M) | build
	$$(BIN)/critique calibrate $$(call flags,confidence,$(1)) --trajectories $(call calibrated,$(2))/held-out/trajectories \
	  --critiques $(call calibrated,$(2))/held-out/critiques --problems $(R)/world/validation $(one_class) --out $$(@D) $$(done)
endef

$(foreach n,0 $(if $(RETRAIN),$(shell seq $(ROUND))),$(eval $(call critic_rules,$(n),$(call two,$(n)))))

# $(call measure,<round>,<policy>,[settings],[splits]): evaluates a policy, on every evaluation split unless others are named.
measure = $(BIN)/evaluate run $(call flags,$(or $(3),$(MEASURED)),$(1)) $(compute) $(memory) --text $(P)/text.toml --tree $(P)/tree.toml --policy $(2) --fast-policy $(FAST) \
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
	$$(BIN)/synthesize prompts $$(call flags,prompts,$(1)) $(compute) --seeds $(R)/world/seeds \
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
	$$(BIN)/finetune policy $$(call flags,finetune,$(1)) $(compute) $(if $(TRAINER),--trainer $(TRAINER)) --text $(P)/text.toml --init $(call start,$(call at,$(3))/policy) --seeds $(R)/world/seeds \
	  $(foreach k,$(call learned,$(1)),--sft $(call filtered,$(call two,$(k)))/sft $(if $(PAIRS),--preferences $(call filtered,$(call two,$(k)))/preferences)) --validation $(R)/world/validation --out $$(@D) $$(done)

# The control: the same number of updates on the seeds alone, from the control of the round before.
$(A)/round-$(2)/control/$(M): $(call settings,finetune) $(P)/text.toml $(A)/round-$(2)/policy/$(M) $(if $(filter 00,$(3)),,$(call at,$(3))/control/$(M)) | build
	$$(BIN)/finetune policy $$(call flags,finetune,$(1)) $(compute) $(if $(TRAINER),--trainer $(TRAINER)) --text $(P)/text.toml --init $(call start,$(call at,$(3))/$(if $(filter 00,$(3)),policy,control)) \
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
	  --critiques $(call audited,$(2))/critiques --problems $(R)/world/$(ON) $(one_class) --out $$(@D) $$(done)
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
	$(BIN)/finetune critic $(call flags,critic-$*,0) $(compute) --text $(P)/text-blind.toml --init $(Z)/policy --labels $(Z)/labels $(one_class) --out $(@D) $(done)

# Critics that learn from the same seeds, judged and searched in pieces of so many tokens instead of lines (Table 3b again).
TOKENS := $(patsubst $(Z)/critics/%,$(Z)/token-critics/%,$(call judge_manifests,00))
$(Z)/token-labels/$(M): $(P)/label.toml $(P)/text-tokens.toml $(Z)/policy/$(M) | build
	$(BIN)/critique label $(call flags,label,0) $(compute) --text $(P)/text-tokens.toml --policy $(Z)/policy \
	  --seeds $(R)/world/seeds --held-out $(R)/world/validation $(one_class) --out $(@D) $(done)

$(Z)/token-critics/%/$(M): $(P)/critic-%.toml $(P)/text-tokens.toml $(Z)/token-labels/$(M) | build
	$(BIN)/finetune critic $(call flags,critic-$*,0) $(compute) --text $(P)/text-tokens.toml --init $(Z)/policy --labels $(Z)/token-labels $(one_class) --out $(@D) $(done)

# Both at once.
NEITHER := $(patsubst $(Z)/critics/%,$(Z)/blind-token-critics/%,$(call judge_manifests,00))
$(Z)/blind-token-critics/%/$(M): $(P)/critic-%.toml $(P)/text-blind-tokens.toml $(Z)/token-labels/$(M) | build
	$(BIN)/finetune critic $(call flags,critic-$*,0) $(compute) --text $(P)/text-blind-tokens.toml --init $(Z)/policy --labels $(Z)/token-labels $(one_class) --out $(@D) $(done)

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
	  $(MAKE) --no-print-directory all audit $(filter fresh,$(TABLES)) PRESET=$(PRESET) RUN=$(PRESET)-seed$$s SEED=$$s ROUND=$(N) || exit; \
	  for a in $(ARMS); do $(MAKE) --no-print-directory measured audit $(filter fresh,$(TABLES)) PRESET=$(PRESET) RUN=$(PRESET)-seed$$s SEED=$$s ROUND=$(ARM_N) ARM=$$a || exit; done; \
	  for t in $(filter-out fresh,$(TABLES)); do $(MAKE) --no-print-directory $$t PRESET=$(PRESET) RUN=$(PRESET)-seed$$s SEED=$$s || exit; done; done
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

# What a stage has committed stays, though make is interrupted or the stage ends badly after that: its manifest is what says
# so, and it appears last. The patterns are those of the rules; the rest are files.
.PRECIOUS: $(R)/made-with $(R)/served-with $(R)/world/%/$(M) $(R)/fresh-world/%/$(M) $(foreach k,00 $(foreach n,$(shell seq $(ROUND)),$(call two,$(n))),$(call at,$(k))/critics/%/$(M)) \
  $(Z)/blind-critics/%/$(M) $(Z)/token-critics/%/$(M) $(Z)/blind-token-critics/%/$(M) $(Z)/token-labels/$(M) $(Z)/policy/$(M) $(Z)/fast_policy/$(M) \
  $(foreach k,00 $(foreach n,$(shell seq $(ROUND)),$(call two,$(n))),$(foreach f,labels policy control evaluation control-evaluation fresh control-fresh,$(call at,$(k))/$(f)/$(M)) \
    $(foreach f,held-out/trajectories held-out/critiques confidence,$(call calibrated,$(k))/$(f)/$(M)) \
    $(call prompted,$(k))/prompts/$(M) $(call searched,$(k))/trajectories/$(M) $(call judged,$(k))/critiques/$(M) $(call filtered,$(k))/sft/$(M) \
    $(foreach f,trajectories critiques sft quality,$(call audited,$(k))/$(f)/$(M)) $(call audited,$(k))/audit.json $(A)/round-$(k)/comparison.json) \
  $(foreach f,compare ablation with-both without-tool without-options without-both,$(D)/$(f)-$(ON)/$(M)) $(foreach f,corpus policy fast_policy,$(BASE)/$(f)/$(M))

## clean-run: delete the run's folder, RUN=name
clean-run:
	rm -rf '$(R)'

## help: this list
help:
	@sed -n 's/^## //p' Makefile
	@echo; echo 'Variables: PRESET=$(PRESET) RUN=$(RUN) ROUND=$(ROUND) SEED=$(SEED) DEVICE=$(DEVICE) WORKERS=$(WORKERS) KV_MEMORY=$(KV_MEMORY) N=$(N)'
