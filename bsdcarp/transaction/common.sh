# What every program of a transaction shares: where things are, and how a transaction ends.
#
# Before it come TX (the name of the transaction), STATE (where the host keeps transactions), SYSTEM (freebsd or
# linux), T (the marker of every line of a report; empty where nobody listens).

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
LOCK=$R/var/run/bsdcarp.lock

# say WORD [TEXT]
say() { [ -z "$T" ] || printf '\n%s %s %s\n' "$T" "$1" "${2-}" 2>/dev/null || :; }

# Directories for files that everybody may read, like /usr/src/sys/amd64/conf.
make_directory() { (umask 022 && mkdir -p "$1") 2>/dev/null; }

# beside PATH sets real, the file behind a symbolic link (mv onto the link would replace the link), stage, a
# directory beside it, and new, where its successor is made: so mv is a rename.
beside() {
    if [ -h "$R$1" ]; then real=$(realpath "$R$1"); else real=$R$1; fi
    stage=${real%/*}/.bsdcarp-$TX new=${real%/*}/.bsdcarp-$TX/${real##*/}
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

# decide WORD: exactly one of confirmation and undo makes this directory, and with it decides how it all ends.
decide() { mkdir "$HERE/verdict" 2>/dev/null && echo "$1" >"$HERE/verdict/word"; }

# Drops what only a transaction under way needs: the boot hook, the staged files, the mark that one is pending.
# shellcheck disable=SC2086  # lists are meant to split
settle() {
    put "$HERE/outcome" "$1" || :
    waiting=''
    if [ -f "$PENDING" ]; then IFS= read -r waiting <"$PENDING" || :; fi
    [ "$waiting" = "$TX" ] || waiting=''
    set --
    for f in $HOOKS; do set -- "$@" "$R$f"; done
    rm -rf ${waiting:+"$PENDING"} "$@" "$HERE/token" $STAGES
}
