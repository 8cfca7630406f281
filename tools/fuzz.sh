#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds fuzz/<target>.c with libFuzzer against the libraries and runs it for a while.
# usage: fuzz.sh BUILD_DIR [TARGET] [SECONDS]
set -euo pipefail
build=$1 target=${2:-} seconds=${3:-60}
[ -n "$target" ] || {
    targets=$(find fuzz -maxdepth 1 -name '*.c' -printf '%f\n' | sed 's/\.c$//' | sort)
    [ -n "$targets" ] || { echo "fuzz: fuzz/ has no targets" >&2; exit 1; }
    for target in $targets; do "$0" "$build" "$target" "$seconds"; done
    exit 0
}
[ -f "fuzz/$target.c" ] || {
    echo "fuzz: no target '$target'; there are:" "$(cd fuzz && ls ./*.c)" >&2
    exit 64
}
sanitize=address,undefined
[ -f "$build/build.ninja" ] || CC=clang CXX=clang++ meson setup "$build" -Db_sanitize=$sanitize \
    -Db_lundef=false -Dc_args=-fsanitize=fuzzer-no-link >/dev/null
mapfile -t libraries < <(ninja -C "$build" -t targets all | sed -n 's/^\(src\/[^:]*\.a\): .*/\1/p')
ninja -C "$build" "${libraries[@]}" >/dev/null
corpus=$build/corpus/$target
mkdir -p "$corpus"
# shellcheck disable=SC2046 # pkg-config prints words
clang -std=gnu17 -g -O1 -D_GNU_SOURCE -Isrc -fsanitize=fuzzer,$sanitize "fuzz/$target.c" \
    -o "$build/fuzz_$target" -Wl,--start-group "${libraries[@]/#/$build/}" -Wl,--end-group \
    $(pkg-config --libs libssl libcrypto sqlite3 expat libfyaml zlib libzstd re2) \
    -lstdc++ -lm -lpthread -ldl
seeds=()
[ -d "fuzz/$target" ] && seeds=("fuzz/$target")
echo "fuzz: $target for $seconds s"
exec nice -n 19 "$build/fuzz_$target" -max_total_time="$seconds" -print_final_stats=1 -verbosity=0 \
    -timeout=10 -rss_limit_mb=2048 -artifact_prefix="$build/" "$corpus" "${seeds[@]}"
