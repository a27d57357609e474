#!/usr/bin/env bash
# GSM8K with a pretrained model: rounds with their controls, the arms, all decoders, audits, and the report of everything.
#
#   experiments/gsm8k.sh INIT=model-folder FROM=folder [N=2] [SEEDS=0] [LABELLED=500] [HELD_OUT=100] [NAME=value ...]
#
# FROM has train.jsonl and test.jsonl, as https://github.com/openai/grade-school-math has them. The first LABELLED questions of
# train.jsonl are the seeds, of which only the final answers are read, and the last HELD_OUT the validation problems; nothing
# learns from the others. All of test.jsonl is the split `test`. The rest is experiments/results.sh with PRESET=laptop-gsm8k.
source "$(dirname "$0")/common.sh" PRESET=laptop-gsm8k SEEDS=0 N=2 "$@"

INIT=${INIT-}
FROM=${FROM-}
LABELLED=${LABELLED-500}
HELD_OUT=${HELD_OUT-100}
[[ -e $INIT/config.json ]] || { echo "INIT=$INIT: give the folder of a model, with config.json" >&2; exit 64; }
for split in train test; do
    [[ -s $FROM/$split.jsonl ]] || { echo "FROM=$FROM: there is no $split.jsonl" >&2; exit 64; }
done
for count in "$LABELLED" "$HELD_OUT"; do
    [[ $count =~ ^[1-9][0-9]*$ ]] || { echo "$count: LABELLED and HELD_OUT are numbers of questions" >&2; exit 64; }
done
all=$(wc -l <"$FROM/train.jsonl")
((LABELLED + HELD_OUT <= all)) || { echo "train.jsonl has $all questions: LABELLED + HELD_OUT are more" >&2; exit 64; }

# Written anew only if they change, so that make takes them for what they are.
DATA=$RUNS/$PRESET-data
settle() { if cmp -s "$1.new" "$1"; then rm "$1.new"; else mv "$1.new" "$1"; fi; }
mkdir -p "$DATA"
head -n "$LABELLED" "$FROM/train.jsonl" >"$DATA/seeds.jsonl.new"
tail -n "$HELD_OUT" "$FROM/train.jsonl" >"$DATA/validation.jsonl.new"
cp "$FROM/test.jsonl" "$DATA/test.jsonl.new"
for split in seeds validation test; do
    settle "$DATA/$split.jsonl"
done

words=()
for word in "${given[@]}"; do
    [[ $word == FROM=* || $word == LABELLED=* || $word == HELD_OUT=* ]] || words+=("$word")
done
exec experiments/results.sh "${words[@]}" DATA="$DATA" SPLITS=test
