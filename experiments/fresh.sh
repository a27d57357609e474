#!/usr/bin/env bash
# Rounds 1 to ROUND and their controls, or the rounds of an arm, on problems of another seed of the world, by which no setting was
# ever chosen.
#
#   experiments/fresh.sh [PRESET=tiny] [RUN=name] [ROUND=1] [ARM=name] [NAME=value ...]
#
# The preset needs fresh.toml and fresh-world.toml. Does what `make fresh` does.
source "$(dirname "$0")/common.sh" "$@"

for round in $(seq "${ROUND-1}"); do
    make_it ROUND="$round" fresh-of-round
done
