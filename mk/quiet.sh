#!/usr/bin/env bash
# Runs a stage and prints one line about it, with its time: mk/quiet.sh OUTPUT RUN [NAME=value ...] command ...
#
# Warnings, errors and bars are shown as ever. The tables that the stage prints go to RUN/logs. `make V=1` shows them, and commands.
set -euo pipefail
output=${1%/_MANIFEST.json} run=$2
shift 2
output=${output#"$run"/}
mkdir -p "$run/logs"
tables=$run/logs/${output//\//-}.txt

# The line below takes the place of a stage's last one. Where a bar is seen, lines about progress say the same.
if [[ -t 2 ]]; then quiet=warn; else quiet=info,ending=off; fi
export RUST_LOG=${RUST_LOG-$quiet}

SECONDS=0
env "$@" >"$tables" || {
    code=$?
    cat "$tables"
    exit "$code"
}
time=$(printf '%d:%02d:%02d' $((SECONDS / 3600)) $((SECONDS / 60 % 60)) $((SECONDS % 60)))
# How many stages of make's plan have ended, as mk/plan.sh left it.
place=
if read -r stages ended 2>/dev/null <"$run/logs/plan"; then
    place=$(printf '[%*d/%d] ' ${#stages} $(($(wc -l <"$run/logs/times") - ended + 1)) "$stages")
fi
printf '%s%-40s %s\n' "$place" "$output" "$time"
# For `make status`, which says what the same stage of an earlier round took.
echo "$output $time" >>"$run/logs/times"
