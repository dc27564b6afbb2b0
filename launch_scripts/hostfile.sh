#!/usr/bin/env bash
# Several hosts, through the deepspeed launcher: ssh (pdsh) to each host of a hostfile.
#
# Usage: HOSTFILE=hosts bash launch_scripts/hostfile.sh RECIPE [KEY=VALUE...]
#
# Needs on every host: the same folder (a shared disk) with runs below it, the same environment at the same path, ssh
# without a password, pdsh on this one. `dist-stilts preflight --hostfile hosts` checks all of that in a minute.
# Variables reach the other hosts through ./.deepspeed_env only: see env.example. The same command again continues from
# the last checkpoint.
#
#   HOSTFILE       lines `NAME slots=GPUS` (default: hostfile; see hostfile.example)
#   MASTER_ADDR    address of the first host (default: the first that `hostname -I` gives there)
#   MASTER_PORT    default: a port that is free here

set -euo pipefail
[[ $# -gt 0 && "$1" != -h && "$1" != --help ]] || { sed -n '2,/^$/s/^# \{0,1\}//p' "$0"; exit 0; }

hostfile="${HOSTFILE:-hostfile}"
port="${MASTER_PORT:-$(python -c 'from dist_stilts.parallel.network import free_port; print(free_port())')}"
# A connection to a host that has died is noticed within a minute; ssh alone would wait for a quarter of an hour.
export PDSH_SSH_ARGS_APPEND="${PDSH_SSH_ARGS_APPEND:-} -o ServerAliveInterval=15 -o ServerAliveCountMax=3"

# Says what is wrong with recipe or hostfile. The launcher itself takes a hostfile that is not there for "this host alone".
python -m dist_stilts run "$@" --hostfile "$hostfile" --dry-run >/dev/null
python -m dist_stilts prepare "$@" # once, by one process: ranks do not tokenise
deepspeed --hostfile "$hostfile" ${MASTER_ADDR:+--master_addr "$MASTER_ADDR"} --master_port "$port" \
    --no_local_rank --module dist_stilts train "$@" --phase all
