#!/usr/bin/env bash
# A job of Slurm, or a task of a job array: the stage, told in time that its time is up. It then goes on in the requeued job.
#
# Its last line says how the stage ended: `exit code 0 of job-17`. mk/engine.sh reads it after the job is gone.

# How often a job may run out of time. One that gets nowhere in its time would be requeued for ever.
RESTARTS=${RESTARTS-50}

finish() {
    echo "exit code $1 of job-${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}"
    exit "$1"
}

eval "${ALPHALLM_SETUP-}" || finish $?

# A scheduler limits the indices of an array: a stage with more shards has several arrays, this one from SHARDS_FROM on.
[[ -z ${SLURM_ARRAY_TASK_ID-} ]] || set -- "$@" --shard "$((SHARDS_FROM + SLURM_ARRAY_TASK_ID))/$SHARDS"
# The folder may be named by a variable that the node alone has, such as $SLURM_TMPDIR.
[[ -z ${SLURM_ARRAY_TASK_ID-} || -z ${ALPHALLM_SCRATCH-} ]] || eval "set -- \"\$@\" --scratch \"$ALPHALLM_SCRATCH\""

# sbatch --signal sends USR1 before the time limit, scancel sends TERM. At TERM a shard ends between two parts; other stages go on
# from what they saved. A task that is cancelled is not requeued.
out_of_time=
trap 'out_of_time=1; kill -TERM "$stage"' USR1
trap 'kill -TERM "$stage"' TERM

"$@" &
stage=$!
# A signal ends `wait`, not the stage. The last `wait` has the code of the stage itself.
while kill -0 "$stage" 2>/dev/null; do
    wait "$stage"
done
wait "$stage"
code=$?
if [[ -n $out_of_time && $code != 0 ]] && ((${SLURM_RESTART_COUNT:-0} < RESTARTS)); then
    scontrol requeue "${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}${SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}"
fi
finish "$code"
