#!/usr/bin/env bash
# The outputs in the folders of rounds below $1, and whether they are complete: the manifest is written last. The logs are in $2;
# $3 is the manifest that make would make next, if any.
set -euo pipefail
shopt -s nullglob extglob

logs=$2

# How many of its parts an unfinished output has.
parts() {
    local plan=$1.state/plan.json made all
    [[ -e $plan ]] || return 0
    all=$(sed -n 's/.*"parts":\([0-9]*\).*/\1/p' "$plan")
    made=("$1".state/finished/*.parquet.json)
    ((${all:-0} == 0)) || printf ', %d of %d parts' "${#made[@]}" "$all"
}

rounds=("$1"/round-*/)
((${#rounds[@]} > 0)) || echo "$1: nothing was begun; \`make round\` begins the first round"
for round in "${rounds[@]}"; do
    echo "${round%/}"
    for output in "$round"*/ "$round"critics/*/ "$round"held-out/*/; do
        if [[ -e ${output}_MANIFEST.json ]]; then
            printf '  %-12s %s\n' complete "${output#"$round"}"
        elif [[ -d ${output}data || -e ${output}config.json || -e ${output}.lock ]]; then
            printf '  %-12s %s%s\n' unfinished "${output#"$round"}" "$(parts "$output")"
        fi
    done
done

# How long a stage took when it last made this output.
time_of() { [[ ! -e $logs/times ]] || awk -v output="$1" '$1 == output { time = $2 } END { print time }' "$logs/times"; }

tell_next() {
    local output=${1%/_MANIFEST.json} round time
    output=${output#"${logs%/logs}/"}
    round=$(sed -nE 's/.*round-0*([0-9]+).*/\1/p' <<<"$output")
    if ((${round:-0} > 1)); then
        time=$(time_of "${output/round-*([0-9])/$(printf round-%02d $((round - 1)))}")
    fi
    echo "next: $output${time:+, which took $time in the round before}"
}

[[ -z ${3-} ]] || tell_next "$3"
tasks=("$logs"/*.log)
((${#tasks[@]} == 0)) || echo "logs of tasks: $logs/<output>-<shard>.log"
