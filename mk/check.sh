#!/usr/bin/env bash
# Checks what make was given, word by word as NAME=value, before make or a shell expands any of it: values become folders,
# targets and words of commands. Says what is wrong with the first that is, or `ok`.
set -euo pipefail
# Letters are those of ASCII, whatever the user's language.
export LC_ALL=C

commands=';&|<>`$'
patterns='(){}[]*?!"'"'"'\#%:'

refuse() {
    printf '%s=%s: %s\n' "$name" "$value" "$1"
    exit
}

# Whether the value has one of these characters, or more than one line.
has_any_of() {
    local at
    for ((at = 0; at < ${#1}; at++)); do
        [[ $value != *"${1:at:1}"* ]] || return 0
    done
    [[ $value == *$'\n'* ]]
}

check_name() {
    [[ $1 =~ ^[A-Za-z0-9_][A-Za-z0-9._-]*$ ]] ||
        refuse 'a name has letters, digits, ".", "_" and "-" alone, and begins with a letter or a digit'
}

check_names() { [[ $value =~ ^[A-Za-z0-9._\ -]*$ ]] || refuse 'it has to be names with a space between them'; }

check_not_empty() { [[ -n $value ]] || refuse 'give one, or leave the variable out'; }

check_number() { [[ $value =~ ^(0|[1-9][0-9]*)?$ ]] || refuse 'it has to be a number'; }

check_count() {
    check_number
    ((${#value} <= 4)) || refuse 'it is too large'
}

check_path() {
    if [[ $value == *[[:space:]]* || $value == -* ]] || has_any_of "$commands$patterns"; then
        refuse "a path here has no spaces and none of $commands $patterns, and begins with no \"-\"; a link to it will do"
    fi
}

check_address() {
    [[ -z $value ]] && return
    if [[ $value != http* && -f $value ]]; then
        check_path
    elif [[ $value == *[[:space:]]* ]] || has_any_of "$commands"'(){}*!"'"'"'\' || [[ $value != http://* && $value != https://* ]]; then
        refuse 'it has to be an address, http://host:port/v1#model, several with commas between them, or a file that has them'
    fi
}

check() {
    case $name in
    PRESET | RUN | ON | MEASURED) check_not_empty && check_name "$value" ;;
    START) [[ $value == previous || $value == base ]] || refuse 'it is previous or base' ;;
    KEPT) [[ $value == all || $value == last ]] || refuse 'it is all or last' ;;
    # One of several cards is cuda:1,2.
    DEVICE) check_not_empty && check_name "${value//[:,]/}" ;;
    ARM | KV_MEMORY) [[ -z $value ]] || check_name "$value" ;;
    TRAINER) [[ -z $value || $value == external ]] || refuse 'it is external or nothing' ;;
    SPLITS) check_not_empty && check_names ;;
    SEEDS | ARMS | TABLES | GPU_FEATURES) check_names ;;
    SEED) check_not_empty && check_number ;;
    ROUND)
        check_not_empty && check_count
        [[ $value != 0 ]] || refuse 'rounds are counted from 1; `make bootstrap` is what comes before'
        ;;
    N | OF) check_not_empty && check_count ;;
    ARM_N) check_count ;;
    ENGINE) [[ -z $value || $value == local || $value == slurm ]] || refuse 'it is local or slurm, or nothing for one process' ;;
    SHARDS | JOBS)
        check_number
        [[ -z $value || $value =~ ^[1-9][0-9]{0,5}$ ]] || refuse 'it is a number from 1 to 999999'
        ;;
    CLUSTER) check_not_empty && check_path ;;
    WORKERS | RETRAIN | SERVER_LORA | V) check_number ;;
    TRACK) [[ $value =~ ^[a-z]*(,[a-z]+)*$ ]] || refuse 'it is tensorboard, wandb, mlflow or trackio, or several with commas between them' ;;
    R | P | RUNS | BASE | BIN | RESULTS | PYTHON) check_not_empty && check_path ;;
    DATA | INIT | FAST_INIT) check_path ;;
    SERVER | SERVER_FAST) check_address ;;
    *_FLAGS) ! has_any_of "$commands" || refuse "flags have none of $commands" ;;
    esac
}

for given in "$@"; do
    name=${given%%=*} value=${given#*=}
    check
done
echo ok
