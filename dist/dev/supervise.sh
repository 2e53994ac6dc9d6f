# shellcheck shell=bash
# Starting and ending the processes of one folder of services (a node, or HAProxy). Sourced by ./cluster.
#
# Processes of a node:
#   runsvdir                        leader of a session; works in <node>/service
#     runsv NAME                    works in <node>/service/NAME
#       svlogd                      works in <node>/service/NAME/log
#       spawn-fcgi -> multiwatch    leader of a session of its own; works in <node>/service/NAME, and so do
#         write, read, status       its children; the same for nginx and its workers

# supervised_pid FOLDER: the pid of its runsvdir; fails when there is none.
supervised_pid() {
    local pid
    for pid in $(pids_in "$1/service"); do
        [[ $(readlink "/proc/$pid/exe") != */runsvdir ]] || { printf '%s\n' "$pid"; return; }
    done
    return 1
}

# launch FOLDER: starts runsvdir on FOLDER/service, unless it runs.
launch() {
    supervised_pid "$1" >/dev/null && return 0
    mkdir -p "$1/log"
    (
        # Nothing of the caller's may stay open in a daemon: a pipe would keep its reader waiting for ever, a lock
        # would never be given back.
        local fd
        for fd in /proc/"$BASHPID"/fd/*; do
            fd=${fd##*/}
            ((fd <= 2)) || eval "exec $fd>&-"
        done
        cd "$1/service" || exit
        umask 022
        exec env -i PATH="$PATH" HOME="${HOME:-/}" LANG=C.UTF-8 TZ=UTC \
            ${ASAN_OPTIONS:+ASAN_OPTIONS="$ASAN_OPTIONS"} ${UBSAN_OPTIONS:+UBSAN_OPTIONS="$UBSAN_OPTIONS"} \
            ${LSAN_OPTIONS:+LSAN_OPTIONS="$LSAN_OPTIONS"} ${TSAN_OPTIONS:+TSAN_OPTIONS="$TSAN_OPTIONS"} \
            setsid runsvdir "$1/service" </dev/null >>"$1/log/supervisor" 2>&1
    ) &
    disown
    wait_until 5 supervised_pid "$1" >/dev/null || die "runsvdir did not start; see $1/log/supervisor"
}

# kill_all FOLDER: SIGKILL to everything, as when the power goes. All are frozen first, supervisors too, so that none is
# started anew between the first kill and the last.
kill_all() {
    local pids
    pids=$(pids_in "$1/service")
    # shellcheck disable=SC2086
    [[ ! $pids ]] || kill -STOP $pids 2>/dev/null || true
    wait_until 10 none_left "$1" || die "these processes of $1 do not die: $(pids_in "$1/service" | paste -sd ' ')"
}
none_left() {
    local pids
    pids=$(pids_in "$1/service")
    [[ $pids ]] || return 0
    # shellcheck disable=SC2086
    kill -KILL $pids 2>/dev/null || true
    return 1
}

# end_all FOLDER SERVICE…: a clean end of everything, the named services one after the other first. What does not end
# in time is killed.
end_all() {
    local folder=$1 pid service late=''
    shift
    if pid=$(supervised_pid "$folder"); then
        # What somebody froze could not end.
        # shellcheck disable=SC2046
        kill -CONT $(pids_in "$folder/service") 2>/dev/null || true
        for service; do sv -w 40 down "$folder/service/$service" >/dev/null || late+=" $service"; done
        sv -w 30 down "$folder"/service/* >/dev/null || late+=" a program"
        [[ ! $late ]] || warn "of ${folder##*/} these did not end in time, and are killed:$late"
        # runsvdir takes its runsv and svlogd along.
        kill -HUP "$pid" 2>/dev/null || true
        [[ $late ]] || wait_until 5 all_gone "$folder" || true
    fi
    # Also finds what an earlier supervisor left.
    kill_all "$folder"
}
all_gone() { [[ -z $(pids_in "$1/service") ]]; }

# service_pid FOLDER SERVICE: the process that runsv started (multiwatch, nginx's master, HAProxy's master).
service_pid() {
    local pid
    pid=$(<"$1/service/$2/supervise/pid") 2>/dev/null && [[ $pid ]] || return 1
    [[ $(readlink "/proc/$pid/cwd") == "$1/service/$2" ]] && printf '%s\n' "$pid"
}

# program_pid FOLDER SERVICE: the program itself: multiwatch's child, or nginx's or HAProxy's master.
program_pid() {
    local pid
    pid=$(service_pid "$1" "$2") || return 1
    case $2 in
        write|read|status) children_of "$pid" | grep . ;;
        *) printf '%s\n' "$pid" ;;
    esac
}

# make_service FOLDER NAME COMMAND…: a service folder for runsv with its log. Changes nothing that is well.
make_service() {
    local s=$1/service/$2 folder=$1 name=$2
    shift 2
    mkdir -p "$s/log" "$s/control" "$folder/log/$name"
    # At most 6 files of 1 MB per service.
    printf 's1000000\nn5\n' | put_if_new "$folder/log/$name/config" 644 || true
    printf '#!/bin/sh\nexec svlogd -tt %q\n' "$folder/log/$name" | put_if_new "$s/log/run" 755 || true
    printf '#!/bin/sh\nexec %q "$PPID"\n' "$TOP/dist/dev/reap" | put_if_new "$s/finish" 755 || true
    { printf '#!/bin/sh\nexec 2>&1 </dev/null\nexec chpst -P'; printf ' %q' "$@"; echo; } | put_if_new "$s/run" 755 || true
}
