#!/usr/bin/env bash
# Makes what is needed to build and run the Windows code on this machine:
#
#   1. a linker, from Debian's mingw-w64;
#   2. Rust's standard library for x86_64-pc-windows-gnu, built from Debian's copy
#      of the sources, unless the target is installed (rustup target add);
#   3. Wine 10, in a Debian trixie of its own.
#
# Says what it does, does it once, and puts 2 and 3 into the user's cache, so that
# every clone shares them. On Windows itself it does nothing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/debian-root.sh

target=x86_64-pc-windows-gnu
rust=$(rustc --version | cut -d ' ' -f 2)
sysroot=$cache/windows-$rust

if [ "${OS:-}" = Windows_NT ]; then
    echo "this is Windows: nothing to set up"
    exit
fi

has_target() { compgen -G "$1/lib/rustlib/$target/lib/libstd-*.rlib" >/dev/null; }

if ! command -v x86_64-w64-mingw32-gcc >/dev/null; then
    echo "installing the linker"
    can_make_debian_root || { echo "please install gcc-mingw-w64-x86-64"; exit 1; }
    apt-get update -qq
    apt-get install -qq -y -o Dpkg::Use-Pty=0 gcc-mingw-w64-x86-64 >/dev/null
fi

if has_target "$(rustc --print sysroot)"; then
    echo "the target $target is installed"
elif has_target "$sysroot"; then
    echo "the target $target is in $sysroot"
else
    echo "building the standard library for $target in $sysroot"
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    cargo new --quiet --vcs none --lib "$work/empty"
    (rust_sources && cd "$work/empty" &&
        cargo build --quiet --release -Zbuild-std=std,panic_unwind,test --target "$target" \
            --target-dir "$work/target")
    mkdir -p "$sysroot.new/lib/rustlib/$target/lib"
    cp "$work/target/$target/release/deps/"*.rlib "$sysroot.new/lib/rustlib/$target/lib/"
    rm -f "$sysroot.new/lib/rustlib/$target/lib/"libempty-*.rlib
    rm -rf "$sysroot"
    mv "$sysroot.new" "$sysroot"
fi

if command -v wine >/dev/null && wine --version | grep -qE '^wine-(1[0-9]|[2-9][0-9])'; then
    echo "Wine is installed: $(wine --version)"
else
    can_make_debian_root || { echo "please install Wine 10 or newer"; exit 1; }
    debian_root wine64 wine
    echo "Wine is in $root"
fi
