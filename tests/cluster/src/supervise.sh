# Runs a program that must not outlive whoever holds the other end of stdin.
# Arguments: the log file, then the program and its arguments.
# Writes "pid <pid>" and at last "exit <status>" to stdout. Stderr is only a
# place to hold a lock open for as long as the program lives.
# HUP is ignored so that a kept program survives the terminal.
trap '' HUP
log=$1
shift
exec 3<&0
exec "$@" </dev/null >>"$log" 2>&1 3<&- &
program=$!
echo "pid $program"
(
    while read -r line; do
        [ "$line" = keep ] && keep=1
    done
    [ "$keep" ] || kill -KILL "$program"
) <&3 >/dev/null &
watcher=$!
exec 3<&-
wait "$program"
status=$?
kill "$watcher"
echo "exit $status"
