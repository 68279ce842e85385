#!/usr/bin/env bash
# Every test, part by part. The tools of the test cluster are built with Go meanwhile. It ends with
# how long each part took, also where one has failed; then what comes after it is left out.
set -uo pipefail
cd "$(dirname "$0")/.."

make=(make --no-print-directory)
log=$(mktemp)
began=$SECONDS
times=()
tools=
documentation=

note() { # name, seconds, exit status
    local outcome=ok
    [ "$3" = 0 ] || outcome="FAILED ($3)"
    times+=("$(printf '%-12s %5d s  %s' "$1" "$2" "$outcome")")
}

part() { # name, command
    local name=$1 start=$SECONDS status=0
    shift
    "$@" || status=$?
    note "$name" $((SECONDS - start)) "$status"
    [ "$status" = 0 ] || exit "$status"
}

wait_for_tools() {
    local status=0
    wait "$tools" || status=$?
    tools=
    cat "$log" >&2
    return "$status"
}

finish() {
    local status=$?
    # make passes the end on to what it has started.
    [ -z "$tools" ] || kill "$tools" 2>/dev/null
    note all $((SECONDS - began)) "$status"
    [ -z "$documentation" ] || printf '\nThe documentation, run (%s):\n%s\n' "$documentation" "$(grep '^| ' "$documentation")"
    printf '\nHow long each part took:\n'
    printf '  %s\n' "${times[@]}"
    rm -f "$log"
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

"${make[@]}" tools >"$log" 2>&1 &
tools=$!

part build "${make[@]}" build-tests
part lint "${make[@]}" lint
part unit "${make[@]}" unit
part tools wait_for_tools
part integration "${make[@]}" integration
documentation=${CARGO_TARGET_DIR:-target}/docs-run.md
