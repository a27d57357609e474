# The problems, and round 0: what the labelled seeds teach.

ifeq ($(DATA),)
$(WORLD): $(R)/world/%/$(M): $(call toml,world) | build $(R)/made-with
	$(quiet)$(BIN)/synthesize world $(call flags,world,0) --split $* --out $(@D) $(done)
else
# What is tested must not be learned or chosen by: no question may be in a split and in one that comes after it here.
EXAMINED := $(filter-out seeds validation,$(SPLITS))
behind_seeds      := validation $(EXAMINED)
behind_validation := $(EXAMINED)
$(WORLD): $(R)/world/%/$(M): $(DATA)/%.jsonl $(call toml,import) | build $(R)/made-with
	$(quiet)$(BIN)/synthesize import $(call flags,import,0) $(IMPORT_FLAGS) --input $< --split $* \
	  $(foreach s,$(behind_$*),--apart-from $(R)/world/$(s)) --out $(@D) $(done)
$(R)/world/seeds/$(M): $(behind_seeds:%=$(R)/world/%/$(M))
$(R)/world/validation/$(M): $(behind_validation:%=$(R)/world/%/$(M))
endif

$(Z)/policy/$(M): $(call toml,policy) $(TEXT) $(INIT)/config.json $(R)/world/seeds/$(M) $(R)/world/validation/$(M) | build $(R)/made-with
	$(whole)$(BIN)/finetune policy $(call flags,policy,0) $(compute) --text $(P)/text.toml --init $(INIT) \
	  --seeds $(R)/world/seeds --validation $(R)/world/validation --out $(@D) $(done)

$(Z)/fast_policy/$(M): $(call toml,fast-policy) $(TEXT) $(FAST_INIT)/config.json $(R)/world/seeds/$(M) $(R)/world/validation/$(M) | build
	$(whole)$(BIN)/finetune policy $(call flags,fast-policy,0) $(compute) --text $(P)/text.toml --init $(FAST_INIT) \
	  --seeds $(R)/world/seeds --validation $(R)/world/validation --out $(@D) $(done)

$(Z)/evaluation/$(M): $(Z)/policy/$(M) $(SCALES) | build
	$(call measure,$(Z)/policy,0,$(MEASURED),world)

OUTPUTS := $(WORLD) $(addsuffix /$(M),$(addprefix $(Z)/,policy fast_policy evaluation))
