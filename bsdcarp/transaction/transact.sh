# Puts one plan into force on this host, as a whole or not at all.
#
# Sent on standard input to /bin/sh -s with, before it, T (the marker of every line of the report), TX (the name of
# this transaction), OWNER (who holds the lock) and STATE (where transactions are kept), and after it the plan as
# functions: plan_check, plan_keep, plan_stage, plan_early, plan_commit, plan_live, plan_restored and live_N, undo_N.
# A script that arrives cut off defines functions and runs none of them.
#
# From the first write on, nothing from outside stops it: a lost session or an interrupt on the operator's side
# leaves the host complete (the script goes on) or untouched (it never began).
#
# Processes are what costs time here: one cksum looks at all files at once, cp and mv take all files of a directory,
# texts are written by sh itself, and lists are kept in variables.  New files are made in a directory of their own
# beside the old ones, DIRECTORY/.bsdcarp-TX, so that mv is a rename.

R=${BSDCARP_ROOT-}
# A printf that is not built in (FreeBSD 8 and older) would show texts, passwords among them, in ps(1).
# shellcheck disable=SC2123  # nothing is to be found there
PATH=/nonexistent
PRINTF=external
if command -v printf >/dev/null 2>&1; then PRINTF=builtin; fi
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

# The staged files and the lock go in one step.
# shellcheck disable=SC2086  # lists are meant to split, here and below
discard() {
    [ -z "$STAGES$LOCKED" ] || rm -rf $STAGES $LOCKED
    STAGES='' LOCKED=''
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
    [ -d "${LOCK%/*}" ] || make_directory "${LOCK%/*}"
    if mkdir "$LOCK" 2>/dev/null; then
        LOCKED=$LOCK
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

# beside PATH sets real, the file behind a symbolic link (mv onto the link would replace the link), stage, the
# directory beside it, and new, where its successor is made.
beside() {
    if [ -h "$R$1" ]; then real=$(realpath "$R$1"); else real=$R$1; fi
    stage=${real%/*}/.bsdcarp-$TX new=${real%/*}/.bsdcarp-$TX/${real##*/}
}

# prepare PATH...: make the directories that these files need, all in one go.
# shellcheck disable=SC2086
prepare() {
    rooms=''
    for f in "$@"; do
        beside "$f"
        [ -d "${real%/*}" ] || make_directory "${real%/*}" || refuse "cannot create ${f%/*}: disk full or read-only"
        rooms=$rooms$STATE/$TX${f%/*}$NL
        case $STAGES in *"$stage$NL"*) ;; *) STAGES=$STAGES$stage$NL ;; esac
    done
    [ -z "$rooms" ] || mkdir -p $rooms $STAGES 2>/dev/null || refuse "cannot write beside $*: disk full or read-only"
}

# keep DIRECTORY NAME...: copies of what is there, under the transaction so that it can come back, and where its
# successor will be, so that mode and owner stay.
# shellcheck disable=SC2086
keep() {
    directory=$1 straight=''
    shift
    for f in "$@"; do
        KEPT=$KEPT$STATE/$TX$directory/$f$NL
        beside "$directory/$f"
        if [ -h "$R$directory/$f" ]; then
            cp -p "$real" "$new" 2>/dev/null || refuse "cannot write beside $directory/$f: disk full or read-only"
            cp -p "$real" "$STATE/$TX$directory/$f" 2>/dev/null || refuse "cannot back up $directory/$f: disk full"
        else
            straight=$straight$real$NL
        fi
    done
    [ -n "$straight" ] || return 0
    cp -p $straight "$STATE/$TX$directory/" 2>/dev/null || refuse "cannot back up $directory: disk full"
    cp -p $straight "$R$directory/.bsdcarp-$TX/" 2>/dev/null ||
        refuse "cannot write beside $directory/$1: disk full or read-only"
}

# keep_absent PATH: there was no such file.
keep_absent() {
    { : >"$STATE/$TX$1.absent"; } 2>/dev/null || refuse "cannot back up $1: disk full"
}

# stage PATH MODE CKSUM LENGTH FORM [TEXT]: the successor of a file, as text, as "escaped" text for printf's %b (dash
# loses the octet 0x80 elsewhere), or as "base64" on standard input.
stage() {
    beside "$1"
    STAGED=$STAGED$new$NL STAGED_SUMS=$STAGED_SUMS$3$NL
    [ -f "$new" ] || [ "$2" = 600 ] || { : >"$new" && chmod "$2" "$new"; } 2>/dev/null ||
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
    same "$KEPT$STAGED" "$SEEN_SUMS$STAGED_SUMS" || refuse "cannot write $WRONG as it should be: disk full"
    [ -z "$KEPT$STAGED" ] || fsync $KEPT $STAGED 2>/dev/null || sync $KEPT $STAGED 2>/dev/null || sync
}

# commit DIRECTORY NAME... / delete PATH...: the only steps that change a file bsdcarp did not make.
# shellcheck disable=SC2086
commit() {
    directory=$1 straight='' touched=''
    shift
    for f in "$@"; do
        DONE=$directory/$f$NL$DONE
        touched="$touched $directory/$f"
        beside "$directory/$f"
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
        DONE=$f$NL$DONE
        beside "$f"
        rm -f "$real" >"$LOCK/said" 2>&1 || undo_all "cannot remove $f: $(cat "$LOCK/said")"
        say file "$f"
    done
}

restore() {
    for f in $DONE; do
        kept=$STATE/$TX$f
        beside "$f"
        if [ -f "$kept.absent" ]; then
            rm -f "$real" || BROKEN="$BROKEN $f"
        else
            cp -p "$kept" "$new" && mv -f "$new" "$real" || BROKEN="$BROKEN $f"
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

# unlive FIRST: takes back live commands from the last one that ran down to FIRST.
unlive() {
    while [ "$LIVE" -ge "$1" ]; do
        "undo_$LIVE" >/dev/null 2>&1 || BROKEN="$BROKEN live-$LIVE"
        LIVE=$((LIVE - 1))
    done
}

# Takes back what was done, last first, and says whether that worked.
undo_all() {
    why=$1
    unlive $((EARLY + 1))
    restore
    [ -z "$DONE" ] || plan_restored >/dev/null 2>&1 || BROKEN="$BROKEN restored"
    unlive 1
    if [ -n "$BROKEN" ]; then say broken "$BROKEN: $why"; else say undone "$why"; fi
    discard
    exit 1
}

transact() {
    STATE=$R$STATE
    LOCK=$R/var/run/bsdcarp.lock LOCKED='' LIVE=0 BROKEN='' WRONG='' DONE=''
    SEEN='' SEEN_SUMS='' STAGES='' STAGED='' STAGED_SUMS='' KEPT=''
    trap '' HUP INT TERM PIPE XFSZ
    say begin
    acquire
    plan_check
    checked
    plan_keep
    plan_stage
    staged
    say staged
    plan_early
    plan_commit
    plan_live
    retire
    discard
    say "done"
}
