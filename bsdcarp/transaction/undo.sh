# Takes one transaction back.  It is written to the host before the first change and knows all it needs, so that it
# works without the operator: after the session, the operator's machine or the power was lost.
#
#     undo armed SECONDS   waits so long for a confirmation, then takes back
#     undo now [WHY]       takes back at once; the operator says so
#     undo failed [WHY]    the same, said by the transaction itself, which holds the lock
#     undo boot            from the boot hook: the host was restarted before anybody confirmed
#
# After it come the plan's functions: plan_files, plan_restored, plan_undrain and undo_N.

# progress: how far the transaction came, in the order in which it began its steps.
read_progress() {
    BEGUN=0 ENDED=0 DONE='' DRAINED=''
    while IFS=' ' read -r word rest; do
        case $word in
            file) DONE=$rest$NL$DONE ;;
            live) BEGUN=$rest ;;
            lived) ENDED=$rest ;;
            drain) DRAINED=yes ;;
            undrained) DRAINED='' ;;
        esac
    done <"$HERE/progress"
}

# restore PATH: its copy comes back by a rename; what was not there goes.
restore() {
    kept=$HERE$1
    beside "$1"
    if [ -f "$kept.absent" ]; then
        rm -f "$real" || BROKEN="$BROKEN $1"
    else
        [ -d "$stage" ] || mkdir -p "$stage"
        cp -p "$kept" "$new" && mv -f "$new" "$real" || BROKEN="$BROKEN $1"
    fi
}

restore_files() {
    for f in $DONE; do restore "$f"; done 2>/dev/null
    [ -z "$DONE" ] || sync
}

# unlive FIRST: from the last command that was begun down to FIRST.  The very last may have failed or never run, so
# that its own undo is not judged.
unlive() {
    while [ "$BEGUN" -ge "$1" ]; do
        "undo_$BEGUN" >/dev/null 2>&1 || [ "$BEGUN" -gt "$ENDED" ] || BROKEN="$BROKEN live-$BEGUN"
        BEGUN=$((BEGUN - 1))
    done
}

# What a transaction that was cut off left beside the files.
find_stages() {
    STAGES=''
    for f in $PATHS; do
        beside "$f"
        case $STAGES in *"$stage$NL"*) ;; *) STAGES=$STAGES$stage$NL ;; esac
    done
}

finish() {
    find_stages
    if [ -n "$BROKEN" ]; then
        # The copies stay, and so does everything that tells what went wrong.
        settle "broken$BROKEN: $1"
        say broken "$BROKEN: $1"
        exit 1
    fi
    settle "undone $1"
    say undone "$1"
}

take_back() {
    BROKEN=''
    read_progress
    unlive $((EARLY + 1))
    restore_files
    [ -z "$DONE" ] || plan_restored >/dev/null 2>&1 || BROKEN="$BROKEN restored"
    unlive 1
    [ -z "$DRAINED" ] || plan_undrain >/dev/null 2>&1 || BROKEN="$BROKEN demotion"
    finish "$1"
}

# Nothing is live any more after a restart, so the files are all there is to take back.
take_back_at_boot() {
    BROKEN=''
    read_progress
    restore_files
    echo "bsdcarp: $TX was not confirmed before the restart; the files are as they were" >/dev/console 2>/dev/null
    finish "the host was restarted before it was confirmed"
    # On FreeBSD rc has read the files by now, and the loader its own; one more start begins with the old ones.
    [ "$SYSTEM" != freebsd ] || [ -z "$DONE" ] || reboot
    # systemd has, too, but begins nothing of it before this ends.
    [ "$SYSTEM" != linux ] || [ ! -d "$R/run/systemd/system" ] || systemctl daemon-reload
}

# The transaction may still be at work; it stops at its next step once the verdict is there.
let_it_stop() {
    patience=30
    while [ -d "$LOCK" ] && [ "$patience" -gt 0 ]; do
        sleep 1
        patience=$((patience - 1))
    done
}

# Short sleeps, so that a confirmed transaction leaves no process behind for long.  sleep(1) does not look at the
# clock, which may be set meanwhile.
wait_for_verdict() {
    left=$1
    while [ "$left" -gt 0 ]; do
        step=5
        [ "$left" -ge 5 ] || step=$left
        sleep "$step"
        left=$((left - step))
        [ ! -d "$HERE/verdict" ] || exit 0
    done
}

# Somebody decided before us.  An undo that was itself cut off (by a power loss, say) is gone through once more.
resume() {
    patience=10
    while [ ! -f "$HERE/outcome" ] && [ "$patience" -gt 0 ]; do
        sleep 1
        patience=$((patience - 1))
    done
    decided=$(cat "$HERE/verdict/word" 2>/dev/null)
    if [ -f "$HERE/outcome" ] || [ "$decided" != undo ]; then
        say late "$(cat "$HERE/outcome" 2>/dev/null)"
        exit 1
    fi
}

undo() {
    trap '' HUP INT TERM PIPE XFSZ
    STAGES=''
    case $1 in
        armed)
            wait_for_verdict "$2"
            decide undo || exit 0
            let_it_stop
            take_back "nobody confirmed it within $2 s" ;;
        now)
            decide undo || resume
            let_it_stop
            take_back "${2-}" ;;
        failed)
            decide undo || { say late "$(cat "$HERE/outcome" 2>/dev/null)"; exit 1; }
            take_back "${2-}" ;;
        boot)
            decided=''
            if [ -d "$HERE/verdict" ]; then decided=$(cat "$HERE/verdict/word" 2>/dev/null); fi
            if [ -f "$HERE/outcome" ] || [ "$decided" = confirm ] || [ "$decided" = refused ]; then
                settle "$(cat "$HERE/outcome" 2>/dev/null || echo "$decided")"
            elif [ -f "$HERE/after-reboot" ]; then
                IFS= read -r window <"$HERE/after-reboot"
                rm -f "$HERE/after-reboot"
                (undo armed-at-boot "$window") </dev/null >/dev/null 2>&1 &
            else
                decide undo
                take_back_at_boot
            fi ;;
        armed-at-boot)
            wait_for_verdict "$2"
            decide undo || exit 0
            take_back_at_boot ;;
    esac
}
