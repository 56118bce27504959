# Gives a host back what it gave away for a reboot that does not happen, once.
#
#     back armed SECONDS   waits so long, then does it; the reboot ends the waiting
#     back now             does it at once
#
# Before it stand KEY, which names it, KEEP, the directory that holds it, and take().

R=${BSDCARP_ROOT-}
PATH=${BSDCARP_PATH:+$BSDCARP_PATH:}/sbin:/bin:/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin
export PATH
KEEP=$R$KEEP

# Whoever renames it is the only one to take back.
take_once() {
    mv "$KEEP/back.$KEY" "$KEEP/taken.$KEY" 2>/dev/null || exit 0
    said=$(take 2>&1)
    status=$?
    rm -rf "$KEEP"
    [ "$status" = 0 ] || { echo "$said"; exit 1; }
}

# Short sleeps, so that nothing is left running for long once it is not needed.
watch() {
    trap '' HUP
    echo "$$" >"$KEEP/pid"
    left=$1
    while [ "$left" -gt 0 ]; do
        step=5
        [ "$left" -ge 5 ] || step=$left
        sleep "$step"
        left=$((left - step))
        [ -f "$KEEP/back.$KEY" ] || exit 0
    done
    take_once
}

case ${1-} in
    armed) watch "$2" ;;
    now) take_once ;;
esac
