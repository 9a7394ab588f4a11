# Installs what a build needs and the machine lacks. Sourced by demo.sh and test.sh.
#
# Needs: Rust >= 1.95, a C and a C++ compiler, pkg-config and GDAL's headers (>= 3.4); cargo brings
# the rest. Debian and Ubuntu packages are installed with apt;
# elsewhere the missing things are named and the script stops.

say() { printf '%s\n' "$*" >&2; }

die() {
    say "error: $*"
    exit 2
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo "$@"
    else
        die "needs root to run: $* (there is no sudo here; run it as root, then start again)"
    fi
}

missing_packages() {
    command -v cc >/dev/null 2>&1 || echo gcc
    command -v c++ >/dev/null 2>&1 || echo g++
    [ -e /usr/include/stdio.h ] || [ "$(uname -s)" != Linux ] || echo libc6-dev
    command -v pkg-config >/dev/null 2>&1 || echo pkg-config
    { command -v pkg-config >/dev/null 2>&1 && pkg-config --exists gdal; } || echo libgdal-dev
}

install_packages() {
    packages=$(missing_packages | tr '\n' ' ')
    [ -n "${packages# }" ] || return 0
    command -v apt-get >/dev/null 2>&1 ||
        die "missing: $packages (Debian's names), and there is no apt-get to install them with"
    say "installing: $packages"
    as_root apt-get update -qq || say "warning: apt-get update failed; trying with the lists at hand"
    # shellcheck disable=SC2086
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        $packages >&2 || die "apt-get could not install: $packages"
}

check_rust() {
    if ! command -v cargo >/dev/null 2>&1 && [ -x "$HOME/.cargo/bin/cargo" ]; then
        PATH="$HOME/.cargo/bin:$PATH"
        export PATH
    fi
    command -v cargo >/dev/null 2>&1 ||
        die "cargo is not on PATH: install Rust 1.95 or newer (https://rustup.rs), then start again"
    found=$(rustc --version | sed 's/^rustc \([0-9]*\.[0-9]*\).*/\1/')
    major=${found%%.*}
    minor=${found#*.}
    [ "$major" -gt 1 ] || [ "$minor" -ge 95 ] ||
        die "rustc is $found, expected 1.95 or newer: run 'rustup update stable', then start again"
}

check_rust
install_packages
