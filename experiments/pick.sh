#!/usr/bin/env bash
# Judges of solutions and ways to pick an answer, side by side on the trees that round ROUND would make of problems with answers.
# They are made once; then only what is picked from them is counted.
#
#   experiments/pick.sh [PRESET=tiny] [RUN=name] [ROUND=1] [ON=validation] [ARM=name] [NAME=value ...]
#
# ON is the split of the problems. For a judge of your own, call `evaluate pick` with --critic (docs/guide/judges.md).
# Does what `make pick` does.
source "$(dirname "$0")/common.sh" ON=validation "$@"

round=${ROUND-1}
make_it ROUND="$round" trees-of-round
folder=$(round_folder "$round")/audit-$ON
run "$BIN/evaluate" pick --trajectories "$folder/trajectories" --nodes "$folder/nodes" --critiques "$folder/critiques" \
    --problems "$R/world/$ON" --out "$folder/picks.json"
