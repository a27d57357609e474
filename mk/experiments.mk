# What experiments need beside rounds: the files are here, what is done with them over rounds, seeds and arms is in experiments/.
SCRIPTS := audit fresh compare ablation pick

# The round of the policy that decoders are compared with.
OF ?= 0

# $(call passed,<variables>): those of them that were given, for a script.
passed = $(foreach v,$(1),$(if $(call given,$(v)),$(v)='$($(v))'))
IN_RUN := R='$(R)' ARM='$(ARM)' BIN='$(BIN)' ON='$(ON)'

.PHONY: compare ablation audit fresh pick results decoders parts audit-of-round trees-of-round fresh-of-round
# In one call they come after the rest, and one after the other: each calls make on the same rounds.
$(filter $(SCRIPTS),$(MAKECMDGOALS)): | $(filter-out $(SCRIPTS),$(MAKECMDGOALS))
fresh: | $(filter audit,$(MAKECMDGOALS))
compare: | $(filter audit fresh,$(MAKECMDGOALS))
ablation: | $(filter audit fresh compare,$(MAKECMDGOALS))
pick: | $(filter audit fresh compare ablation,$(MAKECMDGOALS))

# The + has scripts run where make only plans: they plan, too.
## compare: all decoders side by side at equal tokens, of the policy of round OF=0, on ON=test
compare:
	+@experiments/compare.sh $(IN_RUN) OF=$(OF)

## ablation: eta-MCTS without and with each of its parts, with critics without the calculator, and without lines as options
ablation:
	+@experiments/ablation.sh $(IN_RUN) OF=$(OF)

## audit: what the filters of these rounds keep of the problems of the split ON=test, and how well critics judge there
audit:
	+@experiments/audit.sh ROUND=$(ROUND)

## fresh: the rounds up to ROUND=n and their controls, or those of ARM=name, on problems by which nothing was ever chosen
fresh:
	+@experiments/fresh.sh ROUND=$(ROUND)

## pick: judges of solutions, and ways to pick an answer, on the trees that round ROUND=1 would make of ON=validation
pick:
	+@experiments/pick.sh R='$(R)' ARM='$(ARM)' BIN='$(BIN)' ROUND=$(ROUND) $(call passed,ON)

## results: N=1 rounds of each of SEEDS='0 1 2', and of every arm, and all decoders, then their tables and plots, in docs/results
results:
	+@experiments/results.sh PRESET='$(PRESET)' RUNS='$(RUNS)' BIN='$(BIN)' N=$(N) OF=$(OF) ON='$(ON)' $(call passed,P SEEDS ARMS ARM_N TABLES RESULTS MEASURED)

# ------------------------------------------------------------------- audits: the round on problems whose answers are known
# What the round's filter keeps of the problems of the split ON, beside their answers: nothing learns from it.
AUDITED := $(THIS)/audit-$(ON)
audit-of-round: $(AUDITED)/audit.json $(if $(wildcard $(P)/confidence.toml),$(AUDITED)/quality/$(M))

# The trees alone, for `evaluate pick`.
trees-of-round: $(AUDITED)/critiques/$(M)

$(AUDITED)/trajectories/$(M): $(SEARCHING) $(R)/world/$(ON)/$(M) $(BEFORE)/policy/$(M) $(FAST)/$(M) $(call critics_in,$(JUDGES)/critics) | build
	$(call search_with,$(R)/world/$(ON),$(BEFORE)/policy,$(ROUND),$(AUDITED))

$(AUDITED)/critiques/$(M): $(call toml,critique) $(TEXT) $(AUDITED)/trajectories/$(M) $(call critics_in,$(JUDGES)/critics) $(addsuffix /$(M),$(CONFIDENCE)) | build
	$(call score_with,$(ROUND),$(AUDITED),$(AUDITED),$(CONFIDENCE))

$(AUDITED)/sft/$(M): $(call toml,filter) $(AUDITED)/critiques/$(M) | build
	$(call filter_with,$(R)/world/$(ON),$(AUDITED),$(AUDITED),$(AUDITED))

$(AUDITED)/audit.json: $(AUDITED)/sft/$(M) | build
	$(BIN)/evaluate audit --sft $(AUDITED)/sft --problems $(R)/world/$(ON) --out $@ $(done)

# How well critics, agreement and the confidence that the filter goes by tell right from wrong there. Nothing is fitted.
$(AUDITED)/quality/$(M): $(call toml,confidence) $(AUDITED)/critiques/$(M) | build
	$(BIN)/critique calibrate $(call flags,confidence,$(ROUND)) --trajectories $(AUDITED)/trajectories \
	  --critiques $(AUDITED)/critiques --problems $(R)/world/$(ON) $(one_class) --out $(@D) $(done)

# --------------------------------------------------------- fresh problems: of another seed of the world, no setting knows them
FRESH_SCALES := $(call scales,fresh) $(SPLITS:%=$(R)/fresh-world/%/$(M))
fresh-of-round: $(if $(ARM)$(PAST),,$(Z)/fresh/$(M)) $(THIS)/fresh/$(M) $(if $(ARM),,$(THIS)/control-fresh/$(M))

ifeq ($(ROUND),1)
$(SPLITS:%=$(R)/fresh-world/%/$(M)): $(R)/fresh-world/%/$(M): $(call toml,fresh-world) | build $(R)/made-with
	$(BIN)/synthesize world $(call flags,fresh-world,0) --split $* --out $(@D) $(done)
endif

$(Z)/fresh/$(M): $(Z)/policy/$(M) $(FRESH_SCALES) | build
	$(call measure,$(Z)/policy,0,fresh,fresh-world)

$(THIS)/fresh/$(M): $(THIS)/policy/$(M) $(FRESH_SCALES) | build
	$(call measure,$(THIS)/policy,$(ROUND),fresh,fresh-world)

$(THIS)/control-fresh/$(M): $(THIS)/control/$(M) $(FRESH_SCALES) | build
	$(call measure,$(THIS)/control,$(ROUND),fresh,fresh-world)

# ------------------------------------------------------------------------------------------------ decoders and their parts
# Of the policy of round OF, which is this round or round 0.
D := $(if $(filter 0,$(OF)),$(Z),$(A)/round-$(shell printf %02d $(OF)))
PARTS := with-both without-tool without-options without-both
decoders: $(D)/compare-$(ON)/$(M)
parts: $(addprefix $(D)/,$(addsuffix -$(ON)/$(M),ablation $(PARTS)))

$(D)/compare-$(ON)/$(M) $(D)/ablation-$(ON)/$(M): $(D)/%-$(ON)/$(M): $(SCALES) $(D)/policy/$(M) | build
	$(call measure,$(D)/policy,$(OF),$*,world,$(ON))
$(D)/compare-$(ON)/$(M): $(call chain,$(P)/compare.toml)
$(D)/ablation-$(ON)/$(M): $(call chain,$(P)/ablation.toml)

# The paper's Table 3b: critics that learn from the same labels and are not told what the calculator finds; critics of solutions
# that are judged and searched in pieces of so many tokens instead of lines; both at once. critics_with-tool are those of the round.
text_without-tool       := text-blind
text_without-options    := text-tokens
text_without-both       := text-blind-tokens
critics_without-tool    := blind-critics
critics_without-options := token-critics
critics_without-both    := blind-token-critics
# $(call part,<part>): what it is measured with.
part = $(if $(text_$(1)),$(call chain,$(P)/$(text_$(1)).toml) $(call critics_in,$(Z)/$(critics_$(1))))

$(D)/with-both-$(ON)/$(M): $(call part,with-both)
$(D)/without-tool-$(ON)/$(M): $(call part,without-tool)
$(D)/without-options-$(ON)/$(M): $(call part,without-options)
$(D)/without-both-$(ON)/$(M): $(call part,without-both)
$(PARTS:%=$(D)/%-$(ON)/$(M)): $(D)/%-$(ON)/$(M): $(call chain,$(P)/tool.toml) $(SCALES) $(D)/policy/$(M) | build
	$(call measure,$(D)/policy,$(OF),tool,world,$(ON),$(text_$*),$(critics_$*))

# $(call train_critic,<name>,<text>,<labels>)
train_critic = $(BIN)/finetune critic $(call flags,critic-$(1),0) $(compute) --text $(P)/$(2).toml --init $(Z)/policy --labels $(Z)/$(3) $(one_class) --out $(@D) $(done)

$(call critics_in,$(Z)/blind-critics): $(Z)/blind-critics/%/$(M): $(P)/critic-%.toml $(CRITIC_BASES) $(call chain,$(P)/text-blind.toml) $(Z)/labels/$(M) | build
	$(call train_critic,$*,text-blind,labels)

$(Z)/token-labels/$(M): $(call toml,label) $(call chain,$(P)/text-tokens.toml) $(Z)/policy/$(M) | build
	$(BIN)/critique label $(call flags,label,0) $(compute) --text $(P)/text-tokens.toml --policy $(Z)/policy \
	  --seeds $(R)/world/seeds --held-out $(R)/world/validation $(one_class) --out $(@D) $(done)

$(call critics_in,$(Z)/token-critics): $(Z)/token-critics/%/$(M): $(P)/critic-%.toml $(CRITIC_BASES) $(call chain,$(P)/text-tokens.toml) $(Z)/token-labels/$(M) | build
	$(call train_critic,$*,text-tokens,token-labels)

$(call critics_in,$(Z)/blind-token-critics): $(Z)/blind-token-critics/%/$(M): $(P)/critic-%.toml $(CRITIC_BASES) $(call chain,$(P)/text-blind-tokens.toml) $(Z)/token-labels/$(M) | build
	$(call train_critic,$*,text-blind-tokens,token-labels)

OUTPUTS += $(AUDITED)/audit.json $(addsuffix /$(M),$(addprefix $(AUDITED)/,trajectories critiques sft quality) $(SPLITS:%=$(R)/fresh-world/%) \
  $(Z)/fresh $(THIS)/fresh $(THIS)/control-fresh $(addprefix $(D)/,$(addsuffix -$(ON),compare ablation $(PARTS))) $(Z)/token-labels) \
  $(call critics_in,$(Z)/blind-critics) $(call critics_in,$(Z)/token-critics) $(call critics_in,$(Z)/blind-token-critics)
