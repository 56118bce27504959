# Starts a build that goes on when the session ends.  Before it come JOBS (how many compilers at once) and RUN, the
# program that builds.

build() {
    trap '' HUP INT TERM PIPE
    [ -f "$SRC/sys/$ARCH/conf/GENERIC" ] || stop failed "no source tree in /usr/src"
    [ -f "$CONF" ] || stop failed "no ${CONF#"$R"}"
    mkdir -p "$JOB" 2>/dev/null || stop failed "cannot write ${JOB#"$R"}: disk full or read-only"
    if building; then say attached; exit 0; fi
    # Two operators at once: only one of them makes this directory.
    mkdir "$JOB/starting" 2>/dev/null || { rmdir "$JOB/starting" 2>/dev/null; stop failed "somebody else just started it; try again"; }
    rm -f "$JOB/status" "$JOB/pid" "$JOB/log"
    { printf '%s\n' "$RUN" >"$JOB/run" && stamp >"$JOB/stamp"; } 2>/dev/null ||
        { rmdir "$JOB/starting"; stop failed "cannot write ${JOB#"$R"}: disk full"; }
    date +%s >"$JOB/begun"
    : >"$JOB/log"
    BSDCARP_JOB=$JOB BSDCARP_SRC=$SRC
    export BSDCARP_JOB BSDCARP_SRC
    daemon -f /bin/sh "$JOB/run" "$IDENT" "$JOBS" 2>/dev/null ||
        { (trap '' HUP; exec /bin/sh "$JOB/run" "$IDENT" "$JOBS") </dev/null >/dev/null 2>&1 & }
    patience=50
    while [ ! -f "$JOB/pid" ] && [ "$patience" -gt 0 ]; do
        sleep 0.1 2>/dev/null || sleep 1    # whole seconds are what POSIX promises
        patience=$((patience - 1))
    done
    rmdir "$JOB/starting"
    [ -f "$JOB/pid" ] || stop failed "the build did not start"
    say started
}
