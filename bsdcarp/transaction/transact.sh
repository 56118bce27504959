# Puts one plan into force on this host, as a whole or not at all.
#
# Sent on standard input to /bin/sh -s with, before it, T (the marker of every line of the report), TX (the name of
# this transaction) and OWNER (who holds the lock), and after it the plan as functions: plan_check, plan_stage,
# plan_commit, plan_live and live_N, undo_N.  A script that arrives cut off defines functions and runs none of them.
#
# From the first write on, nothing from outside stops it: a lost session or an interrupt on the operator's side
# leaves the host complete (the script goes on) or untouched (it never began).
#
# Processes are what costs time here, so one cksum looks at all files at once and lists are kept in variables.

R=${BSDCARP_ROOT-}
PATH=${BSDCARP_PATH:+$BSDCARP_PATH:}/sbin:/bin:/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin
LC_ALL=C
# Lists of paths end every item with a newline and are split at newlines only.
NL='
'
IFS=$NL
export PATH LC_ALL
umask 077

# say WORD [TEXT]
say() { printf '\n%s %s %s\n' "$T" "$1" "${2-}" 2>/dev/null || :; }

# A failure before the first file is in place: take the staged files away and leave.
refuse() {
    say untouched "$1"
    discard
    exit 1
}

# shellcheck disable=SC2086  # lists are meant to split, here and below
discard() {
    [ -z "$STAGED" ] || rm -f $STAGED
    release
}

release() {
    [ -z "$LOCKED" ] || rm -rf "$LOCK"
    LOCKED=''
}

# Twenty transactions are kept; a pattern lists their names in order of time.
retire() {
    set -- "$STATE"/tx-*
    while [ $# -gt 20 ]; do
        rm -rf "$1"
        shift
    done
}

acquire() {
    [ -d "$STATE" ] || mkdir -p "$STATE" 2>/dev/null || refuse "cannot create ${STATE#"$R"}: disk full or read-only"
    [ -d "${LOCK%/*}" ] || make_directory "${LOCK%/*}"
    if mkdir "$LOCK" 2>/dev/null; then
        LOCKED=yes
        { printf '%s\n' "$OWNER" >"$LOCK/owner"; } 2>/dev/null || refuse "cannot write: disk full or read-only"
    elif [ -d "$LOCK" ]; then
        say locked "$(cat "$LOCK/owner" 2>/dev/null)"
        exit 1
    else
        refuse "cannot create ${LOCK#"$R"}: disk full or read-only, or not root"
    fi
}

# Directories for files that everybody may read, like /usr/src/sys/amd64/conf.
make_directory() { (umask 022 && mkdir -p "$1") 2>/dev/null; }

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

# check PATH CKSUM-or-"absent": the file is still what the plan saw (checked says so for those that exist).
check() {
    if [ "$2" = absent ]; then
        [ ! -e "$R$1" ] || refuse "$1 appeared since the plan was made"
    else
        [ -f "$R$1" ] || refuse "$1 went away since the plan was made"
        SEEN=$SEEN$R$1$NL SEEN_SUMS=$SEEN_SUMS$2$NL
    fi
}

checked() { same "$SEEN" "$SEEN_SUMS" || refuse "$WRONG changed since the plan was made"; }

# Sets real to the file behind a symbolic link; mv onto the link itself would replace the link.
resolve() { if [ -h "$R$1" ]; then real=$(realpath "$R$1"); else real=$R$1; fi; }

# stage PATH MODE CKSUM LENGTH [escaped]: the first LENGTH octets of standard input (a here-document, which may have one
# newline too many) become PATH.bsdcarp-TX beside the real file, with its mode and owner.  Text with octets that are
# not ASCII comes escaped for printf's %b: dash loses the octet 0x80 in a here-document.
stage() {
    resolve "$1"
    new=$real.bsdcarp-$TX
    [ -d "${real%/*}" ] || make_directory "${real%/*}" || refuse "cannot create ${1%/*}: disk full or read-only"
    STAGED=$STAGED$new$NL STAGED_SUMS=$STAGED_SUMS$3$NL
    if [ -f "$real" ]; then
        cp -p "$real" "$new" 2>/dev/null || refuse "cannot write beside $1: disk full or read-only"
    else
        { : >"$new"; } 2>/dev/null || refuse "cannot write beside $1: disk full or read-only"
        [ "$2" = 600 ] || chmod "$2" "$new"    # 600 is what the umask makes
    fi
    if [ -n "${5-}" ]; then printf '%b' "$(cat)"; else head -c "$4"; fi 2>/dev/null >"$new" ||
        refuse "cannot write beside $1: disk full"
    case $1 in
        /etc/rc.conf*)
            sh -n "$new" 2>/dev/null || refuse "the new $1 would not parse; this is a bug in bsdcarp" ;;
    esac
}

# staged: what was written is what was sent, and on the disk.
# shellcheck disable=SC2086
staged() {
    same "$STAGED" "$STAGED_SUMS" || refuse "what was written to $WRONG is not what was sent: disk full"
    [ -z "$STAGED" ] || fsync $STAGED 2>/dev/null || sync $STAGED 2>/dev/null || sync
}

# keep_in DIRECTORY...: where the old files of this transaction will lie.
keep_in() { (cd "$STATE" && mkdir -p "$TX" && cd "$TX" && mkdir -p "$@") 2>/dev/null || refuse "cannot back up: disk full"; }

# backup PATH CKSUM-or-"absent": keep what is there under the transaction, so that it can come back.
backup() {
    keep=$STATE/$TX$1
    if [ "$2" = absent ]; then
        { : >"$keep.absent"; } 2>/dev/null || refuse "cannot back up $1: disk full"
    else
        cp -p "$R$1" "$keep" 2>/dev/null || refuse "cannot back up $1: disk full"
        KEPT=$KEPT$keep$NL KEPT_SUMS=$KEPT_SUMS$2$NL
    fi
}

kept() { same "$KEPT" "$KEPT_SUMS" || refuse "cannot back up as $WRONG: disk full"; }

# commit PATH / delete PATH: the only two steps that change a file bsdcarp did not make.
commit() {
    resolve "$1"
    DONE=$1$NL$DONE
    said=$(mv -f "$real.bsdcarp-$TX" "$real" 2>&1) || undo_all "cannot replace $1: $said"
    say file "$1"
}

delete() {
    resolve "$1"
    DONE=$1$NL$DONE
    said=$(rm -f "$real" 2>&1) || undo_all "cannot remove $1: $said"
    say file "$1"
}

restore() {
    for f in $DONE; do
        keep=$STATE/$TX$f
        resolve "$f"
        if [ -f "$keep.absent" ]; then
            rm -f "$real" || BROKEN="$BROKEN $f"
        else
            cp -p "$keep" "$real.bsdcarp-$TX" && mv -f "$real.bsdcarp-$TX" "$real" || BROKEN="$BROKEN $f"
        fi
    done
}

# live N: runs live command N; its output is shown only when it fails.  A command that fails may have acted in part
# (a rejected advskew leaves an empty vhid behind, recorded on FreeBSD 12.1), so its own undo runs too, unjudged.
live() {
    "live_$1" >"$LOCK/said" 2>&1 || {
        why="status $?: $(cat "$LOCK/said")"
        say failed "$1"
        "undo_$1" >/dev/null 2>&1
        undo_all "$why"
    }
    LIVE=$1
    say live "$1"
}

# Takes back what was done, last first, and says whether that worked.
undo_all() {
    why=$1
    n=$LIVE
    while [ "$n" -gt 0 ]; do
        "undo_$n" >/dev/null 2>&1 || BROKEN="$BROKEN live-$n"
        n=$((n - 1))
    done
    restore
    if [ -n "$BROKEN" ]; then say broken "$BROKEN: $why"; else say undone "$why"; fi
    discard
    exit 1
}

transact() {
    STATE=$R/var/db/bsdcarp
    [ -d "$R/var/db" ] || STATE=$R/var/lib/bsdcarp
    LOCK=$R/var/run/bsdcarp.lock LOCKED='' LIVE=0 BROKEN='' WRONG='' DONE=''
    SEEN='' SEEN_SUMS='' STAGED='' STAGED_SUMS='' KEPT='' KEPT_SUMS=''
    trap '' HUP INT TERM PIPE
    say begin
    acquire
    plan_check
    checked
    plan_stage
    kept
    staged
    say staged
    plan_commit
    plan_live
    retire
    release
    say "done"
}
