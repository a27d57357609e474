#!/usr/bin/env bash
# For each preset file the chain of files that it extends, in one word: file=base=base of the base. make goes by it, so that
# an output is stale when a base was edited. What is wrong with a chain is for the stages to say.
set -euo pipefail

# The path of $2 as it is seen from the file $1, without detours: pipelines/tiny/tree.toml.
beside() {
    local folder base=$2
    folder=$(dirname "$1")
    while [[ $base == ../* && $folder != . && ${folder##*/} != .. && ! -L $folder ]]; do
        folder=$(dirname "$folder") base=${base#../}
    done
    case $base in
    /*) echo "$base" ;;
    *) [[ $folder == . ]] && echo "$base" || echo "${folder%/}/$base" ;;
    esac
}

for file in "$@"; do
    chain=$file
    while base=$(sed -n "s/^extends *= *[\"']\(.*\)[\"'].*/\1/p;/^\[/q" "$file" 2>/dev/null) && [[ -n $base ]]; do
        file=$(beside "$file" "$base")
        # One that is not there, or a circle.
        [[ -f $file && =$chain= != *"=$file="* ]] || break
        chain+="=$file"
    done
    echo "$chain"
done
