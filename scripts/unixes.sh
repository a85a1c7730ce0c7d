#!/usr/bin/env bash
# Does the code compile for the Unixes that nobody runs here? Type-checks the
# library and the command for macOS, FreeBSD and NetBSD; nothing is linked or run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/debian-root.sh
rust_sources
for target in x86_64-apple-darwin x86_64-unknown-freebsd x86_64-unknown-netbsd; do
    echo "checking for $target"
    cargo check --quiet -Zbuild-std=std,panic_unwind --target "$target" --target-dir target/unixes \
        -p pipewright -p pipewright-cli --all-features
done
