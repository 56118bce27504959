# Makes a transaction final.  It comes over a connection of its own, made after the change, and carries the token
# that was given to the transaction: so the host can be reached, by somebody who knows what was done to it.
# Before it stand CLAIM, the token, and KEEP, how many transactions stay.

confirm() {
    trap '' HUP INT TERM PIPE
    STAGES='' HOOKS=''
    [ -d "$HERE" ] || { say unknown; exit 1; }
    if [ -f "$HERE/hooks" ]; then HOOKS=$(cat "$HERE/hooks"); fi
    known=''
    if [ -f "$HERE/token" ]; then IFS= read -r known <"$HERE/token"; fi
    if [ -n "$known" ] && [ "$known" != "$CLAIM" ]; then say stranger; exit 1; fi
    decide confirm || { say late "$(cat "$HERE/outcome" 2>/dev/null)"; exit 1; }
    settle confirmed
    retire
    say confirmed
}

# KEEP transactions are kept; a pattern lists their names in order of time.
retire() {
    set -- "$R$STATE"/tx-*
    while [ $# -gt "$KEEP" ]; do
        rm -rf "$1"
        shift
    done
}
