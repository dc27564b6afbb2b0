#!/usr/bin/env bash
# One host or several, through mpirun (Open MPI; for MPICH and Intel MPI, see the last lines).
#
# Usage: RANKS=8 bash launch_scripts/mpirun.sh RECIPE [KEY=VALUE...]
#        RANKS=16 HOSTFILE=hosts bash launch_scripts/mpirun.sh RECIPE [KEY=VALUE...]
#
# MPI starts the ranks and agrees on where they meet, by mpi4py; all else goes over NCCL or gloo. To stop and save,
# send SIGUSR1 to mpirun, which passes it on; SIGTERM gives the ranks one second. The same command again continues from
# the last checkpoint.
#
#   RANKS      processes in all (default: one per GPU of this host, or 2)
#   HOSTFILE   lines `NAME slots=GPUS` (default: this host alone)
#   MPI_ARGS   more of mpirun's, such as `--mca btl_tcp_if_include eth1`

set -euo pipefail
[[ $# -gt 0 && "$1" != -h && "$1" != --help ]] || { sed -n '2,/^$/s/^# \{0,1\}//p' "$0"; exit 0; }

gpus="$(nvidia-smi --list-gpus 2>/dev/null | wc -l || true)"
ranks="${RANKS:-$((gpus > 0 ? gpus : 2))}"
if [[ ! "$ranks" =~ ^[1-9][0-9]*$ ]]; then
    echo "error: RANKS='$ranks'. Give a number of processes, 1 or more" >&2
    exit 2
fi
export PYTHONSAFEPATH=1 # nothing is imported from the current folder
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
read -ra more <<<"${MPI_ARGS:-}"
# On one host, processes may be more than cores.
where=(--oversubscribe)
if [[ -n "${HOSTFILE:-}" ]]; then
    where=(--hostfile "$HOSTFILE")
    if [[ ! -r "$HOSTFILE" ]]; then
        echo "error: $HOSTFILE: cannot be read. Name a hostfile, or unset HOSTFILE" >&2
        exit 2
    fi
fi

python -m dist_stilts prepare "$@" # once, by one process: ranks do not tokenise
# --bind-to none: a rank's threads would else share one core. -x: what the ranks on other hosts need to see.
exec mpirun -np "$ranks" "${where[@]}" --bind-to none -x PATH -x OMP_NUM_THREADS -x PYTHONSAFEPATH \
    "${more[@]}" python -m dist_stilts train "$@" --phase all
# MPICH, Intel MPI: mpiexec -n "$ranks" -f "$HOSTFILE" python -m dist_stilts train "$@" --phase all
