# shellcheck shell=bash
# Building out of the tree, in var/build, only what has changed. Sourced by ./cluster.

# build_in FOLDER [configure option…]: makes the programs there. make decides what is to be done; configure runs when
# it has not yet, or with other options than those given.
build_in() {
    local folder=$1; shift
    mkdir -p "$folder"
    # One build at a time: two checkouts of make in one folder ruin each other.
    exec 7>"$folder/.lock"
    flock 7
    if [[ ! -x $TOP/configure || $TOP/configure.ac -nt $TOP/configure ]]; then
        say "Preparing the build (autoreconf)"
        run_logged "$folder/autoreconf.log" autoreconf -i "$TOP"
    fi
    # Without options any configured folder will do: `up` after `check` does not configure again.
    if [[ ! -f $folder/Makefile ]] || { (($#)) && [[ $(cat "$folder/.options" 2>/dev/null) != "$*" ]]; }; then
        say "Configuring in ${folder#"$TOP"/}"
        (cd "$folder" && run_logged configure.log "$TOP/configure" -q "$@")
        printf '%s' "$*" >"$folder/.options"
    fi
    # Said only when there is something to do. (make -q always finds config.h older than its stamp.)
    if [[ ! -f $folder/libddb.a || $(find "$TOP"/{lib,cgi,db,Makefile.am} -newer "$folder/libddb.a" -print -quit) ]]; then
        say "Building in ${folder#"$TOP"/}"
    fi
    run_logged "$folder/make.log" make -s -j2 -C "$folder"
    exec 7>&-
}

# run_logged LOG COMMAND…: shows the end of what it printed only when it failed.
run_logged() {
    local log=$1; shift
    "$@" >"$log" 2>&1 </dev/null || { tail -n 40 "$log" >&2; die "failed: $* (all of it is in $log)"; }
}

# program NAME: the path of write, read or status in the build folder in use.
program() {
    local p
    for p in "$BUILD/cgi/$1" "$BUILD/$1"; do
        [[ ! -x $p || -d $p ]] || { printf '%s\n' "$p"; return; }
    done
    die "there is no program '$1' in $BUILD; run ./cluster up without DDB_BUILD to build it"
}
