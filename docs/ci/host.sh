#!/bin/sh
# SPDX-License-Identifier: MIT
# A Debian or Ubuntu host, as an ordinary user: run it in the project that is tested. Root installed
# the packages before: gcc make meson libxen-dev python3-pytest, and what gntsim's source says in
# tools/packages.txt. GNTSIM_SOURCE: a checkout of gntsim (default: ../gntsim).
set -eu
prefix=${XDG_CACHE_HOME:-$HOME/.cache}/gntsim-ci
[ -x "$prefix/bin/gntsim" ] || "${GNTSIM_SOURCE:-../gntsim}/tools/install" --prefix "$prefix"
PATH=$prefix/bin:$PATH
export PATH

gntsim doctor || true       # says which way the tests will go, and what would allow the other one
make
make check
