#!/usr/bin/env bash
# Runs the shared piece of the library in every order in which its threads can meet,
# with at most so many preemptions of a thread that could go on: nearly all defects
# of this kind need no more than two. LOOM_MAX_PREEMPTIONS=3 looks further, and
# takes much longer.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export LOOM_MAX_PREEMPTIONS=${LOOM_MAX_PREEMPTIONS:-2}
export RUSTFLAGS="${RUSTFLAGS:-} --cfg pipewright_scripted --cfg pipewright_loom"
exec cargo test -p pipewright --features futures-io --target-dir target/loom --test interleavings "$@"
