#!/usr/bin/env bash
# The library's tests with only what every Unix has: the code that macOS and the
# BSDs would run, compiled and run here. Tests of what only Linux can do are left
# out by the same cfg.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export RUSTFLAGS="${RUSTFLAGS:-} --cfg pipewright_portable"
export RUSTDOCFLAGS="${RUSTDOCFLAGS:-} --cfg pipewright_portable"
exec cargo test -p pipewright --all-features --target-dir target/portable "$@"
