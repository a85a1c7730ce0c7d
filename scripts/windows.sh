#!/usr/bin/env bash
# Cargo for Windows: `scripts/windows.sh test -p pipewright` builds the tests for
# x86_64-pc-windows-gnu and runs them under Wine. Without arguments, the whole test
# suite. Sets up what it needs (windows-setup.sh); on Windows itself it is cargo.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ $# -gt 0 ] || set -- test --workspace --all-features

if [ "${OS:-}" = Windows_NT ]; then
    exec cargo "$@"
fi

bash scripts/windows-setup.sh
. scripts/debian-root.sh
target=x86_64-pc-windows-gnu
sysroot=$cache/windows-$(rustc --version | cut -d ' ' -f 2)
command=$1
shift

export CARGO_BUILD_TARGET=$target
export CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER=$PWD/scripts/windows-run.sh
if [ -d "$sysroot" ]; then
    export CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUSTFLAGS="--sysroot $sysroot ${CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUSTFLAGS:-}"
    # Documentation tests are compiled by rustdoc, which has its own flags.
    export CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUSTDOCFLAGS="--sysroot $sysroot ${CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUSTDOCFLAGS:-}"
    # That library has no bitcode, which optimising at link time would need of it.
    export CARGO_PROFILE_RELEASE_LTO=false
fi
cargo "$command" "$@"
