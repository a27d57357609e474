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

# How often what failed is started in all.
TRIES=3
# The runs whose words in logs count: this call of the local engine, or the jobs that it submitted. A log may be of several calls.
RUNS=" call-$$ "
# A terminal that shows a line a stage has few words for people; logs have all of them.
[[ ${RUST_LOG-} != warn ]] || export RUST_LOG=info
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
    echo "exit code $code of call-$$"
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

# Each process sees one of the cards that CUDA_VISIBLE_DEVICES lists. A shard that is tried again gets another one: a card may be what
# it failed of.
run_local() {
    local shard slot card pids=() cards=()
    trap 'stop_children; exit 143' TERM INT
    IFS=, read -ra cards <<<"${CUDA_VISIBLE_DEVICES-}"
    for shard in $(indices "$1"); do
        while ! free_slot; do
            wait -n || true
        done
        card=
        ((${#cards[@]} == 0)) || card=${cards[(slot + tries) % ${#cards[@]}]}
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
    local said code held=
    command -v squeue >/dev/null || fail "job $1 was submitted, and there is no squeue here to see whether it has ended" 69
    while :; do
        said=$(squeue --noheader --jobs "$1" --format='%i %T %r' 2>&1) && code=0 || code=$?
        # Without an answer the controller may be down for a while. A job that ended long ago is not known any more.
        if ((code == 0)); then [[ -n $said ]] || break; else [[ $said != *'Invalid job id'* ]] || break; fi
        if [[ -z $held && $said == *[Hh]eld* ]]; then
            held=yes
            say "job $1 is held, and waits for \`scontrol release\`: ${said##*$'\n'}"
        fi
        sleep "$POLL"
    done
}

# Waits for a job that is remembered. Ctrl-C cancels it, and waits for its tasks to end.
attend() {
    job=$1
    trap 'scancel "$job"; wait_for "$job"; rm -f "$(remembered)"; exit 143' TERM INT
    wait_for "$job"
    trap - TERM INT
    rm -f "$(remembered)"
}

# Waits for a job with the given options of sbatch, the command of which is the rest.
run_slurm() {
    local options=() job
    mapfile -t options < <("$here/cluster.sh" options "$CLUSTER" "$stage")
    export ALPHALLM_SETUP ALPHALLM_SCRATCH
    ALPHALLM_SETUP=$("$here/cluster.sh" setup "$CLUSTER" "$stage")
    ALPHALLM_SCRATCH=$("$here/cluster.sh" value "$CLUSTER" "$stage" scratch)
    # Last, whatever the file and SBATCH_EXPORT say: the task needs what is exported here.
    job=$(sbatch --parsable --job-name="$stage" --requeue --open-mode=append --signal="B:USR1@$BEFORE_LIMIT" "${options[@]}" --export=ALL "$@") ||
        fail 'sbatch refused the job' 69
    job=${job%%;*}
    RUNS+="job-$job "
    echo "$job" >"$(remembered)"
    attend "$job"
}

read_array_size() {
    ARRAY=$(scontrol show config | sed -n 's/^MaxArraySize *= *//p') || true
    [[ $ARRAY != 0 ]] || fail 'this cluster allows no job arrays (MaxArraySize is 0): leave ENGINE out, or use ENGINE=local within a job' 78
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
    attend "$(<"$file")"
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

# The exit code that the last line of a log says, if it is of this call; empty for a task that had no time to say one.
code_in() {
    local code run
    read -r code run < <(tail -n 1 "$1" 2>/dev/null | sed -n 's/^exit code \([0-9]*\) of \(.*\)$/\1 \2/p') || true
    [[ $RUNS != *" ${run-none} "* ]] || echo "$code"
}

# Ends if a log says that trying again cannot help: arguments, data or settings are wrong, or the program is.
unless_hopeless() {
    local code
    code=$(code_in "$2")
    case $code in 64 | 65 | 70 | 78)
        tail -n 4 "$2" >&2
        fail "$1 failed, see $2" "$code"
        ;;
    esac
}

# Makes parts until none is missing.
make_parts() {
    local status shards shard left before='' tries=0
    while status=$("${command[@]}" --status "$SHARDS" --json); do
        shards=$(told missing_shards) left=$(told missing_parts)
        [[ -n $shards ]] || return 0
        if [[ $left == "$before" ]]; then
            for shard in $(indices "$shards"); do
                unless_hopeless "shard $shard" "$(log_of_shard "$shard")"
            done
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
    local log=$LOGS/$name.log tries
    for ((tries = 1; tries <= TRIES; tries++)); do
        run_slurm --output="$log" "$here/task.sh" "${command[@]}"
        [[ $(code_in "$log") != 0 ]] || return 0
        unless_hopeless 'the job' "$log"
        say "the job failed, see $log"
    done
    fail "gave up after $TRIES tries, see $log"
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
local-rows)
    take_up
    rows
    ;;
*) exec "${command[@]}" ;;
esac
