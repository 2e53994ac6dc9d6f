# shellcheck shell=bash
# One node: its folder, its configuration, its services. Sourced by ./cluster.

node_port()  { printf '%s\n' $((PORT - 80 + ${1#n})); }
peers_port() { printf '%s\n' $((PORT + 20 + ${1#n})); }
node_url()   { printf 'http://127.0.0.1:%s\n' "$(node_port "$1")"; }
peers_url()  { printf 'http://127.0.0.1:%s\n' "$(peers_port "$1")"; }

# node_names: n1 n2 … in order.
node_names() {
    local i=1
    while [[ -d $DIR/n$i ]]; do printf 'n%s\n' $((i++)); done
}

# need_node NAME: fails with a message unless there is such a node.
need_node() {
    [[ ${1-} ]] || die "which node? There are: $(node_names | paste -sd ' ') haproxy"
    [[ $1 == haproxy && -d $DIR/haproxy || $1 =~ ^n[1-9][0-9]*$ && -d $DIR/$1 ]] ||
        die "there is no node '$1' in $DIR; there are: $(node_names | paste -sd ' ') haproxy"
}

# short_run FOLDER: makes FOLDER/run and prints the path to use. The path of a Unix socket has at most 107 bytes;
# HAProxy, which first binds a temporary name, needs some for that. Where FOLDER lies too deep, run is a link to a
# folder with a short name.
short_run() {
    local run=$1/run longest=write-health.sock.2147483647.tmp
    if ((${#run} + 1 + ${#longest} <= 107)); then mkdir -p "$run"; printf '%s\n' "$run"; return; fi
    # After a restart of the machine the link may point to nothing, or to what somebody else made there.
    if [[ ! -L $run || ! -O $run/. || $(stat -L -c %a "$run") != 700 ]]; then
        rm -rf "$run"
        ln -s "$(mktemp -d /tmp/ddb-XXXXXX)" "$run"
    fi
    readlink "$run"
}

# make_node NAME: folder and configuration. ddb.conf is made once and then belongs to whoever edits it; the rest is
# made anew where the templates changed.
make_node() {
    local name=$1 node=$DIR/$1 run user='' service
    mkdir -p "$node"/{data,etc,log,service,tmp}
    run=$(short_run "$node")
    if [[ ! -f $node/etc/ddb.conf ]]; then
        {
            printf '# Made by ./cluster for development. All settings are explained in dist/ddb.conf.\n'
            printf 'name = %s\ndata = %s\nrun = %s\nurl = %s\npeer_url = %s\n' \
                "$name" "$node/data" "$run" "$(node_url "$name")" "$(peers_url "$name")"
            ((${#SETTINGS[@]} == 0)) || printf '%s\n' "${SETTINGS[@]}"
        } >"$node/etc/ddb.conf.new"
        mv "$node/etc/ddb.conf.new" "$node/etc/ddb.conf"
    elif ! grep -qxF "run = $run" "$node/etc/ddb.conf"; then
        sed -i "s|^run = .*|run = $run|" "$node/etc/ddb.conf"
    fi
    # An nginx that root starts would give its workers to a user who may not open our sockets.
    ((EUID != 0)) || user='user root;'
    fill "$TOP/nginx/node.conf.in" NAME="$name" PUBLIC_LISTEN="127.0.0.1:$(node_port "$name")" \
        PEERS_LISTEN="127.0.0.1:$(peers_port "$name")" RUN="$run" DATA="$node/data" WWW="$TOP/www" TMP="$node/tmp" \
        PID="$run/nginx.pid" USER="$user" WORKERS=1 |
        put_if_new "$node/etc/nginx.conf" 644 && touch "$node/etc/nginx.changed"
    for service in write read status; do
        make_service "$node" "$service" "$TOP/dist/dev/service" "$service" "$run" "$(program "$service")" "$node/etc/ddb.conf"
    done
    make_service "$node" nginx "$TOP/dist/dev/service" exec "$(command -v nginx || echo /usr/sbin/nginx)" \
        -e stderr -p "$node" -c "$node/etc/nginx.conf"
    # A clean end of nginx lets requests finish; TERM would cut them.
    # shellcheck disable=SC2016
    printf '#!/bin/sh\nread -r pid <supervise/pid && exec kill -QUIT "$pid"\n' | put_if_new "$node/service/nginx/control/t" 755 || true
}

# Only one command at a time works on a node. The lock goes with the process.
lock_node() {
    exec 6>"$DIR/$1/.lock"
    flock -w 120 6 || die "another command works on $1 since two minutes; see: fuser $DIR/$1/.lock"
}
unlock_node() { exec 6>&-; }

# start_node NAME: returns when its nginx and its programs answer; whether it is in sync is another question.
start_node() {
    local node=$DIR/$1
    lock_node "$1"
    if ! supervised_pid "$node" >/dev/null; then
        # What is left of a node that was killed: its programs, should the kill have been cut short, and what its
        # programs said of themselves, which is no longer true.
        kill_all "$node"
        rm -f "$node"/run/*.json "$node"/run/*.sock
        port_free "$(node_port "$1")" "$1"
        port_free "$(peers_port "$1")" "$1"
        launch "$node"
    else
        refresh_node "$1"
    fi
    unlock_node
    wait_until 20 answers 200 "$(node_url "$1")/health/live" ||
        die "$1 does not answer at $(node_url "$1")/health/live. Its log ends with:
$(show_log "$1" 15 2>&1)"
}

# A running node whose programs were built anew, or whose nginx.conf changed, takes them.
refresh_node() {
    local node=$DIR/$1 service pid
    for service in write read status nginx; do
        [[ ! -f $node/service/$service/down ]] || rm "$node/service/$service/down"
        sv up "$node/service/$service" >/dev/null || true
        pid=$(program_pid "$node" "$service") || continue
        [[ $service == nginx || $(readlink "/proc/$pid/exe") != *' (deleted)' ]] || kill -TERM "$pid"
    done
    if [[ -f $node/etc/nginx.changed ]]; then
        "$(command -v nginx || echo /usr/sbin/nginx)" -q -t -e stderr -p "$node" -c "$node/etc/nginx.conf" ||
            die "$node/etc/nginx.conf is not valid (see above); it was made from nginx/node.conf.in"
        sv hup "$node/service/nginx" >/dev/null || true
    fi
    rm -f "$node/etc/nginx.changed"
}

stop_node() {
    lock_node "$1"
    # nginx first: no new requests come in, and those that did come are answered before the programs end.
    end_all "$DIR/$1" nginx
    unlock_node
}

kill_node() {
    lock_node "$1"
    kill_all "$DIR/$1"
    unlock_node
}

# kill_program NODE PROGRAM
kill_program() {
    local pid
    case $1/$2 in
        haproxy/haproxy|haproxy/follow-pool|n*/write|n*/read|n*/status|n*/nginx) ;;
        *) die "$1 has no program '$2'; a node has write, read, status and nginx" ;;
    esac
    # It may be on its way back from an earlier kill.
    wait_until 3 program_pid "$DIR/$1" "$2" >/dev/null || die "$2 of $1 does not run; ./cluster status shows what does"
    pid=$(program_pid "$DIR/$1" "$2")
    # shellcheck disable=SC2086
    kill -KILL $pid
}

# port_free PORT WHO: a clear word now instead of a strange one in a log.
port_free() {
    if (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then
        die "port $1, which $2 needs, is taken by another process (see: ss -ltnp). Stop it, or choose other ports: ./cluster up --dir DIR --port P"
    fi
}
