#!/usr/bin/env bash
# Runs a stage by ENGINE=local or ENGINE=slurm. Of `rows`, several processes make the parts; `whole` is one process.
#
#   ENGINE=slurm SHARDS=64 CLUSTER=cluster.toml LOGS=folder mk/engine.sh rows bin/search --config ...
#   ENGINE=local SHARDS=8 JOBS=4 LOGS=folder mk/engine.sh rows bin/search --config ...
#
# The engine knows four endings of a stage's command: --plan, --shard I/N, --status N and --merge. All else is the scheduler's.
set -euo pipefail
here=$(dirname "$0")
kind=$1
shift
command=("$@")
stage=$(basename "$1")

# The logs of a stage have the name of its output: round-01-trajectories-3.log.
output() {
    local before='' word
    for word in "${command[@]}"; do
        case $before in --out | --out-trajectories | --out-sft) echo "$word" ;; esac
        before=$word
    done
}
name=$(output)
name=${name#"${LOGS%/*}/"}
name=${name//\//-}

# The most shards that run as one job array. Slurm's engine asks for it.
ARRAY=$SHARDS

# The log of a task of an array whose first task has shard $2: round-01-trajectories-3.log, or -1001+3.log of a second array.
log_of() {
    local from=${2#0}
    echo "$LOGS/$name-${from:+$from+}$1.log"
}
log_of_shard() { log_of "$(($1 % ARRAY))" "$(($1 / ARRAY * ARRAY))"; }

# How often shards that failed are started again.
TRIES=3
# How many seconds before its time limit a job is told to end, and between two looks at a job that an earlier call submitted.
BEFORE_LIMIT=${BEFORE_LIMIT-120}
POLL=${POLL-10}

say() { echo "$stage: $*" >&2; }

fail() {
    say "$1"
    exit "${2-75}"
}

# ------------------------------------------------------------------------------------------------------------------- local
# The indices of an array specification, such as 3,7,12-15.
indices() {
    local range
    for range in ${1//,/ }; do
        seq "${range%-*}" "${range#*-}"
    done
}

stop_children() {
    local children
    mapfile -t children < <(jobs -p)
    ((${#children[@]} == 0)) && return
    say 'waiting for the shards to end their parts; again to end them at once'
    trap 'kill "${children[@]}" 2>/dev/null' TERM INT
    kill "${children[@]}" 2>/dev/null || true
    # Once more after a second signal, which ends this `wait`.
    wait || wait || true
}

# One shard, on a card if one is named. A signal is for the stage; this waits for it.
shard() {
    local stage code
    [[ -z $2 ]] || export CUDA_VISIBLE_DEVICES=$2
    trap 'kill "$stage" 2>/dev/null' TERM
    "${command[@]}" --shard "$1/$SHARDS" &
    stage=$!
    while kill -0 "$stage" 2>/dev/null; do
        wait "$stage" || true
    done
    wait "$stage" && code=0 || code=$?
    echo "exit code $code"
}

# Sets `slot` to one of JOBS slots that no process of `pids` has.
free_slot() {
    local running
    running=" $(jobs -pr | tr '\n' ' ')"
    for ((slot = 0; slot < JOBS; slot++)); do
        [[ $running == *" ${pids[slot]-none} "* ]] || return 0
    done
    return 1
}

# Each process sees one of the cards that CUDA_VISIBLE_DEVICES lists.
run_local() {
    local shard slot card pids=() cards=()
    trap 'stop_children; exit 143' TERM INT
    IFS=, read -ra cards <<<"${CUDA_VISIBLE_DEVICES-}"
    for shard in $(indices "$1"); do
        while ! free_slot; do
            wait -n || true
        done
        card=
        ((${#cards[@]} == 0)) || card=${cards[slot % ${#cards[@]}]}
        shard "$shard" "$card" >>"$(log_of_shard "$shard")" 2>&1 &
        pids[slot]=$!
    done
    wait
    trap - TERM INT
}

# ------------------------------------------------------------------------------------------------------------------- slurm
# The file that remembers the job that was submitted for this output: make may be killed while the job goes on.
remembered() { echo "$LOGS/.$name.job"; }

# `sbatch --wait` would not do: it says nothing of jobs of earlier calls, and ends when a task is requeued.
wait_for() {
    local said
    while said=$(squeue --noheader --jobs "$1" 2>&1) || [[ $said != *'Invalid job id'* ]]; do
        [[ -n $said ]] || break
        sleep "$POLL"
    done
}

# Waits for a job with the given options of sbatch, the command of which is the rest.
run_slurm() {
    local options=() job file
    file=$(remembered)
    mapfile -t options < <("$here/cluster.sh" options "$CLUSTER" "$stage")
    export ALPHALLM_SETUP
    ALPHALLM_SETUP=$("$here/cluster.sh" setup "$CLUSTER" "$stage")
    job=$(sbatch --parsable --job-name="$stage" --requeue --open-mode=append --signal="B:USR1@$BEFORE_LIMIT" "${options[@]}" "$@") ||
        fail 'sbatch refused the job' 69
    job=${job%%;*}
    JOB=$job
    echo "$job" >"$file"
    trap 'scancel "$job"; rm -f "$file"; exit 143' TERM INT
    wait_for "$job"
    trap - TERM INT
    rm -f "$file"
}

read_array_size() {
    ARRAY=$(scontrol show config | sed -n 's/^MaxArraySize *= *//p')
    [[ -n $ARRAY ]] || fail 'slurmctld does not answer: `scontrol show config` says nothing of MaxArraySize' 69
}

# The shards of a specification from number $2 on, as many as an array may have, as the indices of an array: less $2, in ranges.
window() {
    indices "$1" | awk -v from="$2" -v size="$ARRAY" '
        function put() { if (count++) printf ","; printf first < last ? first "-" last : first }
        $1 < from || $1 >= from + size { next }
        last != "" && $1 - from == last + 1 { last++; next }
        { if (last != "") put(); first = last = $1 - from }
        END { if (last != "") put() }'
}

# More shards than an array may have run as several arrays, one after another.
run_arrays() {
    local limit array
    limit=$("$here/cluster.sh" value "$CLUSTER" "$stage" at_once)
    export SHARDS SHARDS_FROM
    for ((SHARDS_FROM = 0; SHARDS_FROM < SHARDS; SHARDS_FROM += ARRAY)); do
        array=$(window "$1" "$SHARDS_FROM")
        [[ -z $array ]] || run_slurm --array="$array${limit:+%$limit}" --output="$(log_of '%a' "$SHARDS_FROM")" "$here/task.sh" "${command[@]}"
    done
}

# What an earlier call left running is not started twice.
take_up() {
    local file
    file=$(remembered)
    [[ -e $file ]] || return 0
    say "waiting for job $(<"$file"), which an earlier call submitted"
    wait_for "$(<"$file")"
    rm -f "$file"
}

# -------------------------------------------------------------------------------------------------------------------- both
run_shards() {
    case $ENGINE in
    local) run_local "$1" ;;
    slurm) run_arrays "$1" ;;
    esac
}

# What --status says of a key.
told() { sed -n "s/.*\"$1\": *\"\\{0,1\\}\\([0-9,-]*\\).*/\\1/p" <<<"$status"; }

# Ends if a shard says that trying again cannot help: its arguments, data or settings are wrong, or the program is.
unless_hopeless() {
    local shard log code
    for shard in $(indices "$1"); do
        log=$(log_of_shard "$shard")
        code=$(tail -n 1 "$log" 2>/dev/null | sed -n 's/^exit code \([0-9]*\).*/\1/p') || true
        case $code in 64 | 65 | 70 | 78)
            tail -n 4 "$log" >&2
            fail "shard $shard failed, see $log" "$code"
            ;;
        esac
    done
}

# Makes parts until none is missing.
make_parts() {
    local status shards left before='' tries=0
    while status=$("${command[@]}" --status "$SHARDS" --json); do
        shards=$(told missing_shards) left=$(told missing_parts)
        [[ -n $shards ]] || return 0
        if [[ $left == "$before" ]]; then
            unless_hopeless "$shards"
            tries=$((tries + 1))
            say "shards $shards of $SHARDS made nothing, see $LOGS/$name-*.log"
            ((tries < TRIES)) || fail "gave up after $TRIES tries: shards $shards of $SHARDS have parts to make"
        else
            tries=0
        fi
        before=$left
        run_shards "$shards"
    done
    fail 'its status cannot be told'
}

rows() {
    local code merges=0
    "${command[@]}" --plan || return
    while ((merges < TRIES)); do
        make_parts
        "${command[@]}" --merge && return
        code=$?
        # 75: a part was damaged, or two tables are of different attempts. It is missing now.
        ((code == 75)) || return "$code"
        merges=$((merges + 1))
    done
    return 75
}

whole() {
    local log code
    log=$LOGS/$name.log
    run_slurm --output="$log" "$here/task.sh" "${command[@]}"
    # The code of this job: an earlier one may have written to the same file.
    code=$(tail -n 1 "$log" 2>/dev/null | sed -n "s/^exit code \\([0-9]*\\) of job $JOB\$/\\1/p") || true
    [[ $code == 0 ]] || fail "failed, see $log" "${code:-75}"
}

mkdir -p "$LOGS"
case $ENGINE-$kind in
slurm-rows)
    read_array_size
    take_up
    rows
    ;;
slurm-whole)
    take_up
    whole
    ;;
local-rows) rows ;;
*) exec "${command[@]}" ;;
esac
