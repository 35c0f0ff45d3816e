#!/bin/sh
# Prints what `uv venv --python` shall use: the path of a Python 3.12 that runs, or just "3.12",
# which uv then finds or downloads. pyenv's are looked for by path, because its `python3.12` on the
# PATH answers only where pyenv has been told to use that version.
for python in python3.12 \
    "${PYENV_ROOT:-${HOME:-/nonexistent}/.pyenv}"/versions/3.12.*/bin/python3.12 \
    /usr/bin/python3.12 /usr/local/bin/python3.12 /opt/homebrew/bin/python3.12; do
    if "$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 12))' 2>/dev/null; then
        exec "$python" -c 'import sys; print(sys.executable)'
    fi
done
echo 3.12
