#!/usr/bin/env bash
# Tests the Ray driver on a cluster of three raylets on the loopback, in a network namespace of its own where
# that is permitted.
#
#   engines/ray/test.sh [CHIPMILL]           the part that takes a minute
#   CHIPMILL_ENGINES=1 engines/ray/test.sh   a comparison as well
#
# Ray is installed into a virtual environment below target/. Without Python or Ray it says so and ends well.
set -euo pipefail
cd "$(dirname "$0")/../.."
CHIPMILL=$(realpath "${1:-${CARGO_TARGET_DIR:-target}/release/chipmill}")
export CHIPMILL

skip() {
    echo "skipped: $*"
    exit 0
}
venv=${CARGO_TARGET_DIR:-target}/ray-venv
stamp=$venv/installed.txt
if ! cmp -s engines/ray/requirements.txt "$stamp"; then
    python3 -c 'import venv, ensurepip' 2>/dev/null || skip "needs Python 3 with venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install -q --disable-pip-version-check -r engines/ray/requirements.txt >&2 ||
        skip "needs Ray, which cannot be installed here"
    cp engines/ray/requirements.txt "$stamp"
fi
# Nothing is sent out, and no port of this machine is taken.
export RAY_USAGE_STATS_ENABLED=0 RAY_DEDUP_LOGS=0 PYTHONPATH=engines/ray
test=("$venv/bin/python" engines/ray/test_chipmill_ray.py)
if unshare -n true 2>/dev/null && command -v ip >/dev/null; then
    exec unshare -n bash -c 'ip link set lo up && exec "$@"' namespace "${test[@]}"
fi
exec "${test[@]}"
