# What stages took, from the file `times` of a run's logs: a line for each, the output and its time. To be sourced.

# time_of TIMES OUTPUT: how long a stage took when it last made this output; empty if that is not known.
time_of() { [[ ! -e $1 ]] || awk -v output="$2" '$1 == output { time = $2 } END { print time }' "$1"; }

# time_before TIMES OUTPUT: how long it took in the round before; empty in the first round, whose stages have none before them.
time_before() {
    local round
    round=$(sed -nE 's/.*round-0*([0-9]+).*/\1/p' <<<"$2")
    ((${round:-0} <= 1)) || time_of "$1" "$(sed "s/round-[0-9]*/$(printf round-%02d $((round - 1)))/" <<<"$2")"
}
