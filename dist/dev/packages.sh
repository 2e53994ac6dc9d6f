# shellcheck shell=bash
# Debian packages that ./cluster needs. Sourced by ./cluster.

# PACKAGE, or PACKAGE=COMMAND where the command may as well come from elsewhere (nginx has several packages; others
# package Node.js with npm in it).

# To build and to run.
packages_up=(
    autoconf automake make gcc=cc libc6-dev pkg-config=pkg-config
    libsqlite3-dev libfcgi-dev libcurl4-openssl-dev libjansson-dev libxxhash-dev libsodium-dev
    nginx-light=nginx haproxy=haproxy runit=runsvdir spawn-fcgi=spawn-fcgi multiwatch=multiwatch
    curl=curl jq=jq socat=socat sqlite3=sqlite3 procps=ps perl=prove
)
# For the tests besides: a browser and what drives it, real data, a linter, what make distcheck packs with.
packages_check=(chromium=chromium nodejs=node npm=npm unicode-data python3-venv shellcheck=shellcheck xz-utils=xz iproute2=ss)

as_root() {
    if ((EUID == 0)); then "$@"
    elif command -v sudo >/dev/null; then sudo "$@"
    else die "packages are missing and there is no sudo; as root, run: apt-get install --no-install-recommends ${missing[*]}"
    fi
}

# packages_missing PACKAGE[=COMMAND]…: sets the array `missing` to the packages that are to be installed.
packages_missing() {
    local p
    missing=()
    for p; do
        if [[ $p == *=* ]]; then command -v "${p#*=}" >/dev/null
        else [[ $(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null) == installed ]]
        fi || missing+=("${p%%=*}")
    done
}

# ensure_packages PACKAGE[=COMMAND]…: installs what is missing, and nothing else.
ensure_packages() {
    local missing
    command -v dpkg-query >/dev/null ||
        die "this is not Debian; install by hand what corresponds to: ${*%%=*}, and set DDB_NO_PACKAGES=1"
    packages_missing "$@"
    ((${#missing[@]})) || return 0
    say "Installing packages: ${missing[*]}"
    install_quietly || {
        # The package lists are missing or too old.
        as_root apt-get -qq update >&2 || die "apt-get update failed; see above"
        install_quietly || die "the packages could not be installed; see above"
    }
    packages_missing "$@"
    ((${#missing[@]} == 0)) || die "still missing after apt-get install: ${missing[*]}"
}

# Debian starts a daemon when its package is installed. We want the programs, not the machine's own nginx and HAProxy:
# of these two, what was not installed before is kept from starting now and at the next boot. What was, is left alone.
install_quietly() {
    local daemon new=()
    for daemon in nginx haproxy; do
        [[ " ${missing[*]} " != *" $daemon"* || -e /etc/init.d/$daemon ]] || new+=("$daemon")
    done
    if [[ -d /run/systemd/system && ${#new[@]} -gt 0 ]]; then
        as_root systemctl mask --runtime --quiet "${new[@]/%/.service}" || return
    fi
    local rc=0
    # In runlevel 1 (without systemd) invoke-rc.d starts nothing.
    as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
        apt-get install -qq -y --no-install-recommends "${missing[@]}" >&2 </dev/null || rc=$?
    for daemon in "${new[@]}"; do
        if [[ -d /run/systemd/system ]]; then
            as_root systemctl unmask --runtime --quiet "$daemon.service" || rc=$?
            as_root systemctl disable --quiet "$daemon.service" || rc=$?
        elif [[ -e /etc/init.d/$daemon ]] && command -v update-rc.d >/dev/null; then
            as_root update-rc.d "$daemon" disable >/dev/null || rc=$?
        fi
    done
    return "$rc"
}
