#!/bin/sh
# Stands in for the command: answers as the files in the folder ANSWERS say.
cd "$ANSWERS" || exit 99
count=0
for word; do
    case $word in *.trace) count=$((count + 1)) last=$word ;; esac
done
case $1 in
run)
    # One trace: it is run again.
    if [ $count = 1 ]; then exec grep -qxF "$last" flaky; fi
    cat complaint >&2
    cat run.json
    exit "$(cat status)" ;;
faults)
    if [ -e once ]; then rm once; exit 125; fi ;;
attack)
    # What a script started must end, too.
    if [ -e hang ]; then sleep 60 & echo $! >pid; wait; fi
    case "$*" in
    *--fault*) cat attack-fault.json; exit 1 ;;
    *) cat attack.json ;;
    esac ;;
*) cat "$1.json" ;;
esac
