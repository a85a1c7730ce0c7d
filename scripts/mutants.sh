#!/usr/bin/env bash
# Changes the code in one small way after the other, and lists the changes that no test
# notices: each is a test that is missing, or code that does nothing.
#
#   scripts/mutants.sh core [OPTIONS]       the core, with all of its tests
#   scripts/mutants.sh library [OPTIONS]    the shared piece of the library, with the unit
#                                           tests, which put it on a scripted kernel, and
#                                           those files of tests that are quick
#
# The options are those of `cargo mutants`, which must be installed (cargo install
# cargo-mutants). A machine with two idle cores takes an hour or two for each. The lists
# are in target/mutants/core and target/mutants/library.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

piece=${1:-}
shift || true
# A change that makes a test hang is noticed; so much later than a test ever takes.
options=(--jobs 1 --timeout 90 --output "target/mutants/$piece")
mkdir -p "target/mutants/$piece"
# Some changes queue without end: they are to fail, not to take the machine's memory.
# More than 4 GiB is tested with, but hardly any of it is ever touched.
ulimit -v 16000000
export PIPEWRIGHT_WATCHDOG_SECONDS=30

case $piece in
core)
    # The long scripts are tried faster than they are compiled, if they are optimised.
    export CARGO_PROFILE_DEV_OPT_LEVEL=1
    exec cargo mutants --package pipewright-core "${options[@]}" "$@" -- --lib --tests
    ;;
library)
    for file in shared state effects callback waiters wait linger pace progress outcome error retry; do
        options+=(--file "crates/pipewright/src/$file.rs")
    done
    # To cargo itself, so that nothing else is built either.
    tests=(--cargo-arg=--lib)
    for test in accounting async_write bad_input bounded callbacks concurrency costs ends \
        everybody_learns front_ends line lingering messages never_blocks one_end panics parts \
        user_code; do
        tests+=("--cargo-arg=--test=$test")
    done
    exec cargo mutants --package pipewright --all-features "${options[@]}" "${tests[@]}" "$@"
    ;;
*)
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0"
    exit 2
    ;;
esac
