#!/usr/bin/env bash
# Installs what is missing, builds, runs all tests and doc tests, and prints the totals.
#
#   scripts/test.sh            everything
#   scripts/test.sh FILTER     only tests whose name contains FILTER (no doc tests)
#   CHIPMILL_ENGINES=1 scripts/test.sh     also what takes minutes, on Ray and Slurm
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/install.sh

log=$(mktemp)
trap 'rm -f "$log"' EXIT
failed=0
junit=${CARGO_TARGET_DIR:-target}/nextest/default/junit.xml
rm -f "$junit"

if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --release --locked --workspace --no-fail-fast "$@" 2>&1 | tee -a "$log" ||
        failed=1
else
    cargo test --release --locked --workspace --lib --bins --tests --no-fail-fast -- \
        --show-output "$@" 2>&1 | tee -a "$log" || failed=1
fi
if [ $# -eq 0 ]; then
    cargo test --release --locked --workspace --doc 2>&1 | tee -a "$log" || failed=1
fi

if [ $# -eq 0 ] && [ "${CHIPMILL_ENGINES:-}" = 1 ]; then
    for engine in engines/*/test.sh; do
        "$engine" 2>&1 | tee -a "$log" || failed=1
    done
fi

# A test that lacks something it needs says so and passes: nobody shall overlook it.
touch "$junit" 2>/dev/null || junit=/dev/null
grep -ho 'skipped: [^<]*' "$log" "$junit" | sort | uniq -c | sed 's/^ *\([0-9]*\) /\1 x /' || true

# Both runners' closing lines, added up.
totals=$(awk '
    /^ *Summary \[/ {
        for (i = 2; i <= NF; i++) {
            if ($i ~ /^passed/) pass += $(i - 1)
            if ($i ~ /^(failed|timed)/) fail += $(i - 1)
            if ($i ~ /^skipped/) skip += $(i - 1)
        }
    }
    /^test result:/ {
        for (i = 2; i <= NF; i++) {
            if ($i ~ /^passed/) pass += $(i - 1)
            if ($i ~ /^failed/) fail += $(i - 1)
            if ($i ~ /^ignored/) skip += $(i - 1)
        }
    }
    END { printf "%d passed, %d failed, %d skipped", pass, fail, skip }
' <(sed 's/\x1b\[[0-9;]*m//g' "$log"))
echo
echo "$totals"
exit $failed
