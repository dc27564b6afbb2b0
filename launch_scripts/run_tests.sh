#!/usr/bin/env bash
# Runs the tests of a clone.
# Needs Linux and Python >= 3.11; no GPU (tests that need one are skipped), no compiler, no account.
#
# Usage: bash launch_scripts/run_tests.sh [--all] [--cov] [PYTEST_ARGUMENT...]
#        bash launch_scripts/run_tests.sh                              the default tier, on two workers
#        bash launch_scripts/run_tests.sh --all                        the slow tests too
#        bash launch_scripts/run_tests.sh tests/unit -k subset         some of the default tier
#        bash launch_scripts/run_tests.sh tests/unit/test_layout.py::test_name   one by its id, slow or not
#
# Installs dist-stilts with its development tools once into a virtual environment of its own, then runs pytest in the
# clone. Ends with pytest's exit code, or with 124 when the tests take longer than two hours.
#
#   --all   also what is marked slow: two hosts, Slurm, MPI, kills by the dozen, what is cold, statistics by simulation.
#           A test that needs what the machine lacks (Slurm, root, a GPU, public data) is skipped and says why.
#   --cov   measures the branches of the package that run, in forked ranks too, and prints the table at the end. Tests
#           take about twice as long.
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
measured="" all=()
while [[ "${1:-}" == "--all" || "${1:-}" == "--cov" ]]; do
    if [[ "$1" == "--all" ]]; then all=(-m ""); else measured=1; fi
    shift
done
# The whole suite is shared by two workers; tests/conftest.py says what stays on one of them.
if [[ $# -eq 0 ]]; then set -- --numprocesses 2 --durations 25; fi
run=(timeout --verbose --kill-after=30s 120m "$venv/bin/python" -m pytest "${all[@]}" "$@")
if [[ -z "$measured" ]]; then exec "${run[@]}"; fi

# Every Python that sees the first variable measures itself; see [coverage:run] in setup.cfg.
export COVERAGE_PROCESS_START="$repo/setup.cfg" COVERAGE_FILE="$repo/.coverage"
rm -f "$COVERAGE_FILE"*
status=0
"${run[@]}" -o timeout=900 || status=$?
unset COVERAGE_PROCESS_START
"$venv/bin/coverage" combine -q
"$venv/bin/coverage" report
exit "$status"
