#!/bin/sh
### BEGIN INIT INFO
# Provides:          bsdcarp-carpd
# Required-Start:    $network $local_fs
# Required-Stop:     $network $local_fs
# Should-Start:      $syslog
# Should-Stop:       $syslog
# Default-Start:     2 3 4 5
# Default-Stop:      0 1 6
# Short-Description: CARP daemon (bsdcarp)
### END INIT INFO
#
# CARP for Linux (bsdcarp), where there is neither systemd nor OpenRC.  For /etc/init.d, rc.local or by hand:
#
#   bsdcarp-carpd.sh start | stop | restart | reload | status
#
# Nobody restarts the daemon here when it dies; what it leaves behind then is removed at the next start.

PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
python=${CARPD_PYTHON:-/usr/bin/python3}
program=${CARPD_PROGRAM:-/usr/local/lib/bsdcarp/carpd.pyz}
config=${CARPD_CONFIG:-/etc/bsdcarp/carpd.json}
directory=${CARPD_RUN_DIRECTORY:-/run/bsdcarp}
pidfile=$directory/carpd.pid

carpd() {
	"$python" -I "$program" "$@"
}

# Sets $pid.  A PID is only believed if it still belongs to this program: they are used again after a crash or a reboot.
running() {
	pid=
	[ -r "$pidfile" ] && read -r pid <"$pidfile"
	case $pid in '' | *[!0-9]*) return 1 ;; esac
	tr '\0' '\n' <"/proc/$pid/cmdline" 2>/dev/null | grep -qxF -e "$program"
}

# Killed, and perhaps not to be started again: no address may stay where nobody looks after it.
clean() {
	[ ! -d "$directory" ] || carpd clean --run-directory "$directory"
}

answers() {
	carpd ctl --socket "$directory/carpd.sock" status >/dev/null 2>&1
}

start() {
	if running; then
		echo "carpd is running already, pid $pid"
		return 0
	fi
	carpd run -n -c "$config" || return 1
	(umask 077 && mkdir -p "$directory") || return 1
	# A session of its own, so that the end of this shell's does not reach it.
	setsid "$python" -I "$program" run -c "$config" --run-directory "$directory" </dev/null >/dev/null 2>&1 &
	echo $! >"$pidfile"
	tries=0
	until answers; do
		tries=$((tries + 1))
		if ! running || [ "$tries" -gt 50 ]; then
			echo "carpd did not start; syslog says why" >&2
			return 1
		fi
		sleep 0.2
	done
}

stop() {
	if ! running; then
		rm -f "$pidfile"
		clean
		return 0
	fi
	kill -TERM "$pid"
	tries=0
	while running; do
		tries=$((tries + 1))
		# The notify script hears of the end and has 10 seconds for it.
		[ "$tries" -eq 100 ] && kill -KILL "$pid"
		[ "$tries" -gt 150 ] && return 1
		sleep 0.2
	done
	rm -f "$pidfile"
	clean
}

reload() {
	running || return 7
	carpd run -n -c "$config" && kill -HUP "$pid"
}

case ${1-} in
start) start ;;
stop) stop ;;
restart | force-reload) stop && start ;;
reload) reload ;;
status)
	if running; then
		carpd ctl --socket "$directory/carpd.sock" status
	else
		echo "carpd is not running"
		exit 3
	fi
	;;
*)
	echo "usage: $0 start | stop | restart | reload | status" >&2
	exit 2
	;;
esac
