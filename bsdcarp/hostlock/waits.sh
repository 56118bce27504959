# Whether a transaction waits for its end.  Before it comes R, the root of all paths.

# first FILE: its first line as FIRST, empty where there is none.
first() {
    FIRST=''
    if [ -f "$1" ]; then IFS= read -r FIRST <"$1" || :; fi 2>/dev/null
}

# waits DIRECTORY...: a transaction that is kept there was armed and has no outcome; WAITING is its name.  A mark alone
# says nothing: taking it away may have been cut off, and a power loss may bring it back.
waits() {
    for directory in "$@"; do
        first "$R$directory/pending"
        WAITING=$FIRST
        [ -z "$WAITING" ] || [ ! -f "$R$directory/$WAITING/undo" ] || [ -f "$R$directory/$WAITING/outcome" ] || return 0
    done
    return 1
}
