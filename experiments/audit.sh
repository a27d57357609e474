#!/usr/bin/env bash
# What the filters of rounds 1 to ROUND keep of problems whose answers are known, and how well the critics judge there. Nothing
# learns from it.
#
#   experiments/audit.sh [PRESET=tiny] [RUN=name] [ROUND=1] [ON=test] [ARM=name] [NAME=value ...]
#
# ON is the split of the problems. Does what `make audit` does.
source "$(dirname "$0")/common.sh" "$@"

for round in $(seq "${ROUND-1}"); do
    make_it ROUND="$round" audit-of-round
done
