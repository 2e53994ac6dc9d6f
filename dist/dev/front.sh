# shellcheck shell=bash
# HAProxy of a cluster, and follow-pool beside it. Sourced by ./cluster.

STATS_USER="admin"

stats_port() { printf '%s\n' $((PORT + 324)); }
front_url()  { printf 'http://127.0.0.1:%s\n' "$PORT"; }
stats_url()  { printf 'http://127.0.0.1:%s/stats\n' "$(stats_port)"; }
front_socket() { printf '%s/admin.sock\n' "$(short_run "$DIR/haproxy")"; }
haproxy_program() { command -v haproxy || echo /usr/sbin/haproxy; }

# random_word LENGTH: letters and digits, 5.9 bits each.
random_word() { LC_ALL=C tr -dc 'A-Za-z0-9' < <(head -c 4096 /dev/urandom) | head -c "$1"; echo; }

# make_front: folder, password and template. The configuration itself is made from the pool, by start_front.
make_front() {
    local front=$DIR/haproxy socket
    mkdir -p "$front"/{etc,log,service}
    socket=$(front_socket)
    if [[ ! -s $front/etc/password ]]; then
        (
            umask 077
            random_word 20 >"$front/etc/password"
            # shellcheck disable=SC2016
            perl -e 'my ($p, $salt) = <STDIN>; chomp($p, $salt); print crypt($p, q($5$) . $salt . q($)), "\n"' \
                < <(cat "$front/etc/password"; random_word 16) >"$front/etc/password.hash"
        )
    fi
    fill "$TOP/haproxy/haproxy.cfg.in" LISTEN="127.0.0.1:$PORT" STATS_LISTEN="127.0.0.1:$(stats_port)" SOCKET="$socket" \
        LUA="$TOP/haproxy/cut.lua" \
        STATE="$front/etc/server-state" PASSWORD="$(<"$front/etc/password.hash")" |
        put_if_new "$front/etc/template" 600 || true
    make_service "$front" haproxy "$TOP/dist/dev/service" exec "$(haproxy_program)" -W -f "$front/etc/haproxy.cfg"
    # Whoever reloads (sv 2): what a sysadmin set this very second must count after it. Failing, so that runsv goes on.
    printf '#!/bin/sh\n%q --config %q --state %q --socket %q --save\nexit 1\n' "$TOP/haproxy/follow-pool" \
        "$front/etc/haproxy.cfg" "$front/etc/server-state" "$socket" | put_if_new "$front/service/haproxy/control/2" 755 || true
    make_service "$front" follow-pool "$TOP/dist/dev/service" exec "$TOP/haproxy/follow-pool" --template "$front/etc/template" \
        --config "$front/etc/haproxy.cfg" --state "$front/etc/server-state" --socket "$socket" \
        --reload "sv 2 $front/service/haproxy"
}

# start_front [URL]: URL: a node that knows the pool, to begin with. Without one, or without its answer, HAProxy begins
# with the list it had.
start_front() {
    local front=$DIR/haproxy
    lock_node haproxy
    if ! supervised_pid "$front" >/dev/null; then
        kill_all "$front"
        port_free "$PORT" HAProxy
        port_free "$(stats_port)" "HAProxy's stats page"
        { [[ ${1-} ]] && follow_once --once "$1"; } || follow_once --cold ||
            die "HAProxy has no list of servers yet: start the nodes and run ./cluster up"
        launch "$front"
    else
        # A changed template is noticed by follow-pool, which reloads.
        sv up "$front/service/haproxy" "$front/service/follow-pool" >/dev/null || true
    fi
    unlock_node
    wait_until 10 front_answers ||
        die "HAProxy does not answer at $(front_url). Its log ends with:
$(show_log haproxy 15 2>&1)"
}
front_answers() { [[ $(http_code "$(front_url)/ping") != 000 && $(http_code "$(stats_url)") == 401 ]]; }

follow_once() {
    "$TOP/haproxy/follow-pool" --template "$DIR/haproxy/etc/template" --config "$DIR/haproxy/etc/haproxy.cfg" \
        --state "$DIR/haproxy/etc/server-state" "$@"
}

# server_states: "BACKEND/NODE STATUS" of every server, as the stats page shows them; nothing when HAProxy is not there.
server_states() {
    { socat -t 2 - "UNIX-CONNECT:$(front_socket)" <<<'show stat -1 4 -1' 2>/dev/null || true; } |
        awk -F, '!/^#/ && NF > 18 { print $1 "/" $2, $18 }'
}
