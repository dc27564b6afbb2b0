#!/usr/bin/env bash
# All GPUs of one host (or two processes without a GPU), through the deepspeed launcher.
#
# Usage: bash launch_scripts/one_node.sh RECIPE [KEY=VALUE...]
#        RANKS=4 bash launch_scripts/one_node.sh xstilts_large out=/data/runs
#
# `dist-stilts run RECIPE` does the same in one command, sees to the end of every process and prints the table; this
# script shows the pieces. The same command again continues from the last checkpoint.
#
#   RANKS   processes (default: one per GPU, or 2)

set -euo pipefail
[[ $# -gt 0 && "$1" != -h && "$1" != --help ]] || { sed -n '2,/^$/s/^# \{0,1\}//p' "$0"; exit 0; }

gpus="$(nvidia-smi --list-gpus 2>/dev/null | wc -l || true)"
ranks="${RANKS:-$((gpus > 0 ? gpus : 2))}"
if [[ ! "$ranks" =~ ^[1-9][0-9]*$ ]]; then
    echo "error: RANKS='$ranks'. Give a number of processes, 1 or more" >&2
    exit 2
fi
export PYTHONSAFEPATH=1 # nothing is imported from the current folder
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-$(($(nproc) > ranks ? $(nproc) / ranks : 1))}"
((gpus > 0)) || export DS_ACCELERATOR=cpu # else the launcher looks for GPUs

python -m dist_stilts prepare "$@" # once, by one process: ranks do not tokenise
port="$(python -c 'from dist_stilts.parallel.network import free_port; print(free_port())')"
deepspeed --num_gpus "$ranks" --master_port "$port" --no_local_rank --module dist_stilts train "$@" --phase all
