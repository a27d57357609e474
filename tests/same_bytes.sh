#!/usr/bin/env bash
# Whether two revisions make the same bytes: builds both, runs the same rounds with each, and compares every Parquet and
# safetensors file. For changes that must not change a result.
#
#   tests/same_bytes.sh <revision> [<revision>]     the second is the working tree if it is left out
#
# PRESET=smoke, ROUNDS=2 and SEED=0 may be set. IGNORE_PROVENANCE=1 leaves the hash of the recipe in the footers out, for changes
# to the form of the settings: these give every output another recipe. Each revision builds in a target folder that both share, so
# that third-party crates are compiled once; CARGO_TARGET_DIR names another one. Exit status: 0 same, 1 different, 2 failed.
set -euo pipefail
trap 'exit 2' ERR

[[ $# -ge 1 && $# -le 2 ]] || { sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2; }
cd "$(git rev-parse --show-toplevel)"
preset=${PRESET:-smoke} rounds=${ROUNDS:-2} seed=${SEED:-0}
work=$PWD/target/same-bytes
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$work/build}
mkdir -p "$work"

# Prints the folder with the sources of a revision; without one, the working tree.
sources() {
    [[ -n $1 ]] || { echo "$PWD"; return; }
    local commit folder
    commit=$(git rev-parse --verify --quiet "$1^{commit}") || { echo "$1: no such revision" >&2; return 2; }
    folder=$work/$commit
    [[ -d $folder ]] || git worktree add --quiet --detach "$folder" "$commit" >&2
    echo "$folder"
}

# run <sources> <name>: builds them and makes the rounds in $work/runs/<name>.
run() {
    echo "== $2: building $1" >&2
    # Cargo takes crates at the same place in two checkouts for one, and what the other left for fresh if it is newer.
    (cd "$1" && cargo clean --quiet --release --workspace && cargo build --quiet --release --locked --workspace --bins)
    rm -rf "$work/bin-$2" "$work/runs/$2"
    mkdir -p "$work/bin-$2"
    find "$CARGO_TARGET_DIR/release" -maxdepth 1 -type f -executable -exec cp {} "$work/bin-$2/" \;
    echo "== $2: $rounds rounds of $preset" >&2
    make --no-print-directory -C "$1" rounds N="$rounds" PRESET="$preset" SEED="$seed" RUNS="$work/runs" RUN="$2" \
        BIN="$work/bin-$2" BUILD=: >"$work/$2.log" 2>&1 || { tail -20 "$work/$2.log" >&2; return 2; }
}

# Prints a line for each file that has to be the same: its hash and its path in the run.
hashes() {
    local file hidden='s/a^//'
    # A hash in a footer stands there as 64 digits; what is in pages is compressed.
    [[ -z ${IGNORE_PROVENANCE-} ]] || hidden='s/[0-9a-f]\{64\}/#/g'
    cd "$work/runs/$1"
    find . -name '*.parquet' -o -name '*.safetensors' | LC_ALL=C sort | while read -r file; do
        echo "$(LC_ALL=C sed "$hidden" "$file" | sha256sum | cut -d' ' -f1)  $file"
    done
}

before=$(sources "$1")
after=$(sources "${2:-}")
run "$before" before
run "$after" after
(hashes before) >"$work/before.sha256"
(hashes after) >"$work/after.sha256"
files=$(wc -l <"$work/before.sha256")
if diff "$work/before.sha256" "$work/after.sha256" >"$work/difference"; then
    echo "same: $files files of $rounds rounds of $preset"
else
    grep '^[<>]' "$work/difference" | sort -k3 -u | sed 's/^[<>] *[0-9a-f]* */different: /'
    exit 1
fi
