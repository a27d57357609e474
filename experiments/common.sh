# Sourced by the scripts beside it, for their words: variables of make, as NAME=value. What make looks at, it looks at again.
# shellcheck shell=bash
# shellcheck disable=SC2034 # variables are for the script that sources this

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# What every script has, unless it is told otherwise.
PRESET=tiny
RUNS=data/runs
BIN=target/release
command -v cargo >/dev/null || BIN=target/installed
ON='test'
OF=0
N=1
ARM=

# All words, for the calls of make.
given=()
for word in "$@"; do
    case $word in
    -h | --help)
        # The comment at the head of the script.
        sed -n '2,/^[^#]/s/^# \{0,1\}//p' "experiments/${0##*/}"
        exit
        ;;
    [A-Z]*=*)
        name=${word%%=*}
        [[ $name =~ ^[A-Z_]+$ && $name != PATH ]] || { echo "$word: NAME is no variable" >&2; exit 64; }
        printf -v "$name" '%s' "${word#*=}"
        given+=("$word")
        ;;
    *)
        echo "$word is not NAME=value; see --help" >&2
        exit 64
        ;;
    esac
done
RUN=${RUN-$PRESET}
R=${R-$RUNS/$RUN}
P=${P-pipelines/$PRESET}

# make with the words that were given, and with others that come before these.
make_it() { "${MAKE:-make}" --no-print-directory "${given[@]}" "$@"; }

# Runs a command; says it instead where make only plans.
run() {
    # The first word of make's flags has those of one letter, without a dash.
    if [[ ${MAKEFLAGS-} =~ ^[A-Za-z]*n ]]; then printf '%q ' "$@" && echo; else "$@"; fi
}

# The folder of the models of a round; round 0 is that of all arms.
round_folder() {
    if (($1 == 0)); then echo "$R/round-00"; else printf '%s/round-%02d\n' "$R${ARM:+/$ARM}" "$1"; fi
}
