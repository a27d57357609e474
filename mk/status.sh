#!/usr/bin/env bash
# The outputs in the folders of rounds below $1, and whether they are complete: the manifest is written last.
set -euo pipefail
shopt -s nullglob
for round in "$1"/round-*/; do
    echo "${round%/}"
    for output in "$round"*/ "$round"critics/*/ "$round"held-out/*/; do
        if [[ -e ${output}_MANIFEST.json ]]; then
            printf '  %-12s %s\n' complete "${output#"$round"}"
        elif [[ -d ${output}data || -e ${output}config.json || -e ${output}.lock ]]; then
            printf '  %-12s %s\n' unfinished "${output#"$round"}"
        fi
    done
done
