#!/usr/bin/env bash
# Where there is no cargo: makes FOLDER's commands call the stages of the installed `alphallm`.
#
#   mk/installed.sh FOLDER REVISION      the revision of this clone, or nothing
#
# Another version is refused. Of another revision only a warning is given: what has changed may not matter.
set -euo pipefail
folder=$1 revision=${2-}
version=$(sed -n '/^\[workspace\.package\]/,/^\[workspace\.dep/s/^version = "\(.*\)"/\1/p' Cargo.toml)

refuse() {
    printf '%s\n' "$@" >&2
    exit 69
}

alphallm=$(command -v alphallm) || refuse 'There is neither cargo nor alphallm on the PATH. Either will do:' \
    '  - Rust, installed with rustup (https://rustup.rs); make then compiles the stages' \
    "  - a wheel, pip install alphallm-$version-....whl, with the bin folder of its environment on the PATH (docs/guide/wheel.md)"

# alphallm 0.1.0 (6c74e12)
read -r _ its_version its_revision < <("$alphallm" --version) || refuse "$alphallm --version says nothing"
its_revision=${its_revision//[()]/}
[[ $its_version == "$version" ]] ||
    refuse "$alphallm is version $its_version, and this clone $version: install the wheel of $version, or check out v$its_version"
# One of them may be abbreviated more than the other; a few local changes make none another.
if [[ -n $its_revision && -n $revision && ${its_revision%-dirty} != "${revision%-dirty}"* && ${revision%-dirty} != "${its_revision%-dirty}"* ]]; then
    echo "warning: $alphallm was built from revision $its_revision, and this clone is at $revision" >&2
fi

mkdir -p "$folder"
for stage in synthesize search critique filter finetune evaluate report; do
    # Not in place: another make may be running it. What it makes is of the revision of its source.
    new=$folder/.$stage.$$
    printf '#!/bin/sh\nALPHALLM_REVISION=%q exec %q %s "$@"\n' "$its_revision" "$alphallm" "$stage" >"$new"
    chmod +x "$new"
    mv -f "$new" "$folder/$stage"
done
