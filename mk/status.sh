#!/usr/bin/env bash
# The outputs in the folders of rounds below $1, and whether they are complete: the manifest is written last. The logs are in $2;
# $3 is the manifest that make would make next, if any.
set -euo pipefail
shopt -s nullglob
source "${BASH_SOURCE%/*}/times.sh"

logs=$2

# How many of its parts an unfinished output has.
parts() {
    local plan=$1.state/plan.json made all
    [[ -e $plan ]] || return 0
    all=$(sed -n 's/.*"parts":\([0-9]*\).*/\1/p' "$plan")
    made=("$1".state/finished/*.parquet.json)
    ((${all:-0} == 0)) || printf ', %d of %d parts' "${#made[@]}" "$all"
}

# The updates of an unfinished training.
updates() {
    [[ ! -e $1metrics.jsonl ]] || sed -nE 's/.*"update":([0-9]+),"loss".*/, update \1/p' "$1metrics.jsonl" | tail -n 1
}

folder() {
    local output manifests=("$1"*/_MANIFEST.json "$1"critics/*/_MANIFEST.json "$1"held-out/*/_MANIFEST.json)
    echo "${1%/}"
    # In the order in which they were finished. Without arguments, ls would list this folder.
    ((${#manifests[@]} == 0)) || ls -tr "${manifests[@]}" | while read -r output; do
        output=${output%_MANIFEST.json}
        printf '  %-12s %s\n' complete "${output#"$1"}"
    done
    for output in "$1"*/ "$1"critics/*/ "$1"held-out/*/; do
        [[ -e ${output}_MANIFEST.json ]] || unfinished "$1" "$output"
    done
}

unfinished() {
    [[ -d $2data || -e $2config.json || -e $2.lock ]] || return 0
    printf '  %-12s %s%s%s\n' unfinished "${2#"$1"}" "$(parts "$2")" "$(updates "$2")"
}

folders=("${logs%logs}world/" "$1"/round-*/)
((${#folders[@]} > 1)) || [[ -d ${folders[0]} ]] || echo "$1: nothing was begun; \`make round\` begins the first round"
for one in "${folders[@]}"; do
    [[ ! -d $one ]] || folder "$one"
done

tell_next() {
    local output=${1%/_MANIFEST.json} time
    output=${output#"${logs%/logs}/"}
    time=$(time_before "$logs/times" "$output")
    echo "next: $output${time:+, which took $time in the round before}"
    [[ -n $time ]] || echo 'how long a round takes: `make estimate`'
}

[[ -z ${3-} ]] || tell_next "$3"
tasks=("$logs"/*.log)
((${#tasks[@]} == 0)) || echo "logs of tasks: $logs/<output>-<shard>.log"
