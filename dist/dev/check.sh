# shellcheck shell=bash
# The tests. Sourced by ./cluster.
#
# ./cluster check            everything once, in the ordinary build: what a developer runs after each change
# ./cluster check TEST…      these tests alone (files in t/, or t/unit/NAME for a C test)
# ./cluster check --full     besides: make distcheck; most of it under AddressSanitizer and UndefinedBehaviorSanitizer; the
#                            programs' threads under ThreadSanitizer; and the long loops (DDB_LONG=1)
#
# Tests have ports and folders of their own, so that two run side by side and beside a running cluster.

# What touches most of the code, memory by memory; the others are the same requests under load and faults.
tests_of_memory=(t/10-values.t t/12-cgi.t t/13-fastcgi.t t/14-rows-cgi.t t/15-api.t t/30-convergence.t t/41-acknowledged.t
    t/45-repair.t t/60-bad-input.t t/70-pool.t)

# The threads of replication, group commit and FastCGI under faults: what ThreadSanitizer is to see.
tests_of_threads=(t/15-api.t t/41-acknowledged.t t/42-sessions.t)
units_of_threads=(engine http replay)

cmd_check() {
    local full='' tests=()
    while (($#)); do
        case $1 in
            --full) full=1 ;;
            -*) die "check has no option $1; see ./cluster help" ;;
            t/unit/*) tests+=("$BUILD/${1%.t}.t") ;;
            *) tests+=("$1") ;;
        esac
        shift
    done
    [[ ! ${DDB_NO_PACKAGES-} ]] || say "DDB_NO_PACKAGES is set: tests whose packages are missing will fail or be skipped"
    [[ ${DDB_NO_PACKAGES-} ]] || ensure_packages "${packages_up[@]}" "${packages_check[@]}"
    cd "$TOP"
    if ((${#tests[@]})); then
        build_tests "$BUILD" --enable-werror
        run_tests "$BUILD" "${tests[@]}"
    elif [[ $full ]]; then
        check_full
    else
        build_tests "$BUILD" --enable-werror
        run_tests "$BUILD" "$BUILD"/t/unit/*.t t/*.t
    fi
}

# The parts of --full, the quick to fail first. All are run; one that fails fails the whole.
check_full() {
    local failed=() began=$SECONDS
    part "make distcheck" check_dist
    part "the threads, under ThreadSanitizer" check_threads
    part "the memory, under AddressSanitizer and UndefinedBehaviorSanitizer" check_memory
    part "all tests, with long loops" check_long
    say "$(((SECONDS - began) / 60)) minutes in all"
    ((${#failed[@]} == 0)) || die "failed: $(printf '%s; ' "${failed[@]}")"
}

# part TITLE FUNCTION
part() {
    local began=$SECONDS
    say "" "== $1"
    # In a shell of its own: a failure ends the part, not the whole. (As the condition of `if` it would not even end the part.)
    "$2" &
    if wait $!; then
        say "== $1: fine, $((SECONDS - began)) s"
    else
        failed+=("$1")
        say "== $1: FAILED, $((SECONDS - began)) s"
    fi
}

check_dist() {
    build_in "$BUILD" --enable-werror
    run_logged "$BUILD/distcheck.log" make -C "$BUILD" distcheck AM_DISTCHECK_CONFIGURE_FLAGS=--enable-werror
}

check_memory() {
    local folder=$TOP/var/build-memory
    build_tests "$folder" --enable-werror --enable-sanitizers=address,undefined
    export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 UBSAN_OPTIONS=print_stacktrace=1 DDB_PATIENCE=3
    run_tests "$folder" "$folder"/t/unit/*.t "${tests_of_memory[@]}"
}

check_threads() {
    local folder=$TOP/var/build-threads name units=()
    build_tests "$folder" --enable-werror --enable-sanitizers=thread
    for name in "${units_of_threads[@]}"; do units+=("$folder/t/unit/$name.t"); done
    export TSAN_OPTIONS=halt_on_error=0:second_deadlock_stack=1 DDB_PATIENCE=4
    run_tests "$folder" "${units[@]}" "${tests_of_threads[@]}"
}

check_long() {
    build_tests "$BUILD" --enable-werror
    export DDB_LONG=1
    run_tests "$BUILD" "$BUILD"/t/unit/*.t t/*.t
}

# build_tests FOLDER OPTION…: the programs and the C tests.
build_tests() {
    local folder=$1
    build_in "$@"
    run_logged "$folder/make-check.log" make -s -j2 -C "$folder" check TESTS=
}

# run_tests FOLDER TEST…: with the programs in FOLDER. The order is the given one; two at a time. What each printed is kept in
# FOLDER/logs; of the tests that failed it is shown at the end.
run_tests() {
    local folder=$1 logs=$1/logs log
    shift
    rm -rf "$logs"
    mkdir -p "$logs"
    if DDB_BUILD=$folder DDB_NO_PACKAGES=1 DDB_TEST_LOGS=$logs \
        prove -j2 --timer --exec dist/dev/run-test "$@" </dev/null; then return; fi
    for log in "$logs"/*.log; do
        if ! grep -qE '^1\.\.' "$log" || grep -qE '^not ok|^# Looks like' "$log"; then
            say "" "-- $log"
            grep -vE '^ *ok ' "$log" | tail -n 40
        fi
    done
    die "some tests failed: the ends of what they printed stand above, the whole in $logs"
}
