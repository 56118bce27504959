# Installs the built kernel into a directory of its own, tries it, or takes the trial back.  Before it come NAME (the
# directory below /boot), OPTIONS (more words for nextboot(8)).
#
# A kernel with carp compiled in that finds a carp.ko beside it and carp_load in loader.conf panics at boot (recorded
# on FreeBSD 12.1).  installkernel leaves carp.ko beside it, so it goes to a name that nothing boots, loses its
# carp.ko there, and only then gets its own name, by one rename.

# in_use NAME: the running kernel, or one that some boot configuration names.
in_use() {
    case $(sysctl -n kern.bootfile 2>/dev/null) in */"$1"/kernel) [ -n "$TARGET" ] || return 0 ;; esac
    grep -s -q "^[ 	]*kernel[ 	]*=[ 	]*\"\{0,1\}\(/boot/\)\{0,1\}$1\"\{0,1\}[ 	]*\$" "$BOOT/nextboot.conf" \
        "$BOOT/loader.conf" "$BOOT/loader.conf.local" "$BOOT"/loader.conf.d/*.conf
}

# without_module DIRECTORY: no module there can clash with what is compiled in.
without_module() {
    rm -f "$1/carp.ko" "$1/carp.ko.symbols" "$1/carp.ko.debug" "$1/if_carp.ko" "$1/if_carp.ko.symbols" "$1/if_carp.ko.debug"
    [ ! -e "$1/carp.ko" ] && [ ! -e "$1/if_carp.ko" ]
}

# landed FILE...: they are on the disk.  FreeBSD's sync(8) only schedules that, and a power loss within half a minute
# took with it what had been synced (seen on 9.3 and 12.1); fsync(1) brings a file there, and its name with it.
landed() { fsync "$@" 2>/dev/null || sync; }

# A kernel that says what it was made of must say carp.
has_carp() {
    config=$(config -x "$1" 2>/dev/null) || return 0
    case $config in *device[\ \	]carp*) ;; *) return 1 ;; esac
}

install_kernel() {
    trap '' HUP INT TERM PIPE
    say begin
    acquire
    [ "$(text_of "$JOB/status")" = 0 ] || stop failed "the kernel is not built"
    [ "$(text_of "$JOB/stamp")" = "$(stamp)" ] || stop failed "the configuration or the sources changed since the build"
    # A trial of our own that was begun and never booted.
    case $(cat "$BOOT/nextboot.conf" 2>/dev/null) in *"kernel=\"$NAME\""*) [ -n "$TARGET" ] || nextboot -D ;; esac
    if in_use "$NAME"; then stop failed "/boot/$NAME is in use"; fi
    # Nothing ever boots this name.
    fresh=$NAME.bsdcarp-new destination=$R$TARGET
    if in_use "$fresh"; then stop failed "/boot/$fresh is in use"; fi
    rm -rf "${BOOT:?}/$fresh" 2>/dev/null || stop failed "cannot remove /boot/$fresh"
    (umask 022 && cd "$SRC" && make installkernel "KERNCONF=$IDENT" "INSTKERNNAME=$fresh" \
        ${destination:+"DESTDIR=$destination"}) </dev/null >"$JOB/install" 2>&1 || {
        rm -rf "${BOOT:?}/$fresh"
        say log
        tail -n 20 "$JOB/install"
        stop failed "make installkernel failed"
    }
    [ -f "$BOOT/$fresh/kernel" ] || stop failed "make installkernel left no /boot/$fresh/kernel"
    has_carp "$BOOT/$fresh/kernel" || stop failed "the kernel that was built has no carp in it"
    without_module "$BOOT/$fresh" || stop failed "cannot remove the carp module from /boot/$fresh"
    kldxref "$BOOT/$fresh" 2>/dev/null || :
    landed "$BOOT/$fresh"/*
    rm -rf "${BOOT:?}/$NAME" || stop failed "cannot remove the old /boot/$NAME"
    mv "$BOOT/$fresh" "$BOOT/$NAME" || stop failed "cannot rename /boot/$fresh"
    landed "$BOOT/$NAME" "$BOOT/$NAME/kernel"
    release
    say installed "$NAME"
}

# What nextboot(8) leaves is read back: it must name our kernel, whatever it said.  The host's lock is held by what
# reboots it.
try_kernel() {
    trap '' HUP INT TERM PIPE
    say begin
    [ -f "$BOOT/$NAME/kernel" ] || stop failed "there is no /boot/$NAME/kernel"
    if [ -e "$BOOT/$NAME/carp.ko" ]; then stop failed "there is a carp.ko in /boot/$NAME"; fi
    if [ -f "$BOOT/nextboot.conf" ]; then
        case $(cat "$BOOT/nextboot.conf") in
            *"kernel=\"$NAME\""* | *'nextboot_enable="NO"'*) ;;
            *) stop failed "somebody else has chosen the next boot in /boot/nextboot.conf; nextboot -D takes it back" ;;
        esac
    fi
    # shellcheck disable=SC2086  # words
    said=$(nextboot $OPTIONS -k "$NAME" 2>&1) || { nextboot -D; stop failed "nextboot: $said"; }
    case $(cat "$BOOT/nextboot.conf" 2>/dev/null) in
        *"kernel=\"$NAME\""*) ;;
        *) nextboot -D; stop failed "nextboot left no kernel in /boot/nextboot.conf: $said" ;;
    esac
    landed "$BOOT/nextboot.conf"
    say trying "$NAME"
}

# Only what is ours is taken back.
end_trial() {
    say begin
    case $(cat "$BOOT/nextboot.conf" 2>/dev/null) in *"kernel=\"$NAME\""*) nextboot -D ;; esac
    sync
    say ended "$NAME"
}
