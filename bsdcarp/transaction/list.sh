# Tells which transactions a host keeps, and which one waits for its confirmation.  Changes nothing.

list() {
    if waits "$STATE"; then say pending "$WAITING"; fi
    for d in "$R$STATE"/tx-*; do
        [ -f "$d/plan" ] || continue
        HERE=$d
        decided
        number "$d"
        say transaction "$NUMBER ${d##*/} ${OUTCOME:-under way}"
        report
        cat "$d/plan"
    done
    say end
    report
}
