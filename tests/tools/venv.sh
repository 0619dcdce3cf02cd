#!/bin/sh
# Makes .venv with this project in it, from any python3 >= 3.11 that can make one.
#
#   tests/tools/venv.sh [GROUP]      GROUP: a dependency group of pyproject.toml (dev, package, docs); none: what users get
#
# PYTHON=/path/to/python chooses the interpreter; without it the newest tried version on PATH is taken.
# It says one line about what it does, and one line about what is missing when it cannot.
set -eu
cd "$(dirname "$0")/../.."
group=${1:-}
venv=.venv

fail() {
    printf 'ferryman: %s\n' "$1" >&2
    exit 1
}

recent() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }
complete() { "$1" -c 'import ssl, venv, ensurepip' >/dev/null 2>&1; }
version() { "$1" -c 'import platform; print(platform.python_version())' 2>/dev/null || echo "no python at all"; }

find_python() {
    bare=''
    old=''
    for candidate in ${PYTHON:-python3.13 python3.12 python3.11 python3}; do
        command -v "$candidate" >/dev/null 2>&1 || continue
        if ! recent "$candidate"; then old=$candidate; continue; fi
        if complete "$candidate"; then python=$candidate; return; fi
        bare=${bare:-$candidate}
    done
    if [ -n "$bare" ]; then
        fail "$bare ($(version "$bare")) lacks venv, ensurepip or ssl: install them (Debian, Ubuntu: apt install python3-venv) or name another with PYTHON=..."
    elif [ -n "$old" ]; then
        fail "Python 3.11 or newer is needed, $old is $(version "$old"): install one (Debian, Ubuntu: apt install python3.11-venv; macOS: brew install python) or name it with PYTHON=..."
    else
        fail "no Python found${PYTHON:+ at $PYTHON}: install Python 3.11 or newer with venv (Debian, Ubuntu: apt install python3-venv; macOS: brew install python)"
    fi
}

# A .venv whose interpreter has been removed, or whose making was interrupted, is made anew.
if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    find_python
    printf 'Making .venv with Python %s; the first time takes a minute or two.\n' "$(version "$python")" >&2
    "$python" -m venv --clear "$venv" || fail "$python could not make a virtual environment in $venv"
fi

pip() { "$venv/bin/python" -m pip --disable-pip-version-check --quiet "$@"; }

if [ -z "$group" ]; then
    pip install --editable .
else
    # --group came with pip 25.1; a venv begins with whatever its Python bundles
    "$venv/bin/python" -m pip install --help | grep -q -e --group || pip install --upgrade pip
    pip install --editable . --group "$group"
fi
