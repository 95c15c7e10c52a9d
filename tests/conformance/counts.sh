#!/bin/sh
# Runs crossbeam-channel's tests on this crate's channels, and shows how many have passed, by file:
# on threads, in goroutines with GOMAXPROCS 1 and 8, and the examples. It names the tests that are
# left out or fail. Arguments are passed to `cargo test`: `gomaxprocs_2 -- --include-ignored` runs
# the tests with two workers.
#
# With the argument `-` it reads the output of such a run from its standard input.
cd "$(dirname "$0")" || exit 1
if [ "$1" = - ]; then
    cat
else
    cargo test -p conformance --no-fail-fast "$@" 2>&1
    echo "cargo test: exit code $?"
fi | tee /dev/stderr | awk '
    /^ *Running .*\(/ { target = $0; sub(/.*tests\//, "", target); sub(/[\/.].*/, "", target) }
    /^ *Doc-tests/ { target = "examples" }
    /ignored, with two workers, on request$/ { next }
    /^test .* \.\.\. / {
        file = $2
        run = target
        if (target == "examples") {
            # test .../examples.rs - examples::channel::recv_line_1 (line 2) ... ok
            file = $4; sub(/^examples::/, "", file)
        }
        sub(/::.*/, "", file)
        if (match($2, /_gomaxprocs_[0-9]+$/))
            run = target " " substr($2, RSTART + 12)
        if (target == "golang_rest") file = "rest of golang"
        if ($NF == "ok") {
            passed[file, run]++; total[run]++
        } else {
            others[++n] = $0
        }
        files[file]; runs[run]
    }
    /^cargo test: exit code/ { code = $NF; finished = 1 }
    END {
        order = "threads,goroutines 1,goroutines 2,goroutines 8," \
            "golang_rest,golang_rest 1,golang_rest 2,golang_rest 8,examples"
        columns = split(order, names, ",")
        sort = "sort"
        printf "%-16s", "passed"
        for (i = 1; i <= columns; i++) if (names[i] in runs) printf "%15s", names[i]
        print ""
        fflush()
        for (file in files) {
            line = sprintf("%-16s", file)
            for (i = 1; i <= columns; i++) if (names[i] in runs) {
                is_known = (file, names[i]) in passed
                line = line sprintf("%15s", is_known ? passed[file, names[i]] : "-")
            }
            print line | sort
        }
        close(sort)
        printf "%-16s", "all"
        for (i = 1; i <= columns; i++) if (names[i] in runs) printf "%15s", total[names[i]] + 0
        print ""
        for (i = 1; i <= n; i++) print others[i]
        exit code
    }'
