# What every kernel program shares: where things are, how it reports, and the host's lock.
#
# Before it come waits.sh and lock.sh, T (the marker of every line of a report), IDENT (the kernel configuration), ARCH
# (its directory below /usr/src/sys) and TARGET: empty, or where another system is mounted, a boot environment or a
# jail.  Sources and object files are those of the running system; what is installed goes below TARGET.

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

# say WORD [TEXT]
say() { printf '\n%s %s %s\n' "$T" "$1" "${2-}" 2>/dev/null || :; }

# stop WORD [TEXT]: nothing more is done.
stop() {
    say "$@"
    release
    exit 1
}

# release: gives the lock up, where it is ours.
release() {
    first "$LOCK/tx"
    [ "$FIRST" != "$T" ] || rm -rf "$LOCK"
}

# acquire: takes the lock of the host, as every program does that changes it, where no transaction waits for its end.
acquire() {
    if ! take "$LOCK" "$T"; then
        [ -n "$HOLDER" ] || stop failed "cannot create ${LOCK#"$R"}: disk full or read-only, or not root"
        stop locked "$HOLDER"
    fi
    if waits /var/db/bsdcarp; then stop pending "$WAITING"; fi
}

# text_of FILE: the text of a small file, empty where there is none.
text_of() {
    first "$1"
    printf '%s' "$FIRST"
}

# stamp: what a kernel is built from, as far as a cheap look tells: the configuration, and the release and patch level
# of the sources (newvers.sh changes with every security patch).
stamp() {
    set -- "$CONF"
    for f in "$SRC/sys/conf/newvers.sh" "$SRC/UPDATING"; do if [ -f "$f" ]; then set -- "$@" "$f"; fi; done
    cat "$@" 2>/dev/null | cksum
}

# Whether the build of this configuration runs now.  A process number means nothing after a restart, and what runs
# under it then is something else; the clock may be set meanwhile, and kern.boottime with it.
building() {
    [ -f "$JOB/pid" ] && [ ! -f "$JOB/status" ] || return 1
    first "$JOB/pid"
    case $(ps -ww -o command= -p "${FIRST:-0}" 2>/dev/null) in *"$JOB/run "*) ;; *) return 1 ;; esac
}
