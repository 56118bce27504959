# What every program of a transaction shares: where things are, and how a transaction ends.
#
# Before it come waits.sh, TX (the name of the transaction), STATE (where the host keeps transactions), KEEP (how
# many), SYSTEM (freebsd or linux), T (the marker of every line of a report; empty where nobody listens).

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

HERE=$R$STATE/$TX
PENDING=$R$STATE/pending
UNLOCK=''
LOCK=$R/var/run/bsdcarp.lock

# say WORD [TEXT] keeps it for report, which passes all of it on in one piece: every write is a packet.
SAID=''
say() { [ -z "$T" ] || SAID="$SAID$NL$T $1 ${2-}$NL"; }

report() {
    case $SAID-$PRINTF in
        -*) ;;
        *-builtin) printf '%s' "$SAID" 2>/dev/null || : ;;
        *) cat <<EOF ;;
$SAID
EOF
    esac
    SAID=''
}

leave() {
    report
    exit "$1"
}

# Directories for files that everybody may read, like /usr/src/sys/amd64/conf.
make_directory() { (umask 022 && mkdir -p "$1") 2>/dev/null; }

# beside PATH sets real, the file behind a symbolic link (mv onto the link would replace the link), stage, a
# directory beside it, new, where its successor is made, and old, where the file itself stays: so that both ways are
# a rename, which is atomic and needs no room on the disk.
beside() {
    if [ -h "$R$1" ]; then real=$(realpath "$R$1"); else real=$R$1; fi
    stage=${real%/*}/.bsdcarp-$TX
    new=$stage/new/${real##*/} old=$stage/old/${real##*/}
}

# put FILE TEXT: the text and a newline, which no process but sh sees.
put() {
    case $PRINTF in
        builtin) printf '%s\n' "$2" >"$1" ;;
        *) cat >"$1" <<EOF ;;
$2
EOF
    esac 2>/dev/null
}

# decide WORD: the file with the claim gets its new name exactly once, and with it is decided how all ends.
decide() { mv -f "$HERE/token" "$HERE/verdict-$1" 2>/dev/null; }

# decided: what was decided, as VERDICT, empty when nothing is, and how that is told, as OUTCOME.
decided() {
    VERDICT='' OUTCOME=''
    for f in confirm:confirmed undo:undone refused:untouched; do
        [ ! -f "$HERE/verdict-${f%:*}" ] || VERDICT=${f%:*} OUTCOME=${f#*:}
    done
    first "$HERE/outcome"
    OUTCOME=${FIRST:-$OUTCOME}
}

# at_work: this transaction holds the lock, and its process lives.  The lock of one that died goes.
at_work() {
    [ -d "$LOCK" ] || return 1
    first "$LOCK/tx"
    # One that died while it took its lock away left half of it.
    [ "${FIRST:-$TX}" = "$TX" ] || return 1
    first "$LOCK/pid"
    if [ -n "$FIRST" ] && kill -0 "$FIRST" 2>/dev/null; then return 0; fi
    rm -rf "$LOCK" 2>/dev/null
    return 1
}

# Drops what only a transaction under way needs: the boot hook, the staged files, and at last the mark that one is
# pending.  The hook has the same name in every transaction, so it is ours only while the mark names us.
settle() {
    outcome=$1 rooms=''
    [ -s "$HERE/outcome" ] || put "$HERE/outcome" "$outcome" || :
    first "$PENDING"
    [ -z "${BOOTED-}" ] || FIRST=$TX
    set --
    if [ -f "$HERE/leavings" ]; then
        while IFS= read -r f; do
            case $f in
                "$R$STATE/.bsdcarp-$TX") ;;
                */bsdcarp/.bsdcarp-"$TX") rooms=$rooms${f%/*}$NL ;;
                */.bsdcarp-"$TX") ;;
                *) [ "$FIRST" = "$TX" ] || continue ;;
            esac
            set -- "$@" "$f"
        done <"$HERE/leavings"
    fi
    # What was not changed, or came back, needs no second name any more.
    case $outcome in untouched* | undone*) set -- "$@" "$HERE"/*/ ;; esac
    [ "$FIRST" != "$TX" ] || set -- "$@" "$PENDING"
    # Whoever holds the lock and is done with everything lets it go with the rest, as the last.
    rm -rf "$@" ${UNLOCK:+"$UNLOCK"} 2>/dev/null
    # A directory of ours goes with its last file.
    for d in $rooms; do rmdir "$d" 2>/dev/null || :; done
    # There is room on a full disk now.
    [ -s "$HERE/outcome" ] || put "$HERE/outcome" "$outcome" || :
}

# finalize: nothing is final that a power loss could still take away, and nobody hears of it before that is so, too.
# FINAL lists files that are not known to be on the disk yet.  Fails when something else was decided before.
finalize() {
    [ "$SYSTEM" = freebsd ] || sync
    decide confirm || [ -f "$HERE/verdict-confirm" ] || return 1
    # shellcheck disable=SC2086  # what was not on the disk before is a list
    fsync ${FINAL-} "$HERE/verdict-confirm" 2>/dev/null || sync
    at_work || :
    retire
    settle confirmed
}

# number DIRECTORY: which one it was on this host, as NUMBER.  Names hold the clocks of those who made them, and clocks
# disagree; what was made before there were numbers has 0.
number() {
    first "$1/number"
    case $FIRST in '' | *[!0-9]*) NUMBER=0 ;; *) NUMBER=$FIRST ;; esac
}

# KEEP transactions are kept; the oldest of those that have ended go.  One that has just begun has no number yet.
retire() {
    set -- "$R$STATE"/tx-*
    surplus=$(($# - KEEP))
    while [ "$surplus" -gt 0 ]; do
        oldest='' least=''
        for f in "$@"; do
            [ -f "$f/outcome" ] && [ "$f" != "$HERE" ] || continue
            number "$f"
            if [ -z "$least" ] || [ "$NUMBER" -lt "$least" ]; then oldest=$f least=$NUMBER; fi
        done
        [ -n "$oldest" ] && rm -rf "$oldest" 2>/dev/null || break
        surplus=$((surplus - 1))
    done
}
