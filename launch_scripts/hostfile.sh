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

export PYTHONSAFEPATH=1 # nothing is imported from the current folder

# Not `deepspeed --hostfile` itself: it hands the arguments to the hosts' shells unquoted, as well as the folder's name.
exec python -m dist_stilts run --hostfile "${HOSTFILE:-hostfile}" ${MASTER_PORT:+--port "$MASTER_PORT"} "$@"
