#!/usr/bin/env bash
# eta-MCTS without and with each of its parts (the paper's Table 3a), and with critics that do not read the calculator's findings,
# without lines as options, and without both (Table 3b).
#
#   experiments/ablation.sh [PRESET=tiny] [RUN=name] [OF=0] [ON=test] [NAME=value ...]
#
# OF is the round of the policy, ON the split. The preset needs ablation.toml. Does what `make ablation` does.
source "$(dirname "$0")/common.sh" "$@"

make_it ROUND="$((OF ? OF : 1))" parts
folder=$(round_folder "$OF")
run "$BIN/evaluate" compare --run "round $OF=$folder/ablation-$ON" --costs --out "$folder/ablation-$ON/comparison.json"
run "$BIN/evaluate" compare --run "with both=$folder/with-both-$ON" --run "without tool=$folder/without-tool-$ON" \
    --run "without options=$folder/without-options-$ON" --run "without both=$folder/without-both-$ON" \
    --out "$folder/with-both-$ON/comparison.json"
