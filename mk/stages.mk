# The rules of a round: the inputs of each stage, and its command.

WORLD    := $(foreach s,seeds validation $(SPLITS),$(R)/world/$(s)/$(M))
TESTS    := $(foreach s,$(SPLITS),$(R)/world/$(s)/$(M))
# A preset has a critic for each critic-<name>.toml.
CRITICS  := $(patsubst $(P)/critic-%.toml,%,$(wildcard $(P)/critic-*.toml))
# The files that theirs extend. A change in any of them retrains all critics.
CRITIC_BASES := $(sort $(foreach c,$(CRITICS),$(wordlist 2,99,$(call toml,critic-$(c)))))
# A preset without fast-policy.toml has no small model: the fast policy is that of round 0.
FAST     := $(Z)/$(if $(wildcard $(P)/fast-policy.toml),fast_policy,policy)

# Seeds that have an answer alone teach by what the policy of round 0 got right of them, if the preset says so.
OWN      := $(shell grep -lE '^solutions_per_seed' $(call toml,finetune) 2>/dev/null)
LABELS   := $(if $(OWN),$(Z)/labels)
SAMPLED  := $(if $(OWN),$(wildcard $(P)/control-label.toml))

# ------------------------------------------------------------------------------------------------- the folders of an arm
# All arms start round 1 from the same models of round 0. In that round, an arm without settings of its own for a stage shares its
# output with the preset. In later rounds each arm has its own.
# $(call of_arm,<stages>): the arm's files for them. $(call from,nn,<stages>): the folder of round nn that they decide.
of_arm   = $(if $(ARM),$(wildcard $(foreach s,$(1),$(P)/$(ARM)/$(s).toml)))
from     = $(if $(or $(filter-out 01,$(1)),$(call of_arm,$(2))),$(A),$(R))/round-$(1)
prompted = $(call from,$(1),prompts)
filtered = $(call from,$(1),prompts search tree critique confidence filter)
NOW      := $(lastword $(ROUNDS))
PROMPTED := $(call prompted,$(NOW))
SEARCHED := $(call from,$(NOW),prompts search tree)
JUDGED   := $(call from,$(NOW),prompts search tree critique confidence)
FILTERED := $(call filtered,$(NOW))
PAST     := $(filter-out $(NOW),$(ROUNDS))

# The critics that judge this round, the round that trained them, and their calibration, if the preset has a confidence.toml.
# Evaluations always use the critics of round 0.
JUDGES     := $(if $(RETRAIN),$(BEFORE),$(Z))
JUDGES_OF  := $(if $(RETRAIN),$(shell expr $(ROUND) - 1),0)
CALIBRATED := $(if $(or $(filter-out 0,$(JUDGES_OF)),$(call of_arm,search tree critique confidence)),$(A),$(R))/$(notdir $(JUDGES))
CONFIDENCE := $(if $(wildcard $(P)/confidence.toml),$(CALIBRATED)/confidence)
# $(call critics_in,<folder>): as files and as arguments.
critics_in = $(CRITICS:%=$(1)/%/$(M))
judged_by  = $(CRITICS:%=--critic $(1)/%)

# --------------------------------------------------------------------------------------------------------- calls of stages
# $(call search_with,<prompts>,<policy>,<its round>,<folder>): trajectories and nodes.
search_with = $(rows)$(BIN)/search $(call flags,search,$(3)) $(each) $(memory) $(SEARCH_FLAGS) --text $(P)/text.toml --tree $(call settings,tree) --prompts $(1) --policy $(call served,$(2)) \
	  --fast-policy $(call served_fast,$(FAST)) $(call judged_by,$(JUDGES)/critics) --out-trajectories $(4)/trajectories --out-nodes $(4)/nodes $(done)
# Its prerequisites, besides the prompts and the policy.
SEARCHING  := $(call toml,search) $(TEXT) $(call toml,tree)
# $(call score_with,<round>,<folder of the trajectories>,<folder>,[calibration]): critiques.
score_with  = $(rows)$(BIN)/critique score $(call flags,critique,$(1)) $(each) $(CRITIQUE_FLAGS) --text $(P)/text.toml --trajectories $(2)/trajectories $(call judged_by,$(JUDGES)/critics) $(addprefix --confidence ,$(4)) --out $(3)/critiques $(done)
# $(call filter_with,<prompts>,<folder of the trajectories>,<of the critiques>,<folder>): examples, pairs and steps.
filter_with = $(whole)$(BIN)/filter $(call flags,filter,$(ROUND)) $(FILTER_FLAGS) --prompts $(1) --trajectories $(2)/trajectories --critiques $(3)/critiques \
	  --out-sft $(4)/sft --out-preferences $(4)/preferences --out-steps $(4)/steps $(done)
# $(call measure,<policy>,<its round>,<settings>,<folder of the problems>,[splits],[text],[critics]): evaluates a policy.
measure     = $(rows)$(BIN)/evaluate run $(call flags,$(3),$(2)) $(each) $(memory) --text $(P)/$(or $(6),text).toml --tree $(P)/tree.toml --policy $(1) --fast-policy $(FAST) \
	  $(call judged_by,$(Z)/$(or $(7),critics)) $(foreach s,$(or $(5),$(SPLITS)),--problems $(R)/$(4)/$(s)) --out $(@D) $(done)
# $(call scales,<settings>): its prerequisites, besides the policy and the problems.
scales      = $(call chain,$(P)/$(1).toml) $(TEXT) $(call chain,$(P)/tree.toml) $(FAST)/$(M) $(call critics_in,$(Z)/critics)

# The settings that rounds are measured with.
MEASURED ?= evaluate
SCALES   := $(call scales,$(MEASURED)) $(TESTS)

ifeq ($(ROUND),1)
include mk/round-0.mk
else
# ----------------------------------------------------------------------------------------------------------- earlier rounds
# These are plain files here. A call of make for the round before brings them up to date.
EARLIER := $(WORLD) $(SPLITS:%=$(R)/fresh-world/%/$(M)) $(addsuffix /$(M),$(sort $(Z)/policy $(FAST) $(Z)/labels $(Z)/evaluation)) \
  $(call critics_in,$(Z)/critics) $(if $(RETRAIN),,$(addsuffix /$(M),$(CONFIDENCE))) \
  $(addprefix $(BEFORE)/,policy/$(M) control/$(M) comparison.json) $(foreach k,$(PAST),$(call filtered,$(k))/sft/$(M)) \
  $(if $(SAMPLED),$(PAST:%=$(A)/round-%/control-labels/$(M)))
# The goal of that call, by the goal of this one: the whole round, its measured policy, its policy alone, or policy and control.
of_before  = $(if $(filter all round report compared,$(1)),compared,$(if $(filter measured,$(1)),measured,$(if $(filter $(POLICY_DOES),$(1)),policy,finetune)))
POLICY_DOES = synthesize search critique filter policy audit-of-round trees-of-round decoders parts $(SCRIPTS) $(if $(ARM),fresh-of-round)
.PHONY: earlier
earlier: | build
	@PLANNED=yes $(MAKE) --no-print-directory BUILD=: ROUND=$(shell expr $(ROUND) - 1) $(TRIED:%=%=) $(sort $(foreach g,$(or $(MAKECMDGOALS),all),$(call of_before,$(g))))
# The + makes `make -n` run this empty recipe. Otherwise it would take the files for changed, and could not plan this round.
$(EARLIER): earlier
	+@
endif

# ----------------------------------------------------------------------------------------------------------------- critics
# They learn from the policy's own solutions of labelled problems. Critics of earlier rounds exist already.
ifneq ($(or $(RETRAIN),$(filter 1,$(ROUND))),)
$(JUDGES)/labels/$(M): $(call toml,label) $(TEXT) $(JUDGES)/policy/$(M) | build
	$(rows)$(BIN)/critique label $(call flags,label,$(JUDGES_OF)) $(each) --text $(P)/text.toml --policy $(call served,$(JUDGES)/policy) \
	  --seeds $(R)/world/seeds --held-out $(R)/world/validation $(one_class) --out $(@D) $(done)

$(call critics_in,$(JUDGES)/critics): $(JUDGES)/critics/%/$(M): $(P)/critic-%.toml $(CRITIC_BASES) $(TEXT) $(JUDGES)/labels/$(M) | build
	$(whole)$(BIN)/finetune critic $(call flags,critic-$*,$(JUDGES_OF)) $(compute) --text $(P)/text.toml --init $(JUDGES)/policy \
	  --labels $(JUDGES)/labels $(one_class) --out $(@D) $(done)

# The chance that a judged solution is right, given what these critics say of it: fitted to a search of the validation problems.
$(CALIBRATED)/held-out/trajectories/$(M): $(SEARCHING) $(R)/world/validation/$(M) $(JUDGES)/policy/$(M) $(FAST)/$(M) $(call critics_in,$(JUDGES)/critics) | build
	$(call search_with,$(R)/world/validation,$(JUDGES)/policy,$(JUDGES_OF),$(CALIBRATED)/held-out)

$(CALIBRATED)/held-out/critiques/$(M): $(call toml,critique) $(TEXT) $(CALIBRATED)/held-out/trajectories/$(M) $(call critics_in,$(JUDGES)/critics) | build
	$(call score_with,$(JUDGES_OF),$(CALIBRATED)/held-out,$(CALIBRATED)/held-out)

$(CALIBRATED)/confidence/$(M): $(call toml,confidence) $(CALIBRATED)/held-out/critiques/$(M) | build
	$(quiet)$(BIN)/critique calibrate $(call flags,confidence,$(JUDGES_OF)) --trajectories $(CALIBRATED)/held-out/trajectories \
	  --critiques $(CALIBRATED)/held-out/critiques --problems $(R)/world/validation $(one_class) --out $(@D) $(done)
endif

# ------------------------------------------------------------------------------------------------------------- imagination
# Prompts depend on models if the preset has one write or try them, and on earlier rounds if it uses those.
WRITES := $(shell grep -lE '^\[(writing|difficulty)\]' $(call toml,prompts) 2>/dev/null)
BACK   := $(shell grep -lE '^(\[curriculum\]|backward)' $(call toml,prompts) 2>/dev/null)
IMAGINING := $(call toml,prompts) $(WORLD) $(if $(WRITES),$(TEXT) $(BEFORE)/policy/$(M)) $(if $(BACK),$(foreach k,$(PAST),$(call filtered,$(k))/sft/$(M)))
imagine_with = --seeds $(R)/world/seeds $(if $(WRITES),--policy $(call served,$(BEFORE)/policy) --author $(call served,$(INIT)) --text $(P)/text.toml) \
	  $(if $(BACK),$(foreach k,$(PAST),--earlier $(call prompted,$(k))/prompts --kept $(call filtered,$(k))/sft)) $(foreach s,validation $(SPLITS),--avoid $(R)/world/$(s))
# Where several processes ask the models, they do so before one of them chooses the prompts. Prompts that are there need no drafts.
DRAFTS := $(if $(ENGINE),$(if $(WRITES),$(if $(wildcard $(PROMPTED)/prompts/$(M)),$(patsubst %/$(M),%,$(wildcard $(PROMPTED)/drafts/$(M))),$(PROMPTED)/drafts)))
$(PROMPTED)/drafts/$(M): $(IMAGINING) | build
	$(rows)$(BIN)/synthesize drafts $(call flags,prompts,$(ROUND)) $(each) $(imagine_with) --out $(@D) $(done)

$(PROMPTED)/prompts/$(M): $(IMAGINING) $(addsuffix /$(M),$(DRAFTS)) | build
	$(whole)$(BIN)/synthesize prompts $(call flags,prompts,$(ROUND)) $(compute) $(imagine_with) $(addprefix --drafts ,$(DRAFTS)) --out $(@D) $(done)

# ------------------------------------------------------------------------------------------------- searching and criticizing
$(SEARCHED)/trajectories/$(M): $(SEARCHING) $(PROMPTED)/prompts/$(M) $(BEFORE)/policy/$(M) $(FAST)/$(M) $(call critics_in,$(JUDGES)/critics) | build
	$(call search_with,$(PROMPTED)/prompts,$(BEFORE)/policy,$(ROUND),$(SEARCHED))

$(JUDGED)/critiques/$(M): $(call toml,critique) $(TEXT) $(SEARCHED)/trajectories/$(M) $(call critics_in,$(JUDGES)/critics) $(addsuffix /$(M),$(CONFIDENCE)) | build
	$(call score_with,$(ROUND),$(SEARCHED),$(JUDGED),$(CONFIDENCE))

$(FILTERED)/sft/$(M): $(call toml,filter) $(SEARCHED)/trajectories/$(M) $(JUDGED)/critiques/$(M) | build
	$(call filter_with,$(PROMPTED)/prompts,$(SEARCHED),$(JUDGED),$(FILTERED))

# ------------------------------------------------------------------------------------------------------------- fine-tuning
# The policy learns from the seeds and the examples of these rounds, and from pairs if the preset has [preferences].
LEARNED := $(if $(filter last,$(KEPT)),$(NOW),$(ROUNDS))
PAIRS   := $(shell grep -l '^\[preferences\]' $(call toml,finetune) 2>/dev/null)
# $(call finetune_from,<checkpoint>,<labels>): up to the examples.
finetune_from = $(whole)$(BIN)/finetune policy $(call flags,finetune,$(ROUND)) $(compute) $(if $(TRAINER),--trainer $(TRAINER)) --text $(P)/text.toml \
	  --init $(if $(filter base,$(START)),$(INIT),$(1)) --seeds $(R)/world/seeds $(addprefix --labels ,$(2))
$(THIS)/policy/$(M): $(call toml,finetune) $(TEXT) $(addsuffix /$(M),$(LABELS)) $(foreach k,$(LEARNED),$(call filtered,$(k))/sft/$(M)) $(BEFORE)/policy/$(M) | build
	$(call finetune_from,$(BEFORE)/policy,$(LABELS)) \
	  $(foreach k,$(LEARNED),--sft $(call filtered,$(k))/sft $(if $(PAIRS),--preferences $(call filtered,$(k))/preferences)) --validation $(R)/world/validation --out $(@D) $(done)

# The control: the same number of updates on the seeds alone, from the control of the round before. If the preset has a
# control-label.toml, the control of the round before samples the seeds once more, for as many tokens as the search had.
CONTROL_BEFORE := $(BEFORE)/$(if $(filter 1,$(ROUND)),policy,control)
CONTROL_LABELS := $(LABELS) $(if $(SAMPLED),$(foreach k,$(LEARNED),$(A)/round-$(k)/control-labels))
$(THIS)/control-labels/$(M): $(call toml,control-label) $(TEXT) $(R)/world/seeds/$(M) $(CONTROL_BEFORE)/$(M) | build
	$(rows)$(BIN)/critique label $(call flags,control-label,$(ROUND)) $(each) --text $(P)/text.toml --policy $(call served,$(CONTROL_BEFORE)) \
	  --seeds $(R)/world/seeds $(one_class) --out $(@D) $(done)

$(THIS)/control/$(M): $(call toml,finetune) $(TEXT) $(CONTROL_LABELS:%=%/$(M)) $(THIS)/policy/$(M) $(CONTROL_BEFORE)/$(M) | build
	$(call finetune_from,$(CONTROL_BEFORE),$(CONTROL_LABELS)) \
	  --validation $(R)/world/validation --updates-of $(THIS)/policy --out $(@D) $(done)

# -------------------------------------------------------------------------------------------------------------- evaluation
$(THIS)/evaluation/$(M): $(THIS)/policy/$(M) $(SCALES) | build
	$(call measure,$(THIS)/policy,$(ROUND),$(MEASURED),world)

$(THIS)/control-evaluation/$(M): $(THIS)/control/$(M) $(SCALES) | build
	$(call measure,$(THIS)/control,$(ROUND),$(MEASURED),world)

# The models of the rounds so far and their evaluations, each after an option: $(call models,--run).
models    = $(1) base=$(Z)/evaluation $(1) control=$(THIS)/control-evaluation $(foreach k,$(ROUNDS),$(1) 'round $(k:0%=%)'=$(A)/round-$(k)/evaluation)
comparison := $(BIN)/evaluate compare $(call models,--run) --against control
$(THIS)/comparison.json: $(Z)/evaluation/$(M) $(THIS)/evaluation/$(M) $(THIS)/control-evaluation/$(M) $(if $(PAST),$(BEFORE)/comparison.json)
	@$(comparison) --out $@ $(done)

.PHONY: written-again
# One page for people. It shows how long stages took, so it is no input of anything. `make report` always writes it.
$(A)/report.html: $(THIS)/comparison.json $(if $(filter report,$(MAKECMDGOALS)),written-again) | build
	@$(BIN)/report --run $(R) --preset $(P) $(addprefix --arm ,$(ARM)) --filter $(call settings,filter) --tree $(call settings,tree) --comparison $< $(foreach k,$(ROUNDS),--examples $(call filtered,$(k))/sft) \
	  $(call models,--answers) --out $@ $(done)

OUTPUTS += $(addsuffix /$(M),$(JUDGES)/labels $(CRITICS:%=$(JUDGES)/critics/%) $(CALIBRATED)/held-out/trajectories $(CALIBRATED)/held-out/critiques \
  $(CALIBRATED)/confidence $(PROMPTED)/drafts $(PROMPTED)/prompts $(SEARCHED)/trajectories $(JUDGED)/critiques $(FILTERED)/sft \
  $(addprefix $(THIS)/,policy control-labels control evaluation control-evaluation)) $(THIS)/comparison.json
