#!/usr/bin/env bash
# Writes a file with these lines, unless it is there: then it has to be the same. Of two that begin a run at once one writes it.
set -euo pipefail
file=$1
shift
mkdir -p "$(dirname "$file")"
new=$(dirname "$file")/.$(basename "$file").$$
trap 'rm -f "$new"' EXIT
printf '%s\n' "$@" >"$new"
mv -n "$new" "$file"
if [[ -e $new ]] && ! cmp -s "$new" "$file"; then
    echo "$file: another make began this run with other settings" >&2
    exit 1
fi
