#!/usr/bin/env bash
# Reads the resources of a stage from cluster.toml: those of [all], and over them those of the stage's own section.
#
#   mk/cluster.sh options cluster.toml search         options of sbatch, one a line
#   mk/cluster.sh setup cluster.toml search           the shell commands before the stage
#   mk/cluster.sh value cluster.toml search at_once   one value, empty if there is none
#
# The file is TOML of a plain kind: sections, keys, strings on one line, whole numbers, and `true` for an option without a value.
set -euo pipefail
what=$1 file=$2 stage=$3 key=${4-}
[[ -r $file ]] || { echo "CLUSTER=$file: there is no such file; docs/guide/cluster.md has an example" >&2; exit 64; }

exec awk -v what="$what" -v stage="$stage" -v key="$key" -v file="$file" '
function refuse(problem) {
    printf "%s: line %d: %s: %s\n", file, NR, problem, $0 > "/dev/stderr"
    refused = 1
    exit 78
}
function bare(text) {
    gsub(/^[ \t]+|[ \t]+$/, "", text)
    return text
}
/^[ \t]*(#|$)/ { next }
/^[ \t]*\[[a-z]+\][ \t]*(#.*)?$/ {
    section = $0
    gsub(/^[ \t]*\[|\].*$/, "", section)
    if (section !~ /^(all|synthesize|search|critique|filter|finetune|evaluate)$/) refuse("there is no such stage")
    next
}
/^[ \t]*[A-Za-z_-]+[ \t]*=/ {
    if (section == "") refuse("it belongs into a section, such as [all]")
    name = bare(substr($0, 1, index($0, "=") - 1))
    value = bare(substr($0, index($0, "=") + 1))
    if (value ~ /^"[^"]*"([ \t]*#.*)?$/) {
        sub(/^"/, "", value)
        sub(/".*$/, "", value)
    } else if (value ~ /^\047[^\047]*\047([ \t]*#.*)?$/) {
        sub(/^\047/, "", value)
        sub(/\047.*$/, "", value)
    } else if (value ~ /^true([ \t]*#.*)?$/) {
        flags[name]
    } else if (value ~ /^[0-9]+([ \t]*#.*)?$/) {
        sub(/[ \t]*#.*$/, "", value)
    } else {
        refuse("a value is a number, true, or a text in quotes on one line")
    }
    if (section == "all" || section == stage) {
        if (!(name in values)) names[++count] = name
        values[name] = value
        if (value !~ /^true/) delete flags[name]
    }
    next
}
{ refuse("this is neither a section nor a value") }
END {
    if (refused) exit 78
    if (what == "value") print values[key]
    if (what == "setup") print values["setup"]
    if (what == "options")
        for (i = 1; i <= count; i++)
            if (names[i] != "setup" && names[i] != "at_once" && names[i] != "scratch") print "--" names[i] (names[i] in flags ? "" : "=" values[names[i]])
}' "$file"
