#!/bin/sh
# Runs uv with the arguments given: the one that is installed if it answers and is recent enough,
# otherwise a pinned one that is put into .uv/ here.
set -eu

pinned=0.13.8
oldest=0.9.8

# True if "$1" is a uv that answers and is no older than $oldest.
usable() {
    "$1" --version 2>/dev/null | awk -v oldest="$oldest" '
        { split($2, have, /[^0-9]+/); split(oldest, need, "."); seen = ($1 == "uv") }
        END {
            for (i = 1; seen && i <= 3; i++)
                if (have[i] + 0 != need[i] + 0) exit !(have[i] + 0 > need[i] + 0)
            exit !seen
        }'
}

folder=$(cd "$(dirname "$0")/.." && pwd)
for uv in uv "${HOME:-/nonexistent}/.local/bin/uv" "$folder/.uv/bin/uv"; do
    if usable "$uv"; then
        exec "$uv" "$@"
    fi
done

for python in python3 python3.12 python3.13 python3.11 /usr/bin/python3 \
    "${PYENV_ROOT:-${HOME:-/nonexistent}/.pyenv}"/versions/3.*/bin/python3; do
    if "$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 8))' 2>/dev/null; then
        echo "Installing uv $pinned into .uv" >&2
        rm -rf "$folder/.uv"
        "$python" -m venv "$folder/.uv"
        if "$folder/.uv/bin/python" -m pip install --quiet --disable-pip-version-check "uv==$pinned"; then
            exec "$folder/.uv/bin/uv" "$@"
        fi
        echo "error: uv $pinned could not be downloaded (see above): check the network, or install uv" >&2
        exit 1
    fi
done

echo "error: neither uv nor a Python with venv is here: install uv, or on Debian and Ubuntu: apt-get install python3-venv" >&2
exit 1
