# Makes a transaction final.  It comes over a connection of its own, made after the change, and carries the token
# that was given to the transaction: so the host can be reached, by somebody who knows what was done to it.
# Before it stand CLAIM, the token, and KEEP, how many transactions stay.

confirm() {
    trap '' HUP INT TERM PIPE
    [ -d "$HERE" ] || { say unknown; exit 1; }
    first "$HERE/token"
    # A confirmation whose answer was lost may come again.
    [ -n "$FIRST" ] || first "$HERE/verdict-confirm"
    [ -z "$FIRST" ] || [ "$FIRST" = "$CLAIM" ] || { say stranger; exit 1; }
    if [ -f "$HERE/token" ] && [ ! -f "$HERE/step-done" ]; then
        say unknown "it has not come to its end: wait for it or take it back"
        exit 1
    fi
    # Nothing is final that a power loss could still take away, and nobody hears of it before that is so, too.
    sync
    if ! decide confirm && [ ! -f "$HERE/verdict-confirm" ]; then
        [ ! -f "$HERE/token" ] || { say unknown "cannot write ${HERE#"$R"}: read-only?"; exit 1; }
        decided
        say late "$OUTCOME"
        exit 1
    fi
    at_work || :
    settle confirmed
    sync
    retire
    say confirmed
}

# KEEP transactions are kept; a pattern lists their names in order of time, which is the time of whoever made them.
retire() {
    set -- "$R$STATE"/tx-*
    surplus=$(($# - KEEP))
    for f in "$@"; do
        [ "$surplus" -gt 0 ] || break
        [ "$f" != "$HERE" ] || continue
        rm -rf "$f"
        surplus=$((surplus - 1))
    done
}
