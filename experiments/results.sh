#!/usr/bin/env bash
# Rounds of several seeds, of the preset and of its arms, and all decoders; then their tables and plots.
#
#   experiments/results.sh [PRESET=tiny] [N=1] [SEEDS='0 1 2'] [ARMS='...'] [ARM_N=1] [TABLES='compare ablation fresh'] [NAME=value ...]
#
# N rounds of each seed, in runs called <preset>-seed<n>, and ARM_N rounds of each arm: all folders of the preset, or ARMS. TABLES
# are those that the preset has settings for, unless fewer are named. Rounds are measured by results.toml where the preset has one.
# The report goes to RESULTS, docs/results/<preset>. Does what `make results` does.
source "$(dirname "$0")/common.sh" "$@"

existing_tables() {
    for table in compare ablation fresh; do
        [[ ! -e $P/$table.toml ]] || echo "$table"
    done
}
existing_arms() { find -L "$P" -mindepth 1 -maxdepth 1 -type d -printf '%f\n' | sort; }

read -ra seeds <<<"${SEEDS-0 1 2}"
read -ra arms <<<"${ARMS-$(existing_arms | xargs)}"
read -ra tables <<<"${TABLES-$(existing_tables | xargs)}"
ARM_N=${ARM_N:-$N}
RESULTS=${RESULTS-docs/results/$PRESET}
if [[ -z ${MEASURED-} && -e $P/results.toml ]]; then
    export MEASURED=results
fi

has_table() { [[ " ${tables[*]} " == *" $1 "* ]]; }
seed_run() { echo "$RUNS/$PRESET-seed$1"; }

# Makes targets of a seed's run: make_seed <seed> <words of make ...>.
make_seed() {
    local seed=$1
    shift
    make_it RUN="$PRESET-seed$seed" SEED="$seed" "$@"
}

make_all() {
    local seed arm table fresh=()
    ! has_table fresh || fresh=(fresh)
    for seed in "${seeds[@]}"; do
        make_seed "$seed" ROUND="$N" all audit "${fresh[@]}"
        for arm in "${arms[@]}"; do
            make_seed "$seed" ROUND="$ARM_N" ARM="$arm" measured audit "${fresh[@]}"
        done
        for table in "${tables[@]}"; do
            [[ $table == fresh ]] || make_seed "$seed" "$table"
        done
    done
}

# The report of all rounds and arms, of their evaluations in the folders of this name: report_rounds <name> <more words ...>.
report_rounds() {
    local name=$1 seed run k arm runs=() pairs=()
    shift
    for seed in "${seeds[@]}"; do
        run=$(seed_run "$seed")
        runs+=(--run "$seed:base=$run/round-00/$name")
        for k in $(seq "$N"); do
            runs+=(--run "$seed:control $k=$run/round-$(printf %02d "$k")/control-$name")
            runs+=(--run "$seed:round $k=$run/round-$(printf %02d "$k")/$name")
        done
        for k in $(seq "$ARM_N"); do
            for arm in "${arms[@]}"; do
                runs+=(--run "$seed:$arm $k=$run/$arm/round-$(printf %02d "$k")/$name")
            done
        done
    done
    for k in $(seq "$N"); do
        pairs+=(--pair "round $k=control $k" --pair "round $k=base")
    done
    for k in $(seq "$ARM_N"); do
        for arm in "${arms[@]}"; do
            pairs+=(--pair "round $k=$arm $k" --pair "$arm $k=base")
        done
    done
    run "$BIN/evaluate" report "${runs[@]}" "${pairs[@]}" "$@"
}

# The report of evaluations of the policies of round OF on the split ON: report_of <label=folder ...> -- <more words ...>.
report_of() {
    local seed table runs=() tables=()
    while [[ $1 != -- ]]; do
        tables+=("$1")
        shift
    done
    for seed in "${seeds[@]}"; do
        for table in "${tables[@]}"; do
            runs+=(--run "$seed:${table%%=*}=$(seed_run "$seed")/round-$(printf %02d "$OF")/${table#*=}-$ON")
        done
    done
    run "$BIN/evaluate" report "${runs[@]}" "${@:2}"
}

make_all
folders=()
for seed in "${seeds[@]}"; do
    folders+=(--folder "$seed=$(seed_run "$seed")")
done
report_rounds evaluation "${folders[@]}" --out "$RESULTS"
! has_table fresh || report_rounds fresh --out "$RESULTS/fresh"
for table in "${tables[@]}"; do
    [[ $table == fresh ]] || report_of "round $OF=$table" -- --out "$RESULTS/$table"
done
if has_table ablation; then
    report_of 'with both=with-both' 'without tool=without-tool' 'without options=without-options' 'without both=without-both' -- \
        --pair 'with both=without tool' --pair 'with both=without options' --pair 'with both=without both' --out "$RESULTS/parts"
fi
