#!/usr/bin/env bash
# Fuzzing, on Linux with the stable toolchain and a C++ compiler:
#
#   scripts/fuzz.sh TARGET [RUNS]    grows inputs from fuzz/corpus/TARGET; without RUNS,
#                                    until it is interrupted or finds something
#   scripts/fuzz.sh TARGET FILE      shows what one input means, and runs it
#   scripts/fuzz.sh --keep TARGET    keeps of all that was grown as few as reach the same
#                                    branches, in fuzz/corpus/TARGET
#   scripts/fuzz.sh                  what CI does: lints, then for each target the corpus
#                                    and a fixed number of inputs grown from it
#
# The targets are `core` and `library`; what each of them does is in its file in
# fuzz/fuzz_targets. What is grown lies in target/fuzz/TARGET, and so does what fails.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# More takes more than a minute for both.
CI_RUNS=5000

# As `cargo fuzz` builds, but without a nightly toolchain: branches are counted, and
# comparisons shown to the fuzzer. No sanitizer, which would halve the speed: that is
# what scripts/sanitize.sh is for.
host=$(rustc -vV | sed -n 's/^host: //p')
coverage=(level=4 inline-8bit-counters pc-table trace-compares)
export RUSTFLAGS="--cfg pipewright_scripted -Ccodegen-units=1 -Cpasses=sancov-module ${coverage[*]/#/-Cllvm-args=-sanitizer-coverage-}"
build=(--manifest-path fuzz/Cargo.toml --release --locked --target "$host" --target-dir target/fuzz/build)

# An input that takes two minutes hangs, however busy the machine is.
run() {
    local target=$1
    shift
    "target/fuzz/build/$host/release/$target" -timeout=120 -max_len=1024 \
        -artifact_prefix="target/fuzz/$target/" "$@"
}

prepare() {
    mkdir -p "target/fuzz/$1/grown"
    cargo build --quiet "${build[@]}" --bin "$1"
}

case ${1:-} in
"")
    cargo fmt --manifest-path fuzz/Cargo.toml --check
    cargo clippy --quiet "${build[@]}" -- -D warnings
    for target in core library; do
        echo "$target: $(find "fuzz/corpus/$target" -type f | wc -l) inputs, $CI_RUNS runs"
        prepare "$target"
        # What it grows goes into the first folder: an empty one, so that what was grown
        # here before changes nothing.
        fresh=$(mktemp -d)
        run "$target" -seed=1 -verbosity=0 -runs="$CI_RUNS" "$fresh" "fuzz/corpus/$target"
        rm -rf "$fresh"
    done
    ;;
--keep)
    prepare "$2"
    kept=target/fuzz/$2/kept
    rm -rf "$kept"
    mkdir -p "$kept"
    run "$2" -set_cover_merge=1 "$kept" "fuzz/corpus/$2" "target/fuzz/$2/grown"
    rm -rf "fuzz/corpus/$2"
    mv "$kept" "fuzz/corpus/$2"
    ;;
*)
    prepare "$1"
    if [ -f "${2:-}" ]; then
        shown=target/fuzz/$1/shown
        RUST_LIBFUZZER_DEBUG_PATH=$shown run "$1" "$2" >/dev/null 2>&1 || true
        cat "$shown"
        run "$1" "$2"
    else
        run "$1" -runs="${2:--1}" -print_final_stats=1 "target/fuzz/$1/grown" "fuzz/corpus/$1"
    fi
    ;;
esac
