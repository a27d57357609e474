#!/usr/bin/env bash
# On a machine with a graphics card: builds for it, compares it with the CPU, makes a round of `smoke` on it, measures it beside PyTorch,
# and puts the table into docs/PERFORMANCE.md.
#   mk/card.sh DEVICE [FLAGS of benches/compare.py]
# DEVICE is cuda, rocm, vulkan, metal or wgpu. --alone leaves PyTorch out, for those that it does not have. Settings such as
# GPU_FEATURES=autotune come from the environment. Stops at the first step that fails, and says which.
set -euo pipefail
cd "$(dirname "$0")/.."
device=$1
shift
log=target/card
mkdir -p "$log"

step() {
    local name=$1
    shift
    echo "== $name: $*"
    "$@" 2>&1 | tee "$log/$name.log" || {
        echo "card.sh: $name failed; its output is in $log/$name.log" >&2
        exit 1
    }
}

step build make build DEVICE="$device"
step check target/release/evaluate check --model data/base/policy --device "$device"
rm -rf data/runs/card
step round make round PRESET=smoke RUN=card DEVICE="$device" BUILD=:
card=$(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null | head -n 1 || true)
step bench make bench DEVICE="$device" BENCH_FLAGS="--card '${card:-a $device device}' $*"
