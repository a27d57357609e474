# The base models, from nothing.

.PHONY: base
## base: train the preset's base models from nothing, those that are shipped in ten to fifteen minutes
base: $(BASE)/policy/$(M) $(if $(wildcard $(B)/fast-base.toml),$(BASE)/fast_policy/$(M))

# The shipped models are not made again because a file looks newer.
ifneq ($(filter base,$(MAKECMDGOALS))$(filter-out pipelines/base,$(B)),)
$(BASE)/corpus/$(M): $(call chain,$(B)/corpus.toml) | build
	$(BIN)/synthesize corpus --config $< --force --out $(@D) $(done)

$(BASE)/policy/$(M): $(call chain,$(B)/base.toml) $(BASE)/corpus/$(M) | build
	$(BIN)/finetune pretrain --config $< --force --corpus $(BASE)/corpus --out $(@D) $(done)

$(BASE)/fast_policy/$(M): $(call chain,$(B)/fast-base.toml) $(BASE)/corpus/$(M) $(BASE)/policy/$(M) | build
	$(BIN)/finetune pretrain --config $< --force --corpus $(BASE)/corpus --tokenizer-of $(BASE)/policy --out $(@D) $(done)

$(BASE)/%/config.json: $(BASE)/%/$(M) ;
OUTPUTS += $(foreach f,corpus policy fast_policy,$(BASE)/$(f)/$(M))
endif
