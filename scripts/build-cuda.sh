#!/usr/bin/env bash
# Builds chipmill for NVIDIA GPUs on a machine that cannot download the LLVM bundle of Burn's compiler.
#
#   scripts/build-cuda.sh            target/release/chipmill with the features train and cuda
#   scripts/build-cuda.sh ARGS...    another cargo command in the same environment, such as
#                                    `test --release --locked -p chipmill-train --no-default-features
#                                    --features cpu,cuda --test golden --no-run`
#
# Where the bundle can be downloaded, `cargo build --release --no-default-features --features train,cuda` is
# all that is needed. Neither way needs a CUDA toolkit or a GPU; to run, the program needs the NVIDIA driver
# (libcuda.so.1), and without one it works on `cpu`.
#
# The build script of `tracel-llvm-bundler` looks for an unpacked LLVM below the user's data folder before
# it downloads one, and takes the presence of a marker file for the proof that it is whole. This script puts
# there the static LLVM 23.1 of the Python package `mlc-llvm-static`, in a data folder of its own under
# target/, so that nothing of the user's is touched. That is a stand-in which Burn's authors do not know of:
# its checksum is pip's, not theirs.
set -euo pipefail
cd "$(dirname "$0")/.."
case "${1:-}" in
-h | --help) sed -n '2,19s/^# \{0,1\}//p' "$0" && exit 0 ;;
esac

package='mlc-llvm-static[all]==23.1.1.post0'
# The version that Cargo.lock asks for decides the folder's name.
wanted=$(sed -n '/^name = "tracel-llvm-bundler"$/{n;s/^version = "\(.*\)"$/\1/p;}' Cargo.lock)
case $wanted in
23.1.*) ;;
*)
    echo "error: Cargo.lock asks for tracel-llvm-bundler '$wanted', this script knows LLVM 23.1: change the" \
        "package in it to one of the same LLVM version" >&2
    exit 2
    ;;
esac

data=$PWD/target/llvm-data
prefix=$data/tracel/tracel-llvm-$wanted
if [ ! -e "$prefix/.tracel-llvm-installed" ]; then
    command -v python3 >/dev/null 2>&1 || {
        echo "error: python3 is not on PATH: it fetches $package" >&2
        exit 2
    }
    venv=$data/venv
    python3 -m venv --clear "$venv"
    "$venv/bin/python" -m pip install --quiet "$package"
    found=$("$venv/bin/python" -m mlc_llvm_static.config --prefix)
    [ -x "$found/bin/llvm-config" ] || {
        echo "error: $package has no llvm-config in $found/bin" >&2
        exit 2
    }
    mkdir -p "$data/tracel"
    ln -sfn "$found" "$prefix"
    touch "$prefix/.tracel-llvm-installed"
fi

[ $# -gt 0 ] || set -- build --release --locked --no-default-features --features train,cuda
XDG_DATA_HOME=$data exec cargo "$@"
