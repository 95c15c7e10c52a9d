#!/usr/bin/env bash
# Runs the core of the tests under valgrind's memcheck and with AddressSanitizer:
# tests/sanitizers.sh [valgrind|asan|all]
#
# Exit code 0: neither has found anything; 1: one has, or a test failed; 2: a tool is missing.
#
# Neither tool can run: `limits`, which is about the limit on address space; the models
# (`tests/model`), where loom switches stacks by itself; `channels/fairness` and `scheduling`, which
# measure what a tool changes; `programs` and `servers`, which start programs that are not built for
# it. `core` below names the tests that both tools run.
#
# Leaks are looked for. The runtime and its workers live as long as the process and are found from
# its static, so no suppression is needed. Not so in `panics`, `scopes` and `futures`, which leak on
# purpose: messages, handles and futures that they forget, and what the runtime leaks where it is
# documented: what lies behind a message whose drop panics.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

what=${1:-all}
case $what in valgrind | asan | all) ;; *)
    echo "usage: tests/sanitizers.sh [valgrind|asan|all]" >&2
    exit 2
    ;;
esac

target=${CARGO_TARGET_DIR:-target}
logs=$target/sanitizers
mkdir -p "$logs"
leaky='goroutines/panics goroutines/scopes goroutines/futures'
# Each is a test program, or one of its modules.
core='goroutines/goroutines goroutines/scopes goroutines/panics goroutines/futures
    goroutines/join_set goroutines/block_on channels/channels channels/dynamic_select
    channels/wide_selects memory/select_memory soak sync/mutex sync/rw_lock sync/condvar sync/once
    sync/barrier sync/semaphore sync/wait_group sync/pool sync/errgroup sync/singleflight
    context_time/context context_time/time net/net net/net_udp net/net_unix net/files'
failed=

# --- Helpers ---

# Builds the tests named and those in the libraries, with the cargo arguments in $cargo; prints
# `name path` for each, once. A name is PROGRAM or PROGRAM/MODULE; libraries have their own.
build() {
    local name path built
    built=$(build_programs "$@") || return
    while read -r name path; do
        case " $* " in
            *" $name/"*) for module; do
                if [[ $module = "$name/"* ]]; then echo "$module $path"; fi
            done ;;
            *) echo "$name $path" ;;
        esac
    done <<< "$built"
}

build_programs() {
    local arguments=(--no-run --message-format=json) name feature
    feature=(${features:+--features "$features"})
    while read -r name; do
        arguments+=(--test "$name")
    done < <(printf '%s\n' "${@%%/*}" | sort -u)
    {
        cargo test "${cargo[@]}" -p go-tests "${arguments[@]}" --lib "${feature[@]}" &&
            cargo test "${cargo[@]}" -p go-runtime --lib --no-run --message-format=json \
                "${feature[@]}"
    } | sed -n -e '/"target":{"kind":\["\(test\|lib\)"\]/!d' \
        -e 's/.*"target":{[^}]*"name":"\([^"]*\)".*"executable":"\([^"]*\)".*/\1 \2/p' |
        awk '!seen[$1]++'
}

# Runs a test under the tool, and says how it went: run NAME SECONDS COMMAND...
run() {
    local name=$1 limit=$2 log=$logs/$tool-${1//\//-}.log start=$SECONDS code only=()
    shift 2
    # (A test's name begins with its module's.)
    if [[ $name = */* && $name != memory/* ]]; then only=("${name#*/}::"); fi
    timeout "$limit" "$@" "${only[@]}" > "$log" 2>&1
    code=$?
    if [ $code = 0 ]; then
        echo "$tool: $name: ok ($((SECONDS - start)) s)"
    else
        echo "$tool: $name: FAILED, exit code $code ($((SECONDS - start)) s), see $log"
        failed=1
    fi
}

# The tool finds a mistake: finds TEST TEXT COMMAND...
finds() {
    local test=$1 text=$2 log=$logs/$tool-$1.log
    shift 2
    if ! "$@" --ignored --exact "$test" > "$log" 2>&1 && grep -q "$text" "$log"; then
        echo "$tool: finds that $test"
    else
        echo "$tool: does NOT find that $test, see $log"
        failed=1
    fi
}

leaks_are_meant() {
    [[ " $leaky " = *" $1 "* ]]
}

# --- valgrind ---

# The dev profile, in which the runtime has opt-level 1. Valgrind runs threads one at a time,
# fairly, or a worker that spins would keep the others out.
#
# Left out: most of `select_memory`, a hundred thousand selects in each of many ways, which would
# take ten minutes alone, and counts its bytes itself. Waits that are a part of what is tested have
# long deadlines, so nothing else had to be.
run_valgrind() {
    local tool=valgrind cargo=() features='' name path built
    local memcheck=(valgrind --error-exitcode=9 --fair-sched=yes --num-callers=40)
    if ! command -v valgrind > /dev/null; then
        echo "valgrind is missing: apt-get install valgrind" >&2
        exit 2
    fi
    if ! built=$(build $core sanitizers); then
        echo "valgrind: the tests do not build"
        failed=1
        return
    fi
    while read -r name path; do
        local check tests=()
        check=(--leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite)
        if leaks_are_meant "$name"; then check=(--leak-check=no); fi
        case $name in
            sanitizers)
                finds freed_memory_is_read 'Invalid read' "${memcheck[@]}" --leak-check=no "$path"
                continue
                ;;
            memory/select_memory) tests=(channels_that_come_and_go) ;;
            # What glibc keeps of a look-up for the thread that made it is lost with the thread.
            net/net | net/net_udp) tests=(--skip names_are_looked_up) ;;
        esac
        run "$name" 600 "${memcheck[@]}" "${check[@]}" "$path" "${tests[@]}"
    done <<< "$built"
}

# --- AddressSanitizer ---

# Stable Rust has it behind RUSTC_BOOTSTRAP. Corosensei tells it of each switch of stacks with
# feature `sanitizer`. With a target named, build scripts and macros are not instrumented.
run_asan() {
    local tool=asan features=sanitizer name path built leaks fake tests
    local triple=x86_64-unknown-linux-gnu
    local cargo=(--target "$triple" --target-dir "$target/asan")
    if [ ! -e "$(rustc --print sysroot)/lib/rustlib/$triple/lib/librustc-stable_rt.asan.a" ] &&
        ! ls "$(rustc --print sysroot)/lib/rustlib/$triple/lib/"*asan* > /dev/null 2>&1; then
        echo "this Rust has no AddressSanitizer: rustup target add $triple (Linux, x86-64)" >&2
        exit 2
    fi
    export RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address
    if ! built=$(build $core sanitizers channels/go_behaviour channels/stress); then
        echo "asan: the tests do not build"
        failed=1
        return
    fi
    unset RUSTC_BOOTSTRAP RUSTFLAGS
    while read -r name path; do
        leaks=1
        if leaks_are_meant "$name"; then leaks=0; fi
        if [ "$name" = sanitizers ]; then
            finds freed_memory_is_read heap-use-after-free "$path"
            finds a_frame_is_overrun stack-buffer-overflow "$path"
        else
            # The soak measures how deep it is in its stack, so its frames have to lie there.
            fake=1
            if [ "$name" = soak ]; then fake=0; fi
            options="detect_leaks=$leaks detect_stack_use_after_return=$fake"
            tests=()
            if [ "$name" = memory/select_memory ]; then tests=(select_memory::); fi
            run "$name" 600 env ASAN_OPTIONS="$options" "$path" "${tests[@]}"
        fi
    done <<< "$built"
}

if [ "$what" != asan ]; then run_valgrind; fi
if [ "$what" != valgrind ]; then run_asan; fi
if [ -n "$failed" ]; then exit 1; fi
echo "nothing found"
