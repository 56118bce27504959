# Looks at the kernels of a host, their sources and the state of a build.  Changes nothing.

# disk WORD DIRECTORY: type and free kilobytes of the file system that DIRECTORY lies on or would.
disk() {
    word=$1 p=$2
    while [ ! -d "$p" ]; do p=${p%/*}; p=${p:-/}; done
    # FreeBSD 7 has no -T; a ZFS dataset is not a device.
    if line=$(df -kT "$p" 2>/dev/null); then kind=yes; else line=$(df -k "$p" 2>/dev/null) kind=''; fi
    # shellcheck disable=SC2086  # a row is meant to split
    set -- ${line##*"$NL"}
    if [ -n "$kind" ]; then say "$word" "$2 $5"; return; fi
    case $1 in /dev/*) say "$word" "ufs $4" ;; *) say "$word" "zfs $4" ;; esac
}

# kernels: every directory with a kernel, the module beside it, and whether the kernel itself has carp.
kernels() {
    for f in "$BOOT"/*/kernel; do
        [ -f "$f" ] || continue
        d=${f%/kernel} module=none static=unknown
        if [ -f "$d/carp.ko" ]; then module=carp; elif [ -f "$d/if_carp.ko" ]; then module=if_carp; fi
        if config=$(config -x "$f" 2>/dev/null); then
            case $config in *device[\ \	]carp*) static=yes ;; *) static=no ;; esac
        fi
        say kernel "$static $module ${d##*/}"
    done
}

sources() {
    [ -f "$SRC/sys/$ARCH/conf/GENERIC" ] || return 0
    revision=unknown
    if [ -f "$SRC/sys/conf/newvers.sh" ]; then
        revision=$(sed -n 's/^REVISION="\([0-9.]*\)".*/\1/p' "$SRC/sys/conf/newvers.sh")
    fi
    say sources "${revision:-unknown}"
    if [ -f "$CONF" ]; then say kernconf "$(stamp)"; fi
}

build_state() {
    [ -d "$JOB" ] || return 0
    if building; then state=running
    elif [ -f "$JOB/status" ]; then state=$(text_of "$JOB/status")
    elif [ -f "$JOB/pid" ]; then state=interrupted
    else state=none; fi
    say build "$state"
    say stamp "$(text_of "$JOB/stamp")"
    say seconds "$(($(date +%s) - $(text_of "$JOB/begun" | grep . || date +%s)))"
    if [ -f "$JOB/log" ]; then
        # shellcheck disable=SC2046  # a number and nothing else
        say lines "$(echo $(wc -l <"$JOB/log")) $(text_of "$JOB/expected")"
        all=0
        for m in "$SRC"/sys/modules/*/Makefile; do if [ -f "$m" ]; then all=$((all + 1)); fi; done
        say modules "$(grep -c '^===> .* (all)$' "$JOB/log") $all"
        say stage "$(grep '^>>> ' "$JOB/log" | tail -n 1)"
        if [ "$state" != running ]; then
            say log
            tail -n 20 "$JOB/log"
        fi
    fi
    say logged
}

look() {
    NL='
'
    say begin
    kernels
    if [ -f "$R$TARGET/boot/modules/carp.ko" ]; then say stray /boot/modules/carp.ko; fi
    disk boot "$BOOT"
    disk obj "$R/usr/obj"
    say cpus "$(sysctl -n hw.ncpu 2>/dev/null)"
    sources
    build_state
    say end
}
