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

# One shard. A signal is for the stage; this waits for it.
shard() {
    local stage code
    trap 'kill "$stage" 2>/dev/null' TERM
    "${command[@]}" --shard "$1/$SHARDS" &
    stage=$!
    while kill -0 "$stage" 2>/dev/null; do
        wait "$stage" || true
    done
    wait "$stage" && code=0 || code=$?
    echo "exit code $code"
}

run_local() {
    local shard log
    trap 'stop_children; exit 143' TERM INT
    for shard in $(indices "$1"); do
        while (($(jobs -pr | wc -l) >= JOBS)); do
            wait -n || true
        done
        log=$LOGS/$name-$shard.log
        shard "$shard" >>"$log" 2>&1 &
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

check_array() {
    local most
    most=$(scontrol show config | sed -n 's/^MaxArraySize *= *//p')
    [[ -n $most ]] || fail 'slurmctld does not answer: `scontrol show config` says nothing of MaxArraySize' 69
    ((SHARDS <= most)) || fail "SHARDS=$SHARDS: this cluster's job arrays have at most $most tasks (MaxArraySize)" 64
}

run_array() {
    local limit
    limit=$("$here/cluster.sh" value "$CLUSTER" "$stage" at_once)
    run_slurm --array="$1${limit:+%$limit}" --output="$LOGS/$name-%a.log" "$here/task.sh" "${command[@]}" --shard "$SHARDS"
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
    slurm) run_array "$1" ;;
    esac
}

# What --status says of a key.
told() { sed -n "s/.*\"$1\": *\"\\{0,1\\}\\([0-9,-]*\\).*/\\1/p" <<<"$status"; }

# Ends if a shard says that trying again cannot help: its arguments, data or settings are wrong, or the program is.
unless_hopeless() {
    local shard log code
    for shard in $(indices "$1"); do
        log=$LOGS/$name-$shard.log
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
    check_array
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
