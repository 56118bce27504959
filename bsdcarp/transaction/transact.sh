# Puts one plan into force on this host, as a whole or not at all.
#
# Sent on standard input to /bin/sh -s with, before it, T (the marker of every line of the report) and TX (the name
# of this transaction), and after it the plan as functions: plan_check, plan_stage, plan_commit, plan_live.  A script
# that arrives cut off defines functions and runs none of them.
#
# From the first write on, nothing from outside stops it: a lost session or an interrupt on the operator's side
# leaves the host complete (the script goes on) or untouched (it never began).

R=${BSDCARP_ROOT-}
PATH=${BSDCARP_PATH:+$BSDCARP_PATH:}/sbin:/bin:/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin
LC_ALL=C
# Lists of paths are split at newlines only.
IFS='
'
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

discard() {
    for f in $STAGED; do rm -f "$f"; done
    release
}

# Twenty transactions are kept; their names sort by time.
retire() {
    for f in $(ls -r "$STATE" | sed -n '/^tx-/p' | sed '1,20d'); do rm -rf "${STATE:?}/$f"; done
}

release() {
    if [ -n "$LOCKED" ]; then
        rm -f "$LOCK/owner"
        rmdir "$LOCK" 2>/dev/null
        LOCKED=
    fi
}

acquire() {
    mkdir -p "$STATE" 2>/dev/null && chmod 700 "$STATE" 2>/dev/null
    [ -d "${LOCK%/*}" ] || make_directory "${LOCK%/*}"
    if mkdir "$LOCK" 2>/dev/null; then
        LOCKED=yes
        printf '%s\n' "$OWNER" >"$LOCK/owner" 2>/dev/null || refuse "cannot write to ${LOCK#"$R"}: disk full or read-only"
    elif [ -d "$LOCK" ]; then
        say locked "$(cat "$LOCK/owner" 2>/dev/null)"
        exit 1
    else
        refuse "cannot create ${LOCK#"$R"}: disk full or read-only"
    fi
}

# check PATH CKSUM-or-"absent": the file is still what the plan saw.
check() {
    if [ "$2" = absent ]; then
        [ ! -e "$R$1" ] || refuse "$1 appeared since the plan was made"
    else
        [ -f "$R$1" ] || refuse "$1 went away since the plan was made"
        [ "$(cksum <"$R$1")" = "$2" ] || refuse "$1 changed since the plan was made"
    fi
}

# Directories for files that everybody may read, like /usr/src/sys/amd64/conf.
make_directory() { (umask 022 && mkdir -p "$1") 2>/dev/null; }

# The real file behind a symbolic link; mv onto the link itself would replace the link.
target() {
    if [ -h "$R$1" ]; then realpath "$R$1"; else printf '%s\n' "$R$1"; fi
}

# stage PATH MODE CKSUM LENGTH [escaped]: the first LENGTH octets of standard input (a here-document, which may have one
# newline too many) become PATH.bsdcarp-TX beside the real file, with its mode and owner.  Text with octets that are
# not ASCII comes escaped for printf's %b: dash loses the octet 0x80 in a here-document.
stage() {
    real=$(target "$1")
    new=$real.bsdcarp-$TX
    dir=${real%/*}
    [ -d "$dir" ] || make_directory "$dir" || refuse "cannot create ${dir#"$R"}: disk full or read-only"
    STAGED="$STAGED
$new"
    if [ -f "$real" ]; then
        cp -p "$real" "$new" 2>/dev/null || refuse "cannot write beside $1: disk full or read-only"
    else
        : 2>/dev/null >"$new" || refuse "cannot write beside $1: disk full or read-only"
        chmod "$2" "$new"
    fi
    if [ -n "${5-}" ]; then printf '%b' "$(cat)"; else head -c "$4"; fi 2>/dev/null >"$new" ||
        refuse "cannot write beside $1: disk full"
    [ "$(cksum <"$new")" = "$3" ] || refuse "what was written beside $1 is not what was sent: disk full"
    case $1 in
        /etc/rc.conf*)
            sh -n "$new" 2>/dev/null || refuse "the new $1 would not parse; this is a bug in bsdcarp" ;;
    esac
    fsync "$new" 2>/dev/null || sync "$new" 2>/dev/null || :
}

# backup PATH: keep what is there under the transaction, so that it can come back.
backup() {
    keep=$STATE/$TX$1
    mkdir -p "${keep%/*}" 2>/dev/null || refuse "cannot back up $1: disk full"
    if [ -f "$R$1" ]; then
        cp -p "$R$1" "$keep" 2>/dev/null || refuse "cannot back up $1: disk full"
        [ "$(cksum <"$R$1")" = "$(cksum <"$keep")" ] || refuse "cannot back up $1: disk full"
    else
        : 2>/dev/null >"$keep.absent" || refuse "cannot back up $1: disk full"
    fi
}

# commit PATH / delete PATH: the only two steps that change a file bsdcarp did not make.
commit() {
    real=$(target "$1")
    DONE="$1
$DONE"
    said=$(mv -f "$real.bsdcarp-$TX" "$real" 2>&1) || { undo_all "cannot replace $1: $said"; }
    say file "$1"
}

delete() {
    DONE="$1
$DONE"
    said=$(rm -f "$(target "$1")" 2>&1) || { undo_all "cannot remove $1: $said"; }
    say file "$1"
}

restore() {
    for f in $DONE; do
        keep=$STATE/$TX$f
        real=$(target "$f")
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
    said=$("live_$1" 2>&1) || {
        why="status $?: $said"
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
    LOCK=$R/var/run/bsdcarp.lock LOCKED='' STAGED='' DONE='' BROKEN='' LIVE=0
    trap '' HUP INT TERM PIPE
    say begin
    [ "$(id -u)" = 0 ] || refuse "not root"
    acquire
    plan_check
    plan_stage
    say staged
    plan_commit
    plan_live
    retire
    release
    say "done"
}
