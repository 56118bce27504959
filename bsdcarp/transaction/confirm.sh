# Makes a transaction final.  It comes over a connection of its own, made after the change, and carries the token
# that was given to the transaction: so the host can be reached, by somebody who knows what was done to it.
# Before it stands CLAIM, the token.

confirm() {
    trap '' HUP INT TERM PIPE
    [ -d "$HERE" ] || { say unknown; leave 1; }
    first "$HERE/token"
    # A confirmation whose answer was lost may come again.
    [ -n "$FIRST" ] || first "$HERE/verdict-confirm"
    [ -z "$FIRST" ] || [ "$FIRST" = "$CLAIM" ] || { say stranger; leave 1; }
    if [ -f "$HERE/token" ] && [ ! -f "$HERE/step-done" ]; then
        say unknown "it has not come to its end: wait for it or take it back"
        leave 1
    fi
    if ! finalize && [ ! -f "$HERE/verdict-confirm" ]; then
        [ ! -f "$HERE/token" ] || { say unknown "cannot write ${HERE#"$R"}: read-only?"; leave 1; }
        decided
        say late "$OUTCOME"
        leave 1
    fi
    say confirmed
    report
}
