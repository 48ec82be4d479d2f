#!/bin/sh
# SPDX-License-Identifier: MIT
# Go: each package's test program runs in a machine of its own. With cgo and libxengnttab both ways
# work; a program that opens /dev/xen/gntdev itself needs device files.
set -eu
exec go test -exec "gntsim run --check --" "${@:-./...}"
