#!/usr/bin/env bash
# Takes a fresh clone to a trained and evaluated model and a first table of results.
# Needs Linux and Python >= 3.11; no GPU, no compiler, no account.
#
# Usage: bash launch_scripts/quickstart.sh [ARGUMENT...]
#
# Installs dist-stilts once into a virtual environment of its own, then runs `dist-stilts run quickstart ARGUMENT...`.
# The arguments are dotted overrides of the recipe and the options of `dist-stilts run`; results go below the current
# folder.
#
#   DIST_STILTS_VENV   the environment's folder (default: .venv in the clone). An environment that already has a
#                      torch >= 2.11 keeps it.

set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib_venv.sh"
help_if_asked "$0" "$@"

ensure_venv ""
exec "$venv/bin/dist-stilts" run quickstart "$@"
