# shellcheck shell=bash
# What all parts of ./cluster use: messages, waiting, files, processes. Sourced, never run.

say() { printf '%s\n' "$*"; }
warn() { printf 'cluster: %s\n' "$*" >&2; }
# die WHAT-HAPPENED-AND-WHAT-TO-DO
die() { warn "$*"; exit 1; }

# wait_until SECONDS COMMAND…: runs the command until it succeeds. Fails when the time is over. The pauses grow from 20 ms
# to 250 ms, so that waiting takes no time from what is waited for.
wait_until() {
    local end=$((SECONDS + $1)) pause=20
    shift
    until "$@"; do
        ((SECONDS < end)) || return 1
        sleep "0.$(printf '%03d' "$pause")"
        ((pause >= 250)) || pause=$((pause * 5 / 4 + 1))
    done
}

# put_if_new FILE MODE: standard input becomes FILE, in one step, if its content differs. Succeeds only when it did.
put_if_new() {
    local tmp=$1.new
    cat >"$tmp"
    chmod "$2" "$tmp"
    if cmp -s "$tmp" "$1" 2>/dev/null; then rm -f "$tmp"; return 1; fi
    mv "$tmp" "$1"
}

# fill TEMPLATE NAME=VALUE…: the template with each @NAME@ replaced, but in comments at the start of a line, on
# standard output.
fill() {
    local line pair template=$1
    shift
    while IFS= read -r line; do
        [[ $line == \#* || $line != *@* ]] || for pair; do line=${line//"@${pair%%=*}@"/"${pair#*=}"}; done
        printf '%s\n' "$line"
    done <"$template"
}

# http_code URL: the status of a GET, 000 when there was none.
http_code() { curl -s -o /dev/null -m 2 -w '%{http_code}' "$1" || true; }
answers() { [[ $(http_code "$2") == "$1" ]]; }

# -- processes -----------------------------------------------------------------------------------------------------------
# No pid files: a number may have been given to another process since. Whose a process is shows the folder in which it
# works, which it inherits from its supervisor and keeps.

# pids_in FOLDER: the processes that work in FOLDER or below it and have no terminal (a shell in which somebody has
# changed to it has one).
pids_in() {
    local pid stat terminal
    # find complains about processes that end while it looks.
    { find /proc -maxdepth 2 -name cwd \( -lname "$1" -o -lname "$1/*" \) -printf '%h\n' 2>/dev/null || true; } |
        while IFS=/ read -r _ _ pid; do
            read -r stat 2>/dev/null <"/proc/$pid/stat" || continue
            # Behind the name in parentheses: state, parent, group, session, terminal.
            read -r _ _ _ _ terminal _ <<<"${stat##*) }"
            [[ $terminal != 0 ]] || printf '%s\n' "$pid"
        done
}

children_of() { ps -e -o ppid=,stat=,pid= | awk -v p="$1" '$1 == p && $2 !~ /^Z/ { print $3 }'; }
