# shellcheck shell=bash
# What all parts of ./cluster use: messages, waiting, files, identity of processes. Sourced, never run.

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

# -- processes: a pid alone proves nothing, it may have been given away since -----------------------------------------

# start_time PID: when the process began (clock ticks after boot); fails if there is none, or only its remains.
start_time() {
    local stat
    read -r stat 2>/dev/null <"/proc/$1/stat" || return 1
    # The name in parentheses may hold spaces: what counts comes behind the last one. Field 3 is the state.
    stat=${stat##*) }
    [[ ${stat%% *} != [ZX] ]] || return 1
    # shellcheck disable=SC2086
    set -- $stat
    printf '%s\n' "${20}"
}

# same_process FILE: prints the pid in FILE ("pid start-time boot-id") if that very process still lives.
same_process() {
    local pid start boot
    read -r pid start boot 2>/dev/null <"$1" || return 1
    [[ $boot == "$(</proc/sys/kernel/random/boot_id)" && $(start_time "$pid" || true) == "$start" ]] || return 1
    printf '%s\n' "$pid"
}

# remember_process PID FILE
remember_process() {
    local start
    start=$(start_time "$1") || return 1
    printf '%s %s %s\n' "$1" "$start" "$(</proc/sys/kernel/random/boot_id)" >"$2"
}

# group_members PGID: pids of the living members of a process group.
group_members() { ps -e -o pgid=,stat=,pid= | awk -v g="$1" '$1 == g && $2 !~ /^Z/ { print $3 }'; }
group_gone() { [[ -z $(group_members "$1") ]]; }
children_of() { ps -e -o ppid=,stat=,pid= | awk -v p="$1" '$1 == p && $2 !~ /^Z/ { print $3 }'; }
group_of() { ps -o pgid= -p "$1" | tr -d ' '; }
