#!/usr/bin/env bash
# All decoders side by side at equal tokens: sampling, best-of-n, step searches, tree search and its variants.
#
#   experiments/compare.sh [PRESET=tiny] [RUN=name] [OF=0] [ON=test] [NAME=value ...]
#
# OF is the round of the policy, ON the split. The preset needs compare.toml. Does what `make compare` does.
source "$(dirname "$0")/common.sh" "$@"

make_it ROUND="$((OF ? OF : 1))" decoders
folder=$(round_folder "$OF")/compare-$ON
run "$BIN/evaluate" compare --run "round $OF=$folder" --costs --out "$folder/comparison.json"
