# Puts one plan into force on this host, as a whole or not at all, until somebody confirms it or its time is over.
#
# Sent on standard input to /bin/sh -s after common.sh and lock.sh, with OWNER (who holds the lock), TOKEN (what
# confirms), WINDOW (seconds), STEAL and EARLY before it, and after it UNDO (the program that takes everything back) and the plan
# as functions: plan_check, plan_live_check, plan_keep, plan_hooks, plan_stage, plan_early, plan_drain, plan_commit,
# plan_live, plan_undrain and live_N.  Redirections that may fail stand at `true`, never at `:`, because a failure at a
# special built-in ends the shell (POSIX.1, 2.8.1).  A script that arrives cut off defines functions and runs none of them.
#
# From the first write on, nothing from outside stops it: a lost session or an interrupt on the operator's side
# leaves the host complete (the script goes on) or untouched (it never began).  Before the first write the undo is
# armed: a process of its own, which the session's end does not touch, and a boot hook.
#
# Processes are what costs time here: one cksum looks at all files at once, cp and mv take all files of a directory,
# texts are written by sh itself, and lists are kept in variables.

# A failure before the first file is in place: nothing was changed, so take the staged files away and leave.
# shellcheck disable=SC2086  # lists are meant to split, here and below
refuse() {
    if [ -n "$ARMED" ]; then
        decide refused || [ -f "$HERE/token" ] || over
        settle "untouched $1"
    elif [ -n "$PREPARED" ]; then
        rm -rf "$HERE" $STAGES ${MARKED:+"$PENDING"} 2>/dev/null
    fi
    say untouched "$1"
    release
    leave 1
}

# mine: the lock was not stolen.
mine() {
    first "$LOCK/tx"
    [ "$FIRST" = "$TX" ]
}

release() {
    if [ -n "$LOCKED" ] && mine; then rm -rf "$LOCK" 2>/dev/null; fi
    LOCKED=''
}

# Somebody else has decided meanwhile: its time was over before it was done, and the armed undo waits for the lock.
over() {
    release
    say overdue "it took longer than the $WINDOW s it had"
    leave 1
}

# going: asked before every step that changes something.
going() {
    [ -f "$HERE/token" ] || over
    mine || undo_all "somebody took its lock away"
}

# note STEP: without it on the disk, the step is not taken.
note() { true >"$HERE/step-$1" || undo_all "cannot write ${HERE#"$R"}: disk full or read-only"; } 2>/dev/null

acquire() {
    if ! take "$LOCK" "$TX"; then
        [ -n "$HOLDER" ] || refuse "cannot create ${LOCK#"$R"}: disk full or read-only, or not root"
        say locked "$HOLDER"
        leave 1
    fi
    LOCKED=yes
    [ ! -d "$HERE" ] || refuse "$TX ran before"
    if waits "$STATE"; then
        first "$R$STATE/$WAITING/owner"
        say pending "$WAITING $FIRST"
        release
        leave 1
    fi
    if [ -f "$PENDING" ]; then
        # Its end was cut short, or it was never armed.
        HERE=$R$STATE/$WAITING ours=$TX
        TX=$WAITING
        decided
        [ ! -f "$HERE/outcome" ] || settle "$OUTCOME"
        TX=$ours
        rm -f "$PENDING"
    fi
    bury
}

# bury: goes away what transactions left that died before they were armed; COUNT is the number of the newest that stays.
bury() {
    dead='' COUNT=0
    for d in "$R$STATE"/tx-*; do
        number "$d"
        [ "$NUMBER" -le "$COUNT" ] || COUNT=$NUMBER
        [ ! -f "$d/outcome" ] && [ -d "$d" ] || continue
        HERE=$d
        decided
        [ -n "$VERDICT" ] || dead=$dead$d$NL
    done
    HERE=$R$STATE/$TX
    # shellcheck disable=SC2086
    [ -z "$dead" ] || rm -rf $dead
}

# same FILES SUMS: every file has its sum; otherwise WRONG names the first that has not.
# shellcheck disable=SC2086
same() {
    sums=$2 expected=''
    set -- $1
    [ $# -gt 0 ] || return 0
    for f in "$@"; do
        expected=$expected${sums%%"$NL"*}' '$f$NL
        sums=${sums#*"$NL"}
    done
    [ "$(cksum "$@" 2>/dev/null)$NL" != "$expected" ] || return 0
    for f in "$@"; do
        WRONG=${f#"$R"}
        case $expected in *"$(cksum <"$f" 2>/dev/null) $f$NL"*) ;; *) return 1 ;; esac
    done
    return 1
}

# check PATH CKSUM-or-"absent": the file is still what the plan saw (of those that exist, staged says so).
check() {
    if [ "$2" = absent ]; then
        [ ! -e "$R$1" ] || refuse "$1 appeared since the plan was made"
        [ ! -h "$R$1" ] || refuse "$1 is a symbolic link to nowhere"
    else
        [ -f "$R$1" ] || refuse "$1 went away since the plan was made"
        SEEN=$SEEN$R$1$NL SEEN_SUMS=$SEEN_SUMS$2$NL
    fi
}

# leaving PATH: it will be removed, but whose the file behind a symbolic link is, only the operator knows.
leaving() { [ ! -h "$R$1" ] || refuse "$1 is a symbolic link: remove it by hand"; }

# prepare PATH...: make the directories that these files need, all in one go.
# shellcheck disable=SC2086
prepare() {
    rooms=$HERE$NL dead=''
    PREPARED=yes
    for f in "$@"; do
        beside "$f"
        # Our own directory is for root alone, and comes with the next mkdir.
        [ "${real%/*}" = "$R$STATE" ] || [ -d "${real%/*}" ] || make_directory "${real%/*}" || refuse "cannot create ${f%/*}: disk full or read-only"
        rooms=$rooms$HERE${f%/*}$NL
        case $STAGES in *"$stage$NL"*) continue ;; esac
        STAGES=$STAGES$stage$NL
        rooms=$rooms$stage/new$NL$stage/old$NL
        for d in "${real%/*}"/.bsdcarp-tx-*; do [ ! -d "$d" ] || dead=$dead$d$NL; done
    done
    [ -z "$dead" ] || rm -rf $dead
    mkdir -p $rooms 2>/dev/null || refuse "cannot write beside $*: disk full or read-only"
}

# keep DIRECTORY NAME...: what is there stays under the transaction, so that it can come back at any time, and a copy
# is made where its successor will be, so that mode and owner stay.  On the same file system the file itself gets a
# second name there, which costs nothing and comes back even when the disk is full by then; elsewhere the second name
# is beside it and the transaction has a copy.
# shellcheck disable=SC2086
keep() {
    directory=$1 straight=''
    shift
    for f in "$@"; do
        KEPT=$KEPT$HERE$directory/$f$NL
        beside "$directory/$f"
        if [ -h "$R$directory/$f" ]; then
            cp -p "$real" "$new" 2>/dev/null || refuse "cannot write beside $directory/$f: disk full or read-only"
            cp -p "$real" "$HERE$directory/$f" 2>/dev/null || refuse "cannot back up $directory/$f: disk full"
            ln "$real" "$old" 2>/dev/null || cp -p "$real" "$old" 2>/dev/null ||
                refuse "cannot write beside $directory/$f: disk full or read-only"
        else
            straight=$straight$real$NL
        fi
    done
    [ -n "$straight" ] || return 0
    cp -p $straight "$R$directory/.bsdcarp-$TX/new/" 2>/dev/null ||
        refuse "cannot write beside $directory/$1: disk full or read-only"
    if ln $straight "$HERE$directory/" 2>/dev/null && put "$HERE$directory/.linked" yes; then
        LINKED=$LINKED$HERE$directory/.linked$NL
        return
    fi
    # shellcheck disable=SC3013  # every sh of FreeBSD, dash, bash and busybox has it
    for f in "$@"; do [ ! "$HERE$directory/$f" -ef "$R$directory/$f" ] || rm -f "$HERE$directory/$f"; done
    cp -p $straight "$HERE$directory/" 2>/dev/null || refuse "cannot back up $directory: disk full"
    { ln $straight "$R$directory/.bsdcarp-$TX/old/" || cp -p $straight "$R$directory/.bsdcarp-$TX/old/"; } 2>/dev/null ||
        refuse "cannot write beside $directory/$1: disk full or read-only"
}

# stage PATH MODE CKSUM LENGTH FORM [TEXT]: the successor of a file, as text, as "escaped" text for printf's %b (dash
# loses the octet 0x80 elsewhere), as "base64" on standard input, or as the path of a "copy", mode and owner included.
stage() {
    beside "$1"
    STAGED=$STAGED$new$NL STAGED_SUMS=$STAGED_SUMS$3$NL
    if [ "$5" = copy ]; then
        cp -p "$R$6" "$new" 2>/dev/null || refuse "cannot write beside $1: disk full or read-only"
        return
    fi
    [ -f "$new" ] || [ "$2" = 600 ] || { true >"$new" && chmod "$2" "$new"; } 2>/dev/null ||
        refuse "cannot write beside $1: disk full or read-only"    # 600 is what the umask makes
    case $5-$PRINTF in
        base64-*) base64 -d ;;
        escaped-*) printf '%b' "$6" ;;
        text-builtin) printf '%s' "$6" ;;
        *) head -c "$4" <<EOF ;;
$6
EOF
    esac 2>/dev/null >"$new" || refuse "cannot write beside $1: disk full or read-only"
    case $1 in
        /etc/rc.conf*)
            sh -n "$new" 2>/dev/null || refuse "the new $1 would not parse; this is a bug in bsdcarp" ;;
    esac
}

# staged SUMS-of-what-was-kept: the copies are whole, what was written is what was sent, and both are on the disk.
# shellcheck disable=SC2086
staged() {
    same "$SEEN$KEPT$STAGED" "$SEEN_SUMS$SEEN_SUMS$STAGED_SUMS" || case $NL$SEEN in
        *"$NL$R$WRONG$NL"*) refuse "$WRONG changed since the plan was made" ;;
        *) refuse "cannot write $WRONG as it should be: disk full" ;;
    esac
    set -- "$HERE/undo" "$PENDING" $KEPT $LINKED $STAGED
    set -- "$@" "$HERE/token" "$HERE/leavings"
    for f in $HOOKS; do [ -h "$R$f" ] || set -- "$@" "$R$f"; done
    fsync "$@" 2>/dev/null || sync "$@" 2>/dev/null || sync
}

# commit DIRECTORY NAME... / delete PATH...: the only steps that change a file bsdcarp did not make.
# shellcheck disable=SC2086
commit() {
    directory=$1 straight='' touched=''
    shift
    going
    for f in "$@"; do
        touched="$touched $directory/$f"
        beside "$directory/$f"
        FINAL=$FINAL$real$NL
        if [ -h "$R$directory/$f" ]; then
            said=$(mv -f "$new" "$real" 2>&1) || undo_all "cannot replace $directory/$f: $said"
        else
            straight=$straight$new$NL
        fi
    done
    [ -z "$straight" ] || mv -f $straight "$R$directory/" >"$LOCK/said" 2>&1 ||
        undo_all "cannot replace$touched: $(cat "$LOCK/said")"
    for f in "$@"; do say file "$directory/$f"; done
}

delete() {
    for f in "$@"; do
        going
        FINAL=$FINAL$R${f%/*}$NL
        rm -f "$R$f" >"$LOCK/said" 2>&1 || undo_all "cannot remove $f: $(cat "$LOCK/said")"
        say file "$f"
    done
}

# live N: runs live command N; its output is shown only when it fails.  A command that fails may have acted in part
# (a rejected advskew leaves an empty vhid behind, recorded on FreeBSD 12.1), so its own undo runs too, unjudged.
live() {
    going
    note "live-$1"
    "live_$1" >"$LOCK/said" 2>&1 || {
        why="status $?: $(cat "$LOCK/said")"
        say failed "$1"
        undo_all "$why"
    }
    note "lived-$1"
    say live "$1"
}

# drain: this host gives its roles away before it is touched, and takes the demotion back before it ends.  The amount
# is on the disk before it is in force.
drain() {
    going
    before=$(plan_demotion)
    put "$HERE/step-drain" "$1 $before" || undo_all "cannot write ${HERE#"$R"}: disk full or read-only"
    plan_demote >"$LOCK/said" 2>&1 || undo_all "cannot demote: $(cat "$LOCK/said")"
    patience=10
    while [ "$patience" -gt 0 ] && plan_is_master; do
        sleep 1
        patience=$((patience - 1))
    done
    say drained "$1"
}

undrain() {
    plan_undrain >"$LOCK/said" 2>&1 || undo_all "cannot take the demotion back: $(cat "$LOCK/said")"
    note undrained
    after=$(plan_demotion)
    [ "$before" = "$after" ] || say demotion "$before $after"
}

# Everything is taken back by the very program that would do so without us.
undo_all() {
    report
    BSDCARP_MARK=$T /bin/sh "$HERE/undo" failed "$1"
    status=$?
    release
    leave "$status"
}

# The undo is ready before anything is changed.  Where nothing better is there, a process that ignores the end of the
# session will do: sshd leaves such ones alone.
arm() {
    # Without a window nothing is left for a restart to do.
    [ "$WINDOW" -gt 0 ] || HOOKS=''
    leavings=$STAGES
    for f in $HOOKS; do leavings=$leavings$R$f$NL; done
    put "$HERE/leavings" "${leavings%"$NL"}" && put "$HERE/token" "$TOKEN" && put "$HERE/owner" "$OWNER" &&
        put "$HERE/number" "$((COUNT + 1))" &&
        put "$HERE/plan" "$PLAN" && { [ -z "$REBOOT_WINDOW" ] || put "$HERE/after-reboot" "$REBOOT_WINDOW"; } &&
        put "$HERE/undo" "$UNDO" ||
        refuse "cannot write ${HERE#"$R"}: disk full"
    # Of two that go at the same time, because one took the lock away from the other, only one gets here.
    set -C
    { true >"$PENDING"; } 2>/dev/null || refuse "another transaction began meanwhile, or cannot write ${PENDING#"$R"}"
    set +C
    MARKED=yes
    put "$PENDING" "$TX" || refuse "cannot write ${PENDING#"$R"}: disk full"
    ARMED=yes
    [ "$WINDOW" -gt 0 ] || return 0
    plan_hooks
    if [ -z "$R" ] && [ "$SYSTEM" = linux ] && [ -d /run/systemd/system ]; then
        # It ignores SIGTERM, and a shutdown shall not wait for it: the boot hook goes on where it was cut off.
        systemd-run --quiet --collect --unit="bsdcarp-$TX" --property=KillSignal=SIGKILL \
            /bin/sh "$HERE/undo" armed "$WINDOW" 2>/dev/null && return
    elif [ "$SYSTEM" = freebsd ]; then
        daemon -f /bin/sh "$HERE/undo" armed "$WINDOW" 2>/dev/null && return
    fi
    (trap '' HUP; exec /bin/sh "$HERE/undo" armed "$WINDOW") </dev/null >/dev/null 2>&1 &
}

# hook PATH MODE TEXT: one file of the boot hook; the hook does nothing once there is a verdict.
hook() {
    { [ -d "$R${1%/*}" ] || make_directory "$R${1%/*}"; } && put "$R$1" "$3" && chmod "$2" "$R$1" 2>/dev/null ||
        refuse "cannot write the boot hook $1: disk full or read-only"
}

hook_link() {
    { [ -d "$R${1%/*}" ] || make_directory "$R${1%/*}"; } && ln -sf "$2" "$R$1" 2>/dev/null ||
        refuse "cannot write the boot hook $1: disk full or read-only"
}

# The vhids of the running system and the addresses that belong to them, without the roles, which change by
# themselves: VHIDS and ADDRESSES, a line each.
live_state() {
    VHIDS='' ADDRESSES='' interface=''
    lines=$(ifconfig -a 2>/dev/null)
    set -f
    for line in $lines; do
        case $line in
            [a-z]*:*) interface=${line%%:*} ;;
            *carp:*vhid*)
                IFS=' '
                # shellcheck disable=SC2086
                set -- ${line#*vhid }
                IFS=$NL
                VHIDS="$VHIDS$interface $1 $3 $5$NL" ;;
            *inet*)
                IFS=' '
                # shellcheck disable=SC2086
                set -- ${line#*inet}
                IFS=$NL
                address=$1
                [ "$address" != 6 ] || address=$2
                address=${address%%%*}
                case $line in
                    *' vhid '*)
                        vhid=${line##* vhid }
                        ADDRESSES="$ADDRESSES$interface $address ${vhid%% *}$NL" ;;
                    *) case $interface in carp[0-9]*) ADDRESSES="$ADDRESSES$interface $address$NL" ;; esac ;;
                esac ;;
        esac
    done
    set +f
}

# as_seen VHIDS ADDRESSES: the running system is still what the plan saw.
as_seen() {
    live_state
    [ "$VHIDS" = "$1" ] || refuse "a vhid was changed on the running system since the plan was made"
    [ "$ADDRESSES" = "$2" ] || refuse "an address of a vhid was changed on the running system since the plan was made"
}

# landed: the new files stay, whatever happens to the power.  FreeBSD's sync(8) only schedules that; on Linux it is
# done, and once is enough, by what confirms.
# shellcheck disable=SC2086
landed() { [ "$SYSTEM" != freebsd ] || [ -z "$FINAL" ] || fsync $FINAL 2>/dev/null || sync; }

transact() {
    LOCKED='' MARKED='' ARMED='' PREPARED='' WRONG=''
    FINAL='' LINKED='' SEEN='' SEEN_SUMS='' STAGES='' STAGED='' STAGED_SUMS='' KEPT=''
    trap '' HUP INT TERM PIPE XFSZ
    say begin
    acquire
    plan_check
    plan_live_check
    plan_keep
    arm
    say armed
    plan_stage
    staged
    say staged
    plan_early
    plan_drain
    plan_commit
    plan_live
    plan_undrain_after
    # Without a window nobody is waited for.
    [ "$WINDOW" -eq 0 ] || landed
    going
    note "done"
    if [ "$WINDOW" -eq 0 ]; then
        if mine; then UNLOCK=$LOCK; fi
        finalize
    fi
    release
    say "done"
    report
}
