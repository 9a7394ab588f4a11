#!/usr/bin/env bash
# Patches per CPU-second of `chipmill ingest`: user and system time of the whole process, everything
# included, with a warm page cache.
#
#   benches/ingest.sh [-n PATCHES] [-r ROUNDS] [-f "FORM ..."] [BINARY ...]
#
# Every round runs every binary once on every form, so that binaries are compared under the same load;
# what is printed are medians over the rounds. Without a BINARY: target/release/chipmill. Forms: folder,
# tar, tar.gz, tar.zst, each with 1 and 2 threads. Needs GNU time (Debian: apt install time).
set -euo pipefail
cd "$(dirname "$0")/.."

patches=2000 rounds=5 forms="folder tar tar.gz tar.zst"
while getopts n:r:f: option; do
    case $option in
        n) patches=$OPTARG ;;
        r) rounds=$OPTARG ;;
        f) forms=$OPTARG ;;
        *) sed -n 2,11p "$0"; exit 2 ;;
    esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || set -- target/release/chipmill

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

source_of() {
    case $1 in
        folder) echo "$work/folder/BigEarthNet-S2" ;;
        *) echo "$work/$1/BigEarthNet-S2.$1" ;;
    esac
}

for form in $forms; do
    archive=()
    [ "$form" = folder ] || archive=(--archive "$form")
    "$1" sample "$work/$form" --layout v2 --patches "$patches" --seed 1 "${archive[@]}" > "$work/log"
done

# One line a run: form, threads, binary, user, system, wall, peak memory in KiB.
for _ in $(seq "$rounds"); do
    for form in $forms; do
        source=$(source_of "$form")
        find "$source" -type f -exec cat {} + | wc -c > "$work/log"
        for threads in 1 2; do
            for binary in "$@"; do
                rm -rf "$work/store"
                /usr/bin/time -f "$form $threads $binary %U %S %e %M" -a -o "$work/runs" \
                    "$binary" ingest "$source" --store "$work/store" --threads "$threads" \
                    --metadata "$(dirname "$source")/metadata.parquet" > "$work/log" 2>&1 ||
                    { cat "$work/log" >&2; exit 1; }
            done
        done
    done
done

printf '%s, %s cores, load %s, %s patches, medians of %s rounds\n\n' \
    "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" "$(nproc)" \
    "$(cut -d ' ' -f 1 /proc/loadavg)" "$patches" "$rounds"
echo "| form | threads | binary | patches/CPU-s | patches/s | peak MiB |"
echo "|---|---|---|---|---|---|"
awk -v patches="$patches" '
    function median(values, count, i, j, t) {
        for (i = 2; i <= count; i++)
            for (j = i; j > 1 && values[j] < values[j - 1]; j--) {
                t = values[j]; values[j] = values[j - 1]; values[j - 1] = t
            }
        return values[int((count + 1) / 2)]
    }
    {
        key = "| " $1 " | " $2 " | " $3 " |"
        if (!(key in count)) order[++keys] = key
        n = ++count[key]; cpu[key, n] = $4 + $5; wall[key, n] = $6; memory[key, n] = $7
    }
    END {
        for (k = 1; k <= keys; k++) {
            key = order[k]
            for (i = 1; i <= count[key]; i++) {
                c[i] = cpu[key, i]; w[i] = wall[key, i]; m[i] = memory[key, i]
            }
            n = count[key]
            printf "%s %.0f | %.0f | %.0f |\n", key, patches / median(c, n), patches / median(w, n),
                median(m, n) / 1024
        }
    }' "$work/runs"
