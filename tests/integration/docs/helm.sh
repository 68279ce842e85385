#!/usr/bin/env bash
# helm, with the chart of this repository in the place of the one that is released.
set -euo pipefail

released=oci://ghcr.io/linkerd/charts/linkerd-failover
arguments=()
ours=
for argument in "$@"; do
    case $argument in
        "$released" | charts/linkerd-failover | ./charts/linkerd-failover) ours=1 arguments+=("$CHART") ;;
        *) arguments+=("$argument") ;;
    esac
done

if [ -n "$ours" ]; then
    # The folder has the version that it has.
    kept=() skip=
    for argument in "${arguments[@]}"; do
        if [ -n "$skip" ]; then skip=; continue; fi
        case $argument in
            --version) skip=1 ;;
            --version=*) ;;
            *) kept+=("$argument") ;;
        esac
    done
    arguments=("${kept[@]}")
    case " $* " in
        *" install "* | *" upgrade "*) [ -z "$NEEDED_VALUES" ] || arguments+=(--set "$NEEDED_VALUES") ;;
    esac
fi

PATH=${PATH#*:}
exec helm "${arguments[@]}"
