# Before a host is rebooted: takes the lock, gives the roles away, and gets them back if nobody reboots it in time.
#
# Sent on standard input to /bin/sh -s after waits.sh and lock.sh.  Before it stand T (the marker of every line of the
# report, which also names what is kept here), KEEP (the lock, which holds it), OWNER, STEAL, WINDOW (seconds), SYSTEM
# (freebsd or linux), BACK (the text of takeback.sh) and give(); after it one of stand_down, take_back and welcome is
# called.
#
# What takes the demotion back is written before the demotion is in force.  A reboot resets demotion, failover and
# interfaces alike, and empties /var/run of files, so that there is nothing to take back then.

R=${BSDCARP_ROOT-}
PATH=${BSDCARP_PATH:+$BSDCARP_PATH:}/sbin:/bin:/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin
LC_ALL=C
export PATH LC_ALL
umask 077
KEEP=$R$KEEP

# say WORD [TEXT]
say() { printf '\n%s %s %s\n' "$T" "$1" "${2-}"; }

arm() {
    if [ -z "$R" ] && [ "$SYSTEM" = linux ] && [ -d /run/systemd/system ]; then
        systemd-run --quiet --collect --unit="bsdcarp-reboot-$T" /bin/sh "$KEEP/back.$T" armed "$WINDOW" 2>/dev/null && return
    elif [ "$SYSTEM" = freebsd ]; then
        daemon -f /bin/sh "$KEEP/back.$T" armed "$WINDOW" 2>/dev/null && return
    fi
    (trap '' HUP; exec /bin/sh "$KEEP/back.$T" armed "$WINDOW") </dev/null >/dev/null 2>&1 &
}

stand_down() {
    trap '' HUP INT TERM PIPE
    if ! take "$KEEP" "$T"; then
        if [ -n "$HOLDER" ]; then say locked "$HOLDER"; else say failed "cannot create ${KEEP#"$R"}: disk full or read-only"; fi
        return
    fi
    # With the lock in hand nobody begins a transaction; one that waits for its confirmation holds no lock.
    if waits /var/db/bsdcarp /var/lib/bsdcarp; then
        rm -rf "$KEEP"
        say pending "$WAITING"
        return
    fi
    { printf '%s\n' "$BACK" >"$KEEP/back.$T"; } 2>/dev/null || {
        rm -rf "$KEEP"
        say failed "cannot write ${KEEP#"$R"}: disk full"
        return
    }
    arm
    if said=$(give 2>&1); then
        say given
    else
        /bin/sh "$KEEP/back.$T" now >/dev/null 2>&1
        say failed "$said"
    fi
}

# KEY is the marker of the stand_down that is meant.
take_back() {
    if [ -f "$KEEP/back.$KEY" ]; then
        if said=$(/bin/sh "$KEEP/back.$KEY" now 2>&1); then say taken; else say failed "$said"; fi
    else
        say absent
    fi
}

# The reboot has reset everything.  Where /var/run outlives a boot something is left, and where its files alone do not,
# an empty directory.
welcome() {
    if [ -f "$KEEP/back.$KEY" ]; then rm -rf "$KEEP"; else rmdir "$KEEP" 2>/dev/null || :; fi
    say welcome
}
