#!/usr/bin/env bash
# Fuzzing, on Linux with the stable toolchain and a C++ compiler:
#
#   scripts/fuzz.sh TARGET [RUNS]           grows inputs from fuzz/corpus/TARGET; without
#                                           RUNS, until it is interrupted or finds something
#   scripts/fuzz.sh TARGET FILE             runs one input, and shows what it means
#   scripts/fuzz.sh --keep TARGET           keeps of what was grown what is needed for the
#                                           same coverage, in fuzz/corpus/TARGET
#   scripts/fuzz.sh                         all targets, for as long as CI has: the corpus,
#                                           and a few thousand inputs grown from it
#
# What is grown, and what fails, lies in target/fuzz/TARGET.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Built as `cargo fuzz` would, without its need for a nightly toolchain: the compiler
# counts branches and shows comparisons to libFuzzer. The address sanitizer is left
# to scripts/sanitize.sh, because it would halve the speed.
host=$(rustc -vV | sed -n 's/^host: //p')
export RUSTFLAGS="--cfg pipewright_scripted -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1"
built=(--manifest-path fuzz/Cargo.toml --release --locked --target "$host" --target-dir target/fuzz/build)

# Options of libFuzzer that every run has. An input that takes 20 seconds hangs.
options=(-timeout=20 -max_len=1024 -print_final_stats=1 -verbosity=1)

targets() { sed -n 's/^name = "\(.*\)"/\1/p' fuzz/Cargo.toml | tail -n +2; }

grow() {
    local target=$1 runs=$2
    mkdir -p "target/fuzz/$target/grown" "fuzz/corpus/$target"
    cargo build --quiet "${built[@]}" --bin "$target"
    "target/fuzz/build/$host/release/$target" "${options[@]}" -runs="$runs" \
        -artifact_prefix="target/fuzz/$target/" "target/fuzz/$target/grown" "fuzz/corpus/$target"
}

case ${1:-} in
"")
    cargo fmt --manifest-path fuzz/Cargo.toml --check
    cargo clippy "${built[@]}" -- -D warnings
    for target in $(targets); do
        grow "$target" 5000 2>&1 | grep -vE "^(#|INFO|\s*NEW)" || true
    done
    ;;
--keep)
    target=$2
    cargo build --quiet "${built[@]}" --bin "$target"
    kept=$(mktemp -d)
    "target/fuzz/build/$host/release/$target" -merge=1 "$kept" "fuzz/corpus/$target" "target/fuzz/$target/grown"
    rm -rf "fuzz/corpus/$target"
    mv "$kept" "fuzz/corpus/$target"
    ;;
*)
    if [ -f "${2:-}" ]; then
        cargo build --quiet "${built[@]}" --bin "$1"
        shown=$(mktemp)
        "target/fuzz/build/$host/release/$1" "$2" || true
        RUST_LIBFUZZER_DEBUG_PATH=$shown "target/fuzz/build/$host/release/$1" "$2" || true
        cat "$shown"
    else
        grow "$1" "${2:--1}"
    fi
    ;;
esac
