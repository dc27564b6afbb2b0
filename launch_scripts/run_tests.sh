#!/usr/bin/env bash
# Runs the tests of a clone.
# Needs Linux and Python >= 3.11; no GPU (tests that need one are skipped), no compiler, no account.
#
# Usage: bash launch_scripts/run_tests.sh [PYTEST_ARGUMENT...]
#        bash launch_scripts/run_tests.sh tests/unit -k subset
#
# Installs dist-stilts with its development tools once into a virtual environment of its own, then runs pytest in the
# clone. Ends with pytest's exit code, or with 124 when the tests take longer than an hour.
#
#   DIST_STILTS_VENV   the environment's folder (default: .venv in the clone). An environment that already has a
#                      torch >= 2.11 keeps it.

set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib_venv.sh"
help_if_asked "$0" "$@"

ensure_venv dev
cd "$repo"
# One thread a process: the tests start several ranks at once, and idle threads that spin slow each other down.
# timeout is the last resort against a hung rank; pytest's own limit for each test is in setup.cfg.
export OMP_NUM_THREADS=1
# Python keeps what it compiles, so that the many short processes do not all compile the package.
unset PYTHONDONTWRITEBYTECODE
# The whole suite is shared by two workers; tests/conftest.py says which tests stay in turn.
if [[ $# -eq 0 ]]; then set -- --numprocesses 2 --dist loadscope --no-loadscope-reorder --durations 25; fi
exec timeout --verbose --kill-after=30s 60m "$venv/bin/python" -m pytest "$@"
