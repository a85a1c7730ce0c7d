#!/usr/bin/env bash
# Checks the two libraries with the oldest Rust that they promise to work with.
# The version stands in the libraries' Cargo.toml; that the README agrees is checked.
#
# The compiler comes from rustup if it has that version, else, on a Debian-like
# machine and as root, from Debian trixie, whose own Rust is 1.85: a small root
# folder in the user's cache, made once and shared by every clone.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

msrv=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' crates/pipewright/Cargo.toml)
core_msrv=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' crates/pipewright-core/Cargo.toml)
[ "$msrv" = "$core_msrv" ] || { echo "the libraries promise different versions: $msrv, $core_msrv"; exit 1; }

grep -q "need Rust $msrv\." README.md || { echo "README.md promises another version than $msrv"; exit 1; }

check=(cargo check --locked --all-features -p pipewright -p pipewright-core)
. scripts/debian-root.sh

if command -v rustup >/dev/null && rustup toolchain list | grep -q "^$msrv"; then
    rustup run "$msrv" "${check[@]}" --target-dir target/msrv
    exit
fi

if ! can_make_debian_root; then
    echo "SKIPPED: no Rust $msrv at hand (rustup toolchain install $msrv)"
    exit
fi
debian_root cargo

# The sources of the dependencies come from here, so nothing is downloaded there.
cargo fetch --locked
found=$(chroot "$root" rustc --version)
case $found in
    "rustc $msrv"*) echo "$found" ;;
    *) echo "expected Rust $msrv in $root, found: $found"; exit 1 ;;
esac
project=$PWD
cargo_home=${CARGO_HOME:-$HOME/.cargo}
export root project cargo_home
unshare --mount bash -euc '
    mkdir -p "$root/project" "$root/cargo-home" "$root/target"
    mount --rbind "$project" "$root/project"
    mount --rbind "$cargo_home" "$root/cargo-home"
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    cd "$root/project"
    CARGO_HOME=/cargo-home CARGO_TARGET_DIR=/target exec chroot "$root" /bin/sh -c \
        "cd /project && $0" ' "${check[*]} --offline"
