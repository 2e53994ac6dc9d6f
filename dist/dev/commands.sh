# shellcheck shell=bash
# What ./cluster can be told. Sourced by ./cluster.

# -- up ----------------------------------------------------------------------------------------------------------------

cmd_up() {
    local slaves='' name i port=''
    SETTINGS=()
    while (($#)); do
        case $1 in
            --slaves) slaves=${2-}; [[ $slaves =~ ^[0-9]{1,2}$ ]] || die "--slaves needs a number, not '$slaves'"; shift 2 ;;
            --port) port=${2-}; [[ $port =~ ^[0-9]{4,5}$ && $port -ge 1200 && $port -le 65000 ]] ||
                die "--port needs a number from 1200 to 65000, not '$port'"; shift 2 ;;
            --set) [[ ${2-} =~ ^[a-z_]+\ *=\ *[^[:space:]]+$ ]] || die "--set needs KEY=VALUE, a setting of ddb.conf"
                SETTINGS+=("$2"); shift 2 ;;
            *) die "up does not know '$1'; see ./cluster help" ;;
        esac
    done
    if [[ -f $DIR/settings ]]; then
        load_settings
        [[ ! $port || $port == "$PORT" ]] ||
            die "the cluster in $DIR has port $PORT; for another one choose another --dir, or ./cluster destroy first"
    else
        PORT=${port:-8080} SLAVES=${slaves:-2}
    fi
    ((${slaves:-0} <= SLAVES)) || SLAVES=$slaves
    [[ ! $slaves || $slaves -ge $SLAVES ]] ||
        warn "there are $SLAVES slaves already; they stay (to remove one: curl -X DELETE $(front_url)/v1/pool/slaves/NAME)"

    [[ ${DDB_NO_PACKAGES-} ]] || ensure_packages "${packages_up[@]}"
    if [[ ! ${DDB_BUILD-} ]]; then build_in "$BUILD"; fi

    mkdir -p "$DIR"
    lock_cluster
    printf 'PORT=%s\nSLAVES=%s\nBUILD=%q\n' "$PORT" "$SLAVES" "$BUILD" | put_if_new "$DIR/settings" 644 || true
    for ((i = 1; i <= SLAVES + 1; i++)); do make_node "n$i"; done
    if [[ ! -e $DIR/n1/data/node.db ]]; then
        "$(program write)" init-master -c "$DIR/n1/etc/ddb.conf" || die "n1 could not be made the first master; see above"
    fi
    for name in $(node_names); do start_node "$name"; done
    fill_pool
    make_front
    start_front "$(master_url)"
    wait_until 60 all_well || { not_well; die "the cluster is not healthy after 60 s: see above, ./cluster status and ./cluster logs NODE"; }
    unlock_cluster
    show_table
}

# The active master's address, as it says itself.
master_url() {
    local name
    for name in $(node_names); do
        if answers 200 "$(node_url "$name")/health/write"; then node_url "$name"; return; fi
    done
    return 1
}

# Adds to the pool each node that is not in it: the way any new slave is added.
fill_pool() {
    local master name pool
    wait_until 30 master_url >/dev/null ||
        die "no node became the active master within 30 s; see ./cluster status and ./cluster logs n1"
    master=$(master_url)
    pool=$(curl -fsS -m 5 "$master/v1/pool") || die "the master does not tell its pool: curl $master/v1/pool"
    for name in $(node_names); do
        jq -e --arg n "$name" '[.master.name, .slaves[].name] | index($n)' <<<"$pool" >/dev/null && continue
        curl -fsS -m 10 -o /dev/null -H 'Content-Type: application/json' \
            -d "{\"name\":\"$name\",\"url\":\"$(node_url "$name")\",\"peer_url\":\"$(peers_url "$name")\"}" \
            "$master/v1/pool/slaves" || die "the master does not take $name into the pool; see ./cluster logs n1"
    done
}

# What is not well, a line each; nothing when all is.
ailments() {
    local name states code master=0 pool=''
    for name in $(node_names); do
        code=$(http_code "$(node_url "$name")/health/write")
        if [[ $code == 200 ]]; then master=$((master + 1)); continue; fi
        code=$(http_code "$(node_url "$name")/health/read")
        [[ $code == 200 ]] || printf '%s is not in sync: %s/health/read answers %s\n' "$name" "$(node_url "$name")" "$code"
    done
    ((master == 1)) || printf '%s nodes say that they are the active master; it must be one\n' "$master"
    states=$(server_states)
    [[ $(grep -c '^writes/.* UP' <<<"$states") == 1 ]] || printf 'HAProxy has no master up (backend writes)\n'
    for name in $(node_names); do
        grep -q "^any/$name " <<<"$states" || printf 'HAProxy does not have %s in its list yet\n' "$name"
        grep -Eq "^any/$name (UP|DRAIN|MAINT)" <<<"$states" || printf 'HAProxy does not see %s living\n' "$name"
        grep -q "^writes/$name UP" <<<"$states" ||
            grep -Eq "^reads/$name (UP|MAINT|DRAIN|NOLB)" <<<"$states" || printf 'HAProxy sends no reads to %s\n' "$name"
    done
    answers 200 "$(front_url)/index2.html" || printf 'the page does not come: %s/index2.html\n' "$(front_url)"
}
all_well() { [[ -z $(ailments) ]]; }
not_well() { ailments >&2; }

show_table() {
    local name url password role
    url=$(front_url)
    password=$(<"$DIR/haproxy/etc/password")
    say
    say "  page      $url/index2.html"
    say "  API       $url/v1/"
    say "  stats     $(stats_url)   user $STATS_USER, password $password"
    for name in $(node_names); do
        role=slave
        ! answers 200 "$(node_url "$name")/health/write" || role=master
        printf '  %-9s %s   %s\n' "$name" "$(node_url "$name")" "$role"
    done
    say
    say "To try:"
    say "  curl -X PUT $url/v1/db/shop"
    say "  curl $url/v1/db/shop/execute -H 'Content-Type: application/json' \\"
    say "       -d '{\"statements\": [\"create table if not exists t(id integer primary key, a)\", {\"sql\": \"insert into t(a) values (?)\", \"params\": [\"hello\"]}]}'"
    say "  curl $url/v1/db/shop/query -H 'Content-Type: application/json' -d '{\"sql\": \"select * from t\"}'"
    say
}

# -- down, destroy, start, stop, kill --------------------------------------------------------------------------------------

cmd_down() {
    local name
    (($# == 0)) || die "down takes no arguments but --dir"
    lock_cluster
    [[ ! -d $DIR/haproxy ]] || stop_front
    # Slaves first: the master then has no one to wait for.
    for name in $(node_names | tac); do stop_node "$name"; done
    unlock_cluster
}

stop_front() {
    lock_node haproxy
    end_all "$DIR/haproxy" follow-pool
    unlock_node
}

cmd_destroy() {
    local name run
    (($# == 0)) || die "destroy takes no arguments but --dir"
    lock_cluster
    for name in haproxy $(node_names); do
        [[ -d $DIR/$name ]] || continue
        kill_node "$name"
        run=$(readlink "$DIR/$name/run") || continue
        rm -rf "$run"
    done
    # Only what we made; the folder may be somebody's.
    for name in $(node_names | tac); do rm -rf "${DIR:?}/$name"; done
    rm -rf "$DIR/haproxy" "$DIR/settings" "$DIR/.lock"
    rmdir "$DIR" 2>/dev/null || true
    unlock_cluster
}

cmd_start() {
    need_node "${1-}"
    if [[ $1 == haproxy ]]; then make_front; start_front "$(master_url || true)"; else make_node "$1"; start_node "$1"; fi
}

cmd_stop() {
    need_node "${1-}"
    if [[ $1 == haproxy ]]; then stop_front; else stop_node "$1"; fi
}

cmd_kill() {
    need_node "${1-}"
    if [[ ${2-} ]]; then kill_program "$1" "$2"; else kill_node "$1"; fi
}

# -- looking ---------------------------------------------------------------------------------------------------------------

cmd_env() {
    local name nodes=''
    for name in $(node_names); do nodes+="${nodes:+ }$name=$(node_url "$name")"; done
    printf 'DDB_URL=%s\nDDB_STATS=%s\nDDB_DIR=%s\nDDB_NODES="%s"\n' "$(front_url)" "$(stats_url)" "$DIR" "$nodes"
    printf 'DDB_STATS_USER=%s\nDDB_STATS_PASSWORD_FILE=%s\nDDB_HAPROXY_SOCKET=%s\n' \
        "$STATS_USER" "$DIR/haproxy/etc/password" "$(front_socket)"
}

# Ends with 0 when all is well, else with 1.
cmd_status() {
    local name states pool master trouble
    states=$(server_states)
    pool='{}'
    if master=$(master_url); then pool=$(curl -fsS -m 3 "$master/v1/pool" 2>/dev/null) || pool='{}'; fi
    {
        printf 'NODE\tADDRESS\tPROGRAMS (PID)\tSTATE\tWAITING FOR IT\tHAPROXY READS\tWRITES\n'
        for name in $(node_names); do
            printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$name" "$(node_url "$name")" "$(programs_of "$name")" "$(state_of "$name")" \
                "$(jq -r --arg n "$name" '.slaves[]? | select(.name == $n) | .pending.operations // "?" | "\(.) operations"' <<<"$pool" | grep . || echo -)" \
                "$(awk -v s="reads/$name" '$1 == s { $1 = ""; print substr($0, 2) }' <<<"$states" | grep . || echo '?')" \
                "$(awk -v s="writes/$name" '$1 == s { $1 = ""; print substr($0, 2) }' <<<"$states" | grep . || echo '?')"
        done
        printf 'haproxy\t%s\t%s\t%s\n' "$(front_url)" "$(programs_of haproxy)" \
            "$(supervised_pid "$DIR/haproxy" >/dev/null && echo running || echo stopped)"
    } | column -t -s $'\t'
    trouble=$(ailments)
    [[ $trouble ]] || return 0
    say
    say "$trouble"
    exit 1
}

# programs_of NODE: "write 123, read 124 …"; - for one that does not run.
programs_of() {
    local service list='' pid
    supervised_pid "$DIR/$1" >/dev/null || { echo stopped; return; }
    for service in write read status nginx haproxy follow-pool; do
        [[ -d $DIR/$1/service/$service ]] || continue
        pid=$(program_pid "$DIR/$1" "$service" | head -n 1) || pid=-
        list+="${list:+, }$service ${pid:--}"
    done
    printf '%s\n' "$list"
}

# state_of NODE: what it says of itself.
state_of() {
    curl -fsS -m 2 "$(node_url "$1")/status" 2>/dev/null | jq -er '.state // "unknown"' 2>/dev/null || echo 'no answer'
}

cmd_logs() {
    local follow='' lines=200 name=''
    while (($#)); do
        case $1 in
            -f|-F|--follow) follow=1; shift ;;
            -n) [[ ${2-} =~ ^[0-9]+$ ]] || die "-n needs a number of lines"; lines=$2; shift 2 ;;
            *) name=$1; shift ;;
        esac
    done
    need_node "$name"
    # Whoever reads may stop reading.
    if [[ ! $follow ]]; then show_log "$name" "$lines" 2>/dev/null || true; return; fi
    # Each line with the program it is from; -F goes on when svlogd begins a new file.
    tail -q -n 20 -F "$DIR/$name"/log/*/current
}

# show_log NODE LINES: the end of the logs of all its programs as one, by time.
show_log() {
    local service
    for service in "$DIR/$1"/log/*/; do
        service=${service%/}
        cat "$service"/@*.[us] "$service"/current 2>/dev/null | sed "s/^\([^ ]*\) /\1 ${service##*/}: /"
    done | sort -s -k 1,1 | tail -n "$2"
    [[ ! -s $DIR/$1/log/supervisor ]] || tail -n 5 "$DIR/$1/log/supervisor" | sed 's/^/supervisor: /'
}
