#!/usr/bin/env bash
# The outputs in the folders of rounds below $1, and whether they are complete: the manifest is written last. The logs are in $2.
set -euo pipefail
shopt -s nullglob

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
logs=("$2"/*.log)
((${#logs[@]} == 0)) || echo "logs of tasks: $2/<output>-<shard>.log"
