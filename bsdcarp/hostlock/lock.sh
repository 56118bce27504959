# The lock of a host, a directory.  Before it come waits.sh, OWNER (one line that says who takes it, and since when) and
# STEAL, where the lock of a process that is gone may be taken away.

# held DIRECTORY: somebody has this lock; HOLDER is "alive" or "gone", and who it is.
held() {
    # A restart empties /var/run of files but not of directories (FreeBSD's rc.d/cleanvar): nobody holds such a lock.
    if [ -d "$1" ] && [ ! -s "$1/pid" ] && [ ! -s "$1/owner" ]; then
        sleep 1
        [ -s "$1/pid" ] || rm -rf "$1" 2>/dev/null
    fi
    [ -d "$1" ] || return 1
    first "$1/pid"
    HOLDER=gone
    case $FIRST in '' | *[!0-9]*) ;; *) if kill -0 "$FIRST" 2>/dev/null; then HOLDER=alive; fi ;; esac
    first "$1/owner"
    HOLDER="$HOLDER $FIRST"
}

# take DIRECTORY KEY: makes the lock, which KEY shows to be ours.  Fails with HOLDER, which is empty where the lock
# cannot be written.
take() {
    HOLDER=''
    # Once more after a lock that was nobody's; where even that cannot be taken away, not for ever.
    for again in yes yes no; do
        [ -d "${1%/*}" ] || (umask 022 && mkdir -p "${1%/*}") 2>/dev/null
        if mkdir "$1" 2>/dev/null; then
            { echo "$$" >"$1/pid" && printf '%s\n' "$OWNER" >"$1/owner" && printf '%s\n' "$2" >"$1/tx"; } 2>/dev/null &&
                return 0
            rm -rf "$1" 2>/dev/null
            return 1
        fi
        held "$1" || continue
        case $STEAL-$HOLDER-$again in
            yes-gone*-yes) rm -rf "$1" 2>/dev/null ;;
            *) return 1 ;;
        esac
        HOLDER=''
    done
    return 1
}
