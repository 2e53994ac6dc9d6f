#!/bin/sh
# The page's modules that need no browser.
if ! command -v node >/dev/null 2>&1; then
	echo "1..0 # SKIP no node"
	exit 0
fi
exec node "$(dirname "$0")/page/modules.test.mjs"
