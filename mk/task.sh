#!/usr/bin/env bash
# A job of Slurm, or a task of a job array: the stage, told in time that its time is up. It then goes on in a requeued job.
eval "${ALPHALLM_SETUP-}"

# sbatch --signal sends USR1 before the time limit, scancel sends TERM. At TERM a shard ends between two parts; other stages go on
# from what they saved. Who is cancelled is not requeued.
out_of_time=
trap 'out_of_time=1; kill -TERM "$stage"' USR1
trap 'kill -TERM "$stage"' TERM

"$@" &
stage=$!
# A signal ends `wait`, not the stage.
while kill -0 "$stage" 2>/dev/null; do
    wait "$stage"
    code=$?
done
echo "exit code $code"
if [[ -n $out_of_time && $code != 0 ]]; then
    scontrol requeue "${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}${SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}"
fi
exit "$code"
