#!/usr/bin/env bash
# One host or several, through torchrun, which restarts all ranks from the last checkpoint when one fails.
#
# Usage: bash launch_scripts/torchrun.sh RECIPE [KEY=VALUE...]                          one host
#        NODES=2 MASTER_ADDR=node1 bash launch_scripts/torchrun.sh RECIPE [KEY=VALUE...]   the same on both hosts
#        NODES=1:4 MASTER_ADDR=node1 bash launch_scripts/torchrun.sh ...                   elastic: 1 to 4 hosts
#
# Start it on every host; all need the same folder with runs below it. Hosts that join or leave an elastic job restart
# it from the last checkpoint at its new size.
#
#   NODES         hosts, or LEAST:MOST (default: 1)
#   RANKS         processes on this host (default: one per GPU, or 2)
#   MASTER_ADDR   the host where hosts meet; needed for several
#   MASTER_PORT   there (default: 29400)
#   JOB           a name, the same on all hosts (default: dist-stilts)
#   RESTARTS      times to start again (default: 3)

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
# Ranks that start again must not read the addresses that the dead ones have left.
export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1

if [[ "${NODES:-1}" == 1 ]]; then
    meeting=(--standalone)
elif [[ ! "$NODES" =~ ^[1-9][0-9]*(:[1-9][0-9]*)?$ ]]; then
    echo "error: NODES='$NODES'. Give a number of hosts, or LEAST:MOST" >&2
    exit 2
elif [[ -z "${MASTER_ADDR:-}" ]]; then
    echo "error: several hosts need MASTER_ADDR, the host where they meet" >&2
    exit 2
else
    meeting=(--nnodes "$NODES" --rdzv-backend c10d --rdzv-id "${JOB:-dist-stilts}"
        --rdzv-endpoint "$MASTER_ADDR:${MASTER_PORT:-29400}")
fi

python -m dist_stilts prepare "$@" # by whichever host comes first; the others wait and find it done
exec torchrun "${meeting[@]}" --nproc-per-node "$ranks" --max-restarts "${RESTARTS:-3}" \
    -m dist_stilts train "$@" --phase all
