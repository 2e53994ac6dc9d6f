# shellcheck shell=bash
# Starting and ending the processes of one folder of services (a node, or HAProxy). Sourced by ./cluster.
#
# Processes of a node:
#   runsvdir                        leader of a session and process group of its own; <node>/supervisor holds its pid
#     runsv NAME, svlogd            in runsvdir's group: one signal freezes or kills all supervision of the node
#       spawn-fcgi -> multiwatch    leader of the service's own group (service/NAME/group holds its number)
#         write, read, status       in the service's group; so are nginx and its workers

supervised_pid() { same_process "$1/supervisor"; }

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
        cd "$1" || exit
        umask 022
        exec env -i PATH="$PATH" HOME="${HOME:-/}" LANG=C.UTF-8 TZ=UTC \
            ${ASAN_OPTIONS:+ASAN_OPTIONS="$ASAN_OPTIONS"} ${UBSAN_OPTIONS:+UBSAN_OPTIONS="$UBSAN_OPTIONS"} \
            ${LSAN_OPTIONS:+LSAN_OPTIONS="$LSAN_OPTIONS"} ${TSAN_OPTIONS:+TSAN_OPTIONS="$TSAN_OPTIONS"} \
            setsid runsvdir "$1/service" </dev/null >>"$1/log/supervisor" 2>&1
    ) &
    local pid=$!
    disown "$pid"
    # setsid and env become runsvdir without a new pid, since none of them leads a group yet.
    wait_until 5 leads_group "$pid" || die "runsvdir did not start; see $1/log/supervisor"
    remember_process "$pid" "$1/supervisor" || die "runsvdir ended at once; see $1/log/supervisor"
}
leads_group() { [[ $(group_of "$1") == "$1" ]]; }

# service_groups FOLDER [PID]: process groups of all services, of the supervisor PID or left over from an earlier one.
service_groups() {
    local runsv child group member
    {
        if [[ ${2-} ]]; then
            for runsv in $(children_of "$2"); do
                for child in $(children_of "$runsv"); do group_of "$child"; done
            done
        fi
        for group in "$1"/service/*/group; do
            [[ -f $group ]] || continue
            for member in $(group_members "$(<"$group")"); do
                [[ $(readlink "/proc/$member/cwd") != "$(realpath "${group%/*}")" ]] || cat "$group"
            done
        done
    } 2>/dev/null | sort -un | grep -vx "${2:-none}" || true
}

# kill_all FOLDER: SIGKILL to everything, as when the power goes. The supervisors are frozen first, so that nothing is
# started between the first kill and the last.
kill_all() {
    local pid group groups
    if pid=$(supervised_pid "$1"); then kill -STOP -- "-$pid" 2>/dev/null || true; else pid=''; fi
    groups=$(service_groups "$1" "$pid")
    if [[ $pid ]]; then groups+=" $pid"; fi
    for group in $groups; do kill -KILL -- "-$group" 2>/dev/null || true; done
    for group in $groups; do
        wait_until 10 group_gone "$group" || die "process group $group does not die; see: ps -e -o pgid,pid,stat,args"
    done
    rm -f "$1"/service/*/group "$1/supervisor"
}

# end_all FOLDER SERVICE…: a clean end of everything, the named services one after the other first. What does not end
# in time is killed.
end_all() {
    local folder=$1 pid service
    shift
    if pid=$(supervised_pid "$folder"); then
        for service; do sv -w 40 down "$folder/service/$service" >/dev/null || true; done
        # runsvdir ends all the others, and ends itself after them.
        kill -HUP "$pid" 2>/dev/null || true
        wait_until 30 process_gone "$folder" || warn "${folder##*/} did not end in time; killing what is left"
    fi
    # Also finds what an earlier supervisor left.
    kill_all "$folder"
}
process_gone() { ! supervised_pid "$1" >/dev/null; }

# service_pid FOLDER SERVICE: the process that runsv started (multiwatch, nginx's master, HAProxy's master).
service_pid() {
    local pid
    supervised_pid "$1" >/dev/null && pid=$(<"$1/service/$2/supervise/pid") 2>/dev/null && [[ $pid ]] || return 1
    start_time "$pid" >/dev/null && printf '%s\n' "$pid"
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
    printf '#!/bin/sh\nexec %q\n' "$TOP/dist/dev/reap" | put_if_new "$s/finish" 755 || true
    { printf '#!/bin/sh\nexec 2>&1 </dev/null\nexec chpst -P'; printf ' %q' "$@"; echo; } | put_if_new "$s/run" 755 || true
}
