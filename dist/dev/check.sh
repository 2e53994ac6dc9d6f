# shellcheck shell=bash
cmd_check() { die "not yet"; }
