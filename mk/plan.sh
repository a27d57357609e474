#!/usr/bin/env bash
# Says how many stages make is about to run, and what they took in the round before: mk/plan.sh RUN < manifests, a line for each.
#
# mk/quiet.sh counts them by what this leaves in RUN/logs/plan: their number, and the stages of this run that had ended before.
set -euo pipefail
source "${BASH_SOURCE%/*}/times.sh"
run=$1 times=$1/logs/times
mapfile -t outputs
((${#outputs[@]} > 0)) || exit 0

mkdir -p "$run/logs"
touch "$times"
echo "${#outputs[@]} $(wc -l <"$times")" >"$run/logs/plan"

seconds=0 known=yes
for output in "${outputs[@]}"; do
    output=${output#"$run"/}
    time=$(time_before "$times" "${output%/_MANIFEST.json}")
    [[ -n $time ]] || known=
    IFS=: read -r hours minutes rest <<<"${time:-0:00:00}"
    ((seconds += 10#$hours * 3600 + 10#$minutes * 60 + 10#$rest)) || true
done
took=$(printf ', which took %d:%02d:%02d in the round before' $((seconds / 3600)) $((seconds / 60 % 60)) $((seconds % 60)))
((${#outputs[@]} == 1)) && stages='1 stage' || stages="${#outputs[@]} stages"
echo "$run: $stages to run${known:+$took}"
