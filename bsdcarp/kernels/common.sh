# What every kernel program shares: where things are, how it reports, and the host's lock.
#
# Before it come T (the marker of every line of a report), IDENT (the kernel configuration), ARCH (its directory below
# /usr/src/sys) and TARGET: empty, or where another system is mounted, a boot environment or a jail.  Sources and
# object files are those of the running system; what is installed goes below TARGET.

R=${BSDCARP_ROOT-}
PATH=${BSDCARP_PATH:+$BSDCARP_PATH:}/sbin:/bin:/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin
LC_ALL=C
export PATH LC_ALL
umask 077

SRC=$R/usr/src
CONF=$SRC/sys/$ARCH/conf/$IDENT
JOB=$R/var/db/bsdcarp/kernel/$IDENT
BOOT=$R$TARGET/boot
LOCK=$R/var/run/bsdcarp.lock
LOCKED=''

# say WORD [TEXT]
say() { printf '\n%s %s %s\n' "$T" "$1" "${2-}" 2>/dev/null || :; }

# stop WORD [TEXT]: nothing more is done.
stop() {
    say "$@"
    release
    exit 1
}

release() {
    [ -z "$LOCKED" ] || rm -rf "$LOCKED"
    LOCKED=''
}

# acquire: the same lock as a transaction takes, and none that waits for its confirmation.  Before it comes OWNER,
# and STEAL where a lock may be taken away.
acquire() {
    [ -d "${LOCK%/*}" ] || (umask 022 && mkdir -p "${LOCK%/*}")
    if [ -n "$STEAL" ] && [ -d "$LOCK" ]; then rm -rf "$LOCK"; fi
    if mkdir "$LOCK" 2>/dev/null; then
        LOCKED=$LOCK
        echo "$$" >"$LOCK/pid" && printf '%s\n' "$OWNER" >"$LOCK/owner" || stop failed "cannot write ${LOCK#"$R"}"
    elif [ -d "$LOCK" ]; then
        pid='' owner=''
        { IFS= read -r owner <"$LOCK/owner"; IFS= read -r pid <"$LOCK/pid"; } 2>/dev/null
        alive=gone
        case $pid in '' | *[!0-9]*) ;; *) if kill -0 "$pid" 2>/dev/null; then alive=alive; fi ;; esac
        say locked "$alive $owner"
        exit 1
    else
        stop failed "cannot create ${LOCK#"$R"}: disk full or read-only, or not root"
    fi
    if [ -f "$R/var/db/bsdcarp/pending" ]; then
        IFS= read -r waiting <"$R/var/db/bsdcarp/pending"
        stop pending "$waiting"
    fi
}

# The text of a small file, empty where there is none.
text_of() {
    got=''
    if [ -f "$1" ]; then IFS= read -r got <"$1" || :; fi
    printf '%s' "$got"
}

# stamp: what a kernel is built from, as far as a cheap look tells: the configuration, and the release and patch level
# of the sources (newvers.sh changes with every security patch).
stamp() {
    set -- "$CONF"
    for f in "$SRC/sys/conf/newvers.sh" "$SRC/UPDATING"; do if [ -f "$f" ]; then set -- "$@" "$f"; fi; done
    cat "$@" 2>/dev/null | cksum
}

# Whether the build of this configuration runs now.  A process number means nothing after a restart.
building() {
    [ -f "$JOB/pid" ] && [ ! -f "$JOB/status" ] || return 1
    [ "$(text_of "$JOB/boot")" = "$(sysctl -n kern.boottime 2>/dev/null)" ] || return 1
    kill -0 "$(text_of "$JOB/pid")" 2>/dev/null
}
