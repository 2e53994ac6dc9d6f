# shellcheck shell=bash
# Debian packages that ./cluster needs. Sourced by ./cluster.

# To build and to run.
packages_up=(
    autoconf automake make gcc libc6-dev pkg-config
    libsqlite3-dev libfcgi-dev libcurl4-openssl-dev libjansson-dev libxxhash-dev libsodium-dev
    haproxy runit spawn-fcgi multiwatch
    curl jq socat sqlite3 procps perl
)
# For the tests besides: a browser and what drives it, real data, linters, what make distcheck packs with.
packages_check=(chromium unicode-data shellcheck xz-utils)
# Other packages of Node.js bring npm along and exclude Debian's.
command -v node >/dev/null || packages_check+=(nodejs)
command -v npm >/dev/null || packages_check+=(npm)
# nginx comes in several packages, any of which will do.
nginx_packages=(nginx nginx-light nginx-core nginx-full nginx-extras)

as_root() {
    if ((EUID == 0)); then "$@"
    elif command -v sudo >/dev/null; then sudo "$@"
    else die "packages are missing and there is no sudo; as root, run: apt-get install --no-install-recommends ${missing[*]}"
    fi
}

# installed PACKAGE
installed() { [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }

# packages_missing PACKAGE…: sets the array `missing`.
packages_missing() {
    local p
    missing=()
    for p; do installed "$p" || missing+=("$p"); done
    for p in "${nginx_packages[@]}"; do installed "$p" && return; done
    missing+=(nginx-light)
}

# ensure_packages PACKAGE…: installs what is missing, and nothing else.
ensure_packages() {
    local missing
    command -v dpkg-query >/dev/null ||
        die "this is not Debian; install by hand what corresponds to: $* nginx-light, and set DDB_NO_PACKAGES=1"
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
