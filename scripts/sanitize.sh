#!/usr/bin/env bash
# The library's tests under a sanitizer of LLVM, on Linux, with the stable toolchain:
#
#   scripts/sanitize.sh address [ARGUMENTS OF CARGO TEST]    memory used after it was
#                                                            freed, overruns, leaks
#   scripts/sanitize.sh thread [ARGUMENTS OF CARGO TEST]     data races
#
# Documentation tests are left out: they run no code that the others do not.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/debian-root.sh

sanitizer=${1:-}
shift || true
host=$(rustc -vV | sed -n 's/^host: //p')
options=()
case $sanitizer in
address) ;;
thread)
    # It must see what the standard library does too: else each of its locks is missed,
    # and all that they guard is reported.
    rust_sources
    options=(-Zbuild-std=std,panic_unwind,test,proc_macro)
    ;;
*)
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0"
    exit 2
    ;;
esac

# Everything takes several times as long.
export PIPEWRIGHT_WATCHDOG_SECONDS=${PIPEWRIGHT_WATCHDOG_SECONDS:-600}
# The first finding fails the test.
export ASAN_OPTIONS=halt_on_error=1:${ASAN_OPTIONS:-}
export LSAN_OPTIONS=suppressions=$PWD/scripts/leaks.txt:print_suppressions=0:${LSAN_OPTIONS:-}
export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:${TSAN_OPTIONS:-}
# It keeps what was freed for a while, which tests that compare memory must know.
export PIPEWRIGHT_SANITIZED=1
export RUSTC_BOOTSTRAP=1
export RUSTFLAGS="-Zsanitizer=$sanitizer ${RUSTFLAGS:-}"
exec cargo test -p pipewright --all-features --lib --tests --target "$host" \
    --target-dir "target/sanitize/$sanitizer" "${options[@]}" "$@"
