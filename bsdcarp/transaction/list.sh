# Tells which transactions a host keeps, and which one waits for its confirmation.  Changes nothing.

list() {
    if [ -f "$PENDING" ]; then
        IFS= read -r TX <"$PENDING"
        say pending "$TX"
    fi
    for d in "$R$STATE"/tx-*; do
        [ -f "$d/plan" ] || continue
        outcome='under way'
        if [ -f "$d/outcome" ]; then IFS= read -r outcome <"$d/outcome"; fi
        say transaction "${d##*/} $outcome"
        cat "$d/plan"
    done
    say end
}
