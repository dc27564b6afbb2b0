# shellcheck shell=bash
# Sourced by quickstart.sh, run_tests.sh and .ci/run: makes the clone's own virtual environment, or reuses it when it
# is complete.
#
# Promises: nothing outside that folder is installed or removed; no compiler and no root are needed; an interrupted
# installation is finished by the next call, because the stamp is written last; a torch >= 2.11 that the environment
# already sees stays as it is.
#
# ensure_venv EXTRA   installs dist-stilts (editable) with the extra "dev", or without one (""). Afterwards $repo is
#                     the clone, $venv the environment, and its programs come first on PATH.

repo="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)"
venv="${DIST_STILTS_VENV:-$repo/.venv}"
[[ "$venv" == /* ]] || venv="$PWD/$venv"

cpu_torch="torch==2.13.0"
cpu_torch_index="https://download.pytorch.org/whl/cpu"

say() { echo "$*" >&2; }

die() {
    say "error: $*"
    exit 2
}

# Prints the comment at the top of a script and ends it, when the script's first argument asks for help.
help_if_asked() {
    local script="$1" argument="${2:-}"
    if [[ "$argument" == "-h" || "$argument" == "--help" ]]; then
        sed -n '2,/^$/s/^# \{0,1\}//p' "$script"
        exit 0
    fi
}

is_recent() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

# Read from the package's metadata: importing torch takes seconds.
torch_version() { "$1" -c 'from importlib.metadata import version; print(version("torch"))' 2>/dev/null; }

has_torch() {
    local version
    version="$(torch_version "$1")" && [[ "$(printf '2.11\n%s\n' "$version" | sort -V | head -n 1)" == "2.11" ]]
}

has_gpu() { command -v nvidia-smi >/dev/null; }

# Prints the path of the first Python >= 3.11 on PATH that can make a virtual environment.
find_python() {
    local name path reason=""
    for name in python3 python3.12 python3.11 python3.13 python; do
        path="$(command -v "$name")" || continue
        if ! is_recent "$path"; then
            reason="${reason:-$path is older}"
        elif ! "$path" -c 'import ensurepip, venv' 2>/dev/null; then
            reason="$path lacks the module venv or ensurepip (Debian, Ubuntu: apt install python3-venv)"
        else
            echo "$path"
            return
        fi
    done
    die "no Python >= 3.11 that can make a virtual environment: ${reason:-no python3 is on PATH}." \
        "Install one, or put it first on PATH"
}

# Identifies what the environment was made from; a change to any of it means installing again.
venv_key() {
    { "$venv/bin/python" -VV && echo "$repo" && cat "$repo/setup.cfg" "$repo/constraints.txt"; } | sha256sum
}

stamp() { echo "$venv/installed${1:+-$1}"; }

is_complete() {
    [[ -x "$venv/bin/python" && -f "$(stamp "$1")" && "$(cat "$(stamp "$1")")" == "$(venv_key)" ]]
}

make_venv() {
    local python options=() made_here="$venv/made-by-dist-stilts"
    if is_recent "$venv/bin/python" && "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
        say "[1/3] using $venv"
        return
    fi
    if [[ -f "$made_here" ]]; then
        rm -rf "$venv"
    elif [[ -n "$(ls -A "$venv" 2>/dev/null)" ]]; then
        die "$venv is no virtual environment with Python >= 3.11 and pip." \
            "Remove it, or name another folder in DIST_STILTS_VENV"
    fi
    python="$(find_python)"
    # Images for GPUs ship a torch built for their driver and NCCL: let the environment see that one.
    if has_gpu && has_torch "$python"; then options=(--system-site-packages); fi
    say "[1/3] creating $venv with $("$python" --version)"
    mkdir -p "$venv" && touch "$made_here"
    "$python" -m venv "${options[@]}" "$venv"
}

# --use-pep517 builds in a clean environment, also with the older pips that would run setup.py in ours.
pip_install() { "$venv/bin/python" -m pip install -qq --no-input --disable-pip-version-check --use-pep517 "$@"; }

is_reachable() {
    "$venv/bin/python" -c "from urllib.request import urlopen; urlopen('$1/torch/', timeout=5)" 2>/dev/null
}

install_torch() {
    local index=()
    if has_torch "$venv/bin/python"; then
        say "[2/3] keeping torch $(torch_version "$venv/bin/python")"
    elif has_gpu; then
        say "[2/3] installing torch (CUDA)"
        pip_install "torch>=2.11"
    else
        say "[2/3] installing torch (CPU)"
        # PyPI's torch brings gigabytes of CUDA libraries, which do no harm; the small CPU build has an index of its
        # own, which some networks block. Where pip sees both it takes the CPU build: 2.13.0+cpu sorts above 2.13.0.
        if is_reachable "$cpu_torch_index"; then index=(--extra-index-url "$cpu_torch_index"); fi
        pip_install "${index[@]}" "$cpu_torch"
    fi
}

# In a subshell: the caller keeps its working directory and its environment.
install() (
    extra="$1"
    cd "$repo" || exit
    # Variables and not -c, so that what is built from source gets the pinned setuptools too (old and new pips read one
    # each); a relative path, because pip splits them at spaces.
    export PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt PIP_USER=0
    make_venv
    rm -f "$(stamp "")" "$(stamp dev)"
    install_torch
    say "[3/3] installing dist-stilts${extra:+ with what its tests need}"
    # With the torch that is there: pip would rather change it, which the machine may not bear, than fail.
    pip_install --editable ".${extra:+[$extra]}" "torch==$(torch_version "$venv/bin/python")"
    venv_key >"$(stamp "$extra")"
)

ensure_venv() {
    local extra="$1" started=$SECONDS
    if ! is_complete "$extra" && ! is_complete dev; then
        install "$extra"
        say "installation took $((SECONDS - started)) s"
    fi
    export PATH="$venv/bin:$PATH" VIRTUAL_ENV="$venv"
}
