#!/usr/bin/env bash
# Checks training on a GPU against reference values and PyTorch, measures it, and prints one table.
#
#   scripts/gpu-check.sh GOLDEN                        every part, on the GPU if there is one
#   scripts/gpu-check.sh GOLDEN --part losses          one part alone (may be given more than once)
#   scripts/gpu-check.sh GOLDEN --device cpu --short   the half that needs no GPU, in small
#
# GOLDEN is the folder of reference vectors. Parts, each under ten minutes: losses, steps, speed, start,
# memory, loader. Without a GPU the same work is done small on the CPU, and what only a GPU can tell is named
# as skipped. Exit codes: 0 all well; 1 a check failed; 2 it could not be run.
#
# The program is target/release/chipmill (--chipmill PATH), built with `--features train,cuda` for a GPU (see
# scripts/build-cuda.sh); the tests of the golden vectors are built by cargo, or named with --golden-test PATH.
# PyTorch comes from benches/peers/requirements-train.txt, or from --python PATH.
set -euo pipefail
cd "$(dirname "$0")/.."
case "${1:-}" in
-h | --help | "") sed -n '2,16s/^# \{0,1\}//p' "$0" && exit 0 ;;
esac
command -v python3 >/dev/null 2>&1 || {
    echo "error: python3 is not on PATH: install Python 3.11 or newer, then start again" >&2
    exit 2
}
exec python3 benches/peers/gpu_check.py "$@"
