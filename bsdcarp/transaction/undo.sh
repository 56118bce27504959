# Takes one transaction back.  It is written to the host before the first change and knows all it needs, so that it
# works without the operator: after the session, the operator's machine or the power was lost.
#
#     undo armed SECONDS   waits so long for a confirmation, then takes back
#     undo now [WHY]       takes back at once; the operator says so
#     undo failed [WHY]    the same, said by the transaction itself, which holds the lock
#     undo boot            from the boot hook: the host was restarted before anybody confirmed
#
# After it come the plan's functions: plan_restore, plan_restored, plan_demotion, plan_undrain and undo_N.
# It may be cut off anywhere and gone through once more: a step that was taken back is not taken back twice.

# restore PATH CKSUM-or-"absent": the old file comes back by a rename; what was not there goes.  Whether it was changed
# is told by the file itself, because after a power loss no list of steps can be trusted.
restore() {
    beside "$1"
    if [ "$2" = absent ]; then
        [ -e "$real" ] || return 0
        begin_restoring
        rm -f "$real" || BROKEN="$BROKEN $1"
    elif [ -f "$old" ]; then
        # shellcheck disable=SC3013  # every sh of FreeBSD, dash, bash and busybox has it
        [ ! "$old" -ef "$real" ] || return 0
        begin_restoring
        mv -f "$old" "$real" || BROKEN="$BROKEN $1"
    elif [ ! -h "$R$1" ] && [ -f "$HERE${1%/*}/.linked" ] && [ -f "$HERE$1" ]; then
        # shellcheck disable=SC3013
        [ ! "$HERE$1" -ef "$real" ] || return 0
        begin_restoring
        # It stays there, too, unless the disk is too full for even one more name.
        { [ -d "$stage/new" ] && ln -f "$HERE$1" "$new" && mv -f "$new" "$real"; } || mv -f "$HERE$1" "$real" ||
            BROKEN="$BROKEN $1"
    # Without either it was never changed, or came back before.
    elif [ "$(cksum <"$HERE$1")" = "$2" ] && [ "$(cksum <"$real")" != "$2" ]; then
        begin_restoring
        { [ -d "$stage/new" ] || mkdir -p "$stage/new"; } &&
            cp -p "$HERE$1" "$new" && sync && mv -f "$new" "$real" || BROKEN="$BROKEN $1"
    fi
}

begin_restoring() {
    CHANGED=yes
    true >"$HERE/step-restoring"
}

restore_files() {
    CHANGED=''
    [ ! -f "$HERE/step-restoring" ] || CHANGED=yes
    plan_restore 2>/dev/null
    [ -z "$CHANGED" ] || sync
}

# in_force N: a restart ended everything but what tells the init system what to start.
in_force() {
    [ -n "${RESTARTED-}" ] || return 0
    case $NL$LASTING$NL in *"$NL$1$NL"*) return 0 ;; *) return 1 ;; esac
}

# unlive FIRST: from the last command that was begun down to FIRST.  The very last may have failed or never run, so
# that its own undo is not judged; nor is one that a former undo had begun.
unlive() {
    while [ "$BEGUN" -ge "$1" ]; do
        if [ ! -f "$HERE/step-unlived-$BEGUN" ] && in_force "$BEGUN"; then
            judged=''
            [ ! -f "$HERE/step-lived-$BEGUN" ] || [ -f "$HERE/step-unlive-$BEGUN" ] || judged=yes
            true >"$HERE/step-unlive-$BEGUN"
            if "undo_$BEGUN" >/dev/null || [ -z "$judged" ]; then
                true >"$HERE/step-unlived-$BEGUN"
            else
                BROKEN="$BROKEN live-$BEGUN"
            fi
        fi
        BEGUN=$((BEGUN - 1))
    done 2>/dev/null
}

# The demotion is a sum that others add to.  What it was before tells whether ours is in force.
undrain() {
    [ -f "$HERE/step-drain" ] && [ ! -f "$HERE/step-undrained" ] || return 0
    first "$HERE/step-drain"
    # Cut off before it was written, and so before the demotion.
    [ -n "$FIRST" ] || return 0
    amount=${FIRST%% *} before=${FIRST#* }
    now=$(plan_demotion 2>/dev/null)
    case ${now#-} in '' | *[!0-9]*) now='' ;; esac
    case ${before#-} in '' | *[!0-9]*) now='' ;; esac
    [ -z "$now" ] || [ $((now - before)) -ge "$amount" ] || return 0
    if plan_undrain >/dev/null 2>&1; then
        { true >"$HERE/step-undrained"; } 2>/dev/null
    else
        BROKEN="$BROKEN demotion"
    fi
}

finish() {
    if [ -n "$BROKEN" ]; then
        # The copies stay, and so does everything that tells what went wrong.
        settle "broken$BROKEN: $1"
        say broken "$BROKEN: $1"
        leave 1
    fi
    settle "undone $1"
    say undone "$1"
    report
}

count_begun() {
    BROKEN='' BEGUN=0
    while [ -f "$HERE/step-live-$((BEGUN + 1))" ]; do BEGUN=$((BEGUN + 1)); done
}

take_back() {
    count_begun
    unlive $((EARLY + 1))
    restore_files
    [ -z "$CHANGED" ] || plan_restored >/dev/null 2>&1 || BROKEN="$BROKEN restored"
    unlive 1
    undrain
    finish "$1"
}

# Nothing is live any more after a restart, so the files are all there is to take back, and on Linux which services
# the init system starts.
take_back_at_boot() {
    RESTARTED=yes
    count_begun
    # Undone once more, a service is as it was; and the list of steps may be short of some after a power loss.
    for n in $LASTING; do [ "$n" -le "$BEGUN" ] || BEGUN=$n; done
    unlive $((EARLY + 1))
    restore_files
    unlive 1
    said="was not confirmed before the restart; the files are as they were"
    [ -z "$BROKEN" ] || said="was not confirmed before the restart, and these could not be taken back:$BROKEN"
    [ ! -c "$R/dev/console" ] || { echo "bsdcarp: $TX $said" >"$R/dev/console"; } 2>/dev/null
    finish "the host was restarted before it was confirmed"
    # Without its outcome on the disk it would be done again at every start.
    [ -n "$CHANGED" ] && [ -s "$HERE/outcome" ] || return 0
    # On FreeBSD rc has read the files by now, and the loader its own; one more start begins with the old ones.
    if [ "$SYSTEM" = freebsd ] || [ "$1" = running ]; then
        # Below another root, never the machine that this runs on.
        [ -z "$R" ] || PATH=${BSDCARP_PATH:-/nonexistent}
        reboot
    # systemd has, too, but begins nothing of it before this ends.
    elif [ -d "$R/run/systemd/system" ]; then
        systemctl daemon-reload
        # What it starts was decided before a service came back; whoever boots into something else goes on to that.
        case $(systemctl list-jobs --no-legend 2>/dev/null) in
            *' multi-user.target '*) systemctl --no-block start multi-user.target ;;
        esac
    fi
}

# The transaction may still be at work; it stops at its next step once there is a verdict.
let_it_stop() {
    patience=30
    while [ "$patience" -gt 0 ] && at_work; do
        sleep 1
        patience=$((patience - 1))
    done
}

# Short sleeps, so that a transaction that has ended leaves no process behind for long.  sleep(1) does not look at the
# clock, which may be set meanwhile.
wait_for_end() {
    left=$1
    while [ "$left" -gt 0 ]; do
        step=5
        [ "$left" -ge 5 ] || step=$left
        sleep "$step"
        left=$((left - step))
        [ -d "$HERE" ] && [ ! -f "$HERE/outcome" ] || leave 0
    done
}

# begin_undo: we decide, or nobody can because nothing can be written; then what is possible is done all the same.
begin_undo() {
    decide undo || [ -f "$HERE/token" ] || resume
    { echo "$$" >"$HERE/undoer"; } 2>/dev/null
}

# Somebody decided before us.  What was cut off before it came to its end is brought there.
resume() {
    patience=30
    while [ ! -f "$HERE/outcome" ] && [ "$patience" -gt 0 ]; do
        first "$HERE/undoer"
        [ -z "$FIRST" ] || kill -0 "$FIRST" 2>/dev/null || break
        sleep 1
        patience=$((patience - 1))
    done
    decided
    [ "$VERDICT" != undo ] || [ -f "$HERE/outcome" ] || return 0
    at_work || :
    settle "$OUTCOME"
    say late "$OUTCOME"
    leave 1
}

undo() {
    trap '' HUP INT TERM PIPE XFSZ
    case $1 in
        armed)
            wait_for_end "$2"
            begin_undo
            let_it_stop
            take_back "nobody confirmed it within $2 s" ;;
        now)
            begin_undo
            let_it_stop
            take_back "${2-}" ;;
        failed)
            decide undo || [ -f "$HERE/token" ] || { say overdue "its time was over when it failed: ${2-}"; leave 1; }
            { echo "$$" >"$HERE/undoer"; } 2>/dev/null
            take_back "${2-}" ;;
        boot)
            BOOTED=yes
            at_boot ;;
        armed-at-boot)
            wait_for_end "$2"
            begin_undo
            take_back_at_boot running ;;
    esac
}

at_boot() {
    # Where /var/run was emptied before, only directories are left of it.
    first "$LOCK/tx"
    if [ "$FIRST" = "$TX" ]; then rm -rf "$LOCK"; else rmdir "$LOCK" 2>/dev/null || :; fi
    decided
    if [ -f "$HERE/outcome" ] || [ "$VERDICT" = refused ] || [ "$VERDICT" = confirm ]; then
        settle "$OUTCOME"
    elif [ -z "$VERDICT" ] && [ -f "$HERE/after-reboot" ]; then
        first "$HERE/after-reboot"
        # What this boot brings up from files was not brought up by the commands, so their undo is not judged.
        rm -f "$HERE/after-reboot" "$HERE"/step-lived-*
        /bin/sh "$HERE/undo" armed-at-boot "$FIRST" </dev/null >/dev/null 2>&1 &
    else
        decide undo
        take_back_at_boot booting
    fi
}
