# The build itself: /bin/sh run IDENT JOBS, detached, with BSDCARP_JOB and BSDCARP_SRC in its environment.

cd "$BSDCARP_SRC" || exit 1
echo "$$" >"$BSDCARP_JOB/pid"
make "-j$2" buildkernel "KERNCONF=$1" >"$BSDCARP_JOB/log" 2>&1 </dev/null
status=$?
# How long a log gets is what the next build is measured against.
# shellcheck disable=SC2046  # a number and nothing else
[ "$status" -ne 0 ] || echo $(wc -l <"$BSDCARP_JOB/log") >"$BSDCARP_JOB/expected"
echo "$status" >"$BSDCARP_JOB/status.new"
mv "$BSDCARP_JOB/status.new" "$BSDCARP_JOB/status"
