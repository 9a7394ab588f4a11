#!/usr/bin/env bash
# Installs what is missing, builds chipmill, and runs the main job on data that it makes itself:
# sample -> ingest -> verify -> preview -> pretrain -> probe -> report.
#
#   scripts/demo.sh                 one seed, about two minutes once built
#   scripts/demo.sh --seeds 3       three seeds, and their median
#   scripts/demo.sh --short         a small and quick form that only shows that it works
#   scripts/demo.sh --out DIR       where everything is written (default: demo/; emptied first if
#                                   an earlier demo made it)
set -euo pipefail
cd "$(dirname "$0")/.."

out=demo seeds=1 patches=2400 steps=
while [ $# -gt 0 ]; do
    case $1 in
    --short) patches=240 steps=20 ;;
    --seeds) seeds=${2:?--seeds needs a number} && shift ;;
    --out) out=${2:?--out needs a folder} && shift ;;
    -h | --help)
        sed -n '2,10s/^# \{0,1\}//p' "$0"
        exit 0
        ;;
    *)
        echo "error: unknown option $1 (see --help)" >&2
        exit 2
        ;;
    esac
    shift
done

. scripts/install.sh
cargo build --release --locked
chipmill() { "${CARGO_TARGET_DIR:-target}/release/chipmill" "$@"; }
title() { printf '\n== %s\n' "$*"; }

if [ -e "$out" ]; then
    [ -e "$out/.chipmill-demo" ] || [ -z "$(ls -A "$out")" ] ||
        die "$out exists and no demo made it; name another folder with --out"
    rm -rf "$out"
fi
mkdir -p "$out"
: >"$out/.chipmill-demo"
store=$out/store.zarr

title "raw data: $patches synthetic patches in the layout of BigEarthNet v1.0"
chipmill sample "$out/raw" --layout v1 --patches "$patches" --seed 1
title "ingest: 12 GeoTIFFs and a JSON a patch become one Zarr store"
chipmill ingest "$out/raw/BigEarthNet-v1.0" --store "$store" \
    --metadata "$out/raw/train.csv" --metadata "$out/raw/val.csv" --metadata "$out/raw/test.csv"
title "verify: every digest and every checksum"
chipmill verify "$store"
title "preview: patches and their augmented views"
chipmill preview "$store" --preset notes --out "$out/preview.png"

for seed in $(seq 1 "$seeds"); do
    run=$out/run-$seed
    title "pretrain: weighted DCL on the CPU, without labels and without the task's patches (seed $seed)"
    chipmill pretrain --store "$store" --config configs/demo.toml --run "$run" \
        --set seed="$seed" ${steps:+--set max_steps="$steps"}
    title "probe: four classes from frozen features (seed $seed)"
    chipmill probe --run "$run" --store "$store" --task notes4
done

title "report: where everything lies, and how good the encoder is"
echo "store    $store"
echo "preview  $out/preview.png"
for run in "$out"/run-*; do echo "run      $run"; done
chipmill report "$out"/run-*
