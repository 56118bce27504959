# Reads one host and changes nothing on it: no temporary file, no module load, no write.
#
# Sent on standard input to /bin/sh -s.  Everything runs inside read_host with /dev/null as its input, so that no
# command can eat the rest of the script, and a script that arrives cut off does nothing at all.  The caller puts three
# assignments and waits.sh before it: T, a random marker that starts every section, SALT, as random a way to say "/", and
# FILES, more files to read.
#
# R is the root that all paths are relative to (empty on a live host; a mounted boot environment, a jail or a lab
# otherwise).  ifconfig is never asked for carpN by name: that alone would load if_carp.ko (recorded on FreeBSD 9.3).

R=${BSDCARP_ROOT-}
NL='
'
LISTED='' OUT=''
# A printf that is not built in (FreeBSD 8 and older) would show what it prints, passwords among it, in ps(1).
# shellcheck disable=SC2123  # nothing is to be found there
PATH=/nonexistent
PRINTF=external
if command -v printf >/dev/null 2>&1; then PRINTF=builtin; fi
PATH=${BSDCARP_PATH:+$BSDCARP_PATH:}/sbin:/bin:/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin
LC_ALL=C
export PATH LC_ALL

# What is found is kept and told in a few pieces: every write is a packet, which costs both ends as much as the reading.
section() { OUT="$OUT$NL$T $*$NL"; }

found() { OUT=$OUT$1$NL; }

tell() {
    case $PRINTF in
        builtin) printf '%s' "$OUT" ;;
        *) cat <<EOF ;;
$OUT
EOF
    esac
    OUT=''
}

# Files are only listed at first; one head(1) then reads all of them, for processes are what costs time here.
read_file() {
    [ -f "$R$1" ] || return 0
    # Some are asked for twice.
    case $NL$LISTED in *"$NL$R$SALT$1$NL"*) return 0 ;; esac
    if [ -w "$R$1" ]; then found "rw $1"; else found "ro $1"; fi
    LISTED=$LISTED$R$SALT$1$NL
}

# shellcheck disable=SC2086  # a list of paths is meant to split, at newlines only
read_listed() {
    [ -n "$LISTED" ] || return 0
    IFS=$NL
    set -- $LISTED
    unset IFS
    section contents
    tell
    # With more than one file every one gets a line with its name; what is in SALT, no file can know.
    head -c 99999999 "$@" /dev/null
}

writable() {
    if [ -d "$R$1" ] && [ ! -w "$R$1" ]; then section unwritable "$1"; fi
}

# shellcheck disable=SC1090,SC2034,SC2154  # sourcing whatever is there is the point, and eval assigns rc_value
# The variables that decide about CARP at boot, as sh itself evaluates them over all files in rc's order.
rc_variables() {
    # No rc.conf shall be read with what this program knows, keys among it, or those that had this shell before.
    unset address after again before config d dead directory expected f facts interface least leavings left \
        line lines module name new newer old oldest ours outcome p patience real rooms said stage status \
        step straight sums surplus system touched units value vhid why
    rc_conf_files='/etc/rc.conf /etc/rc.conf.local'
    for rc_done in 1 2 3; do          # a file may change the list while it is read
        rc_list=$rc_conf_files
        for rc_file in $rc_list; do
            if [ -r "$R$rc_file" ]; then . "$R$rc_file"; fi
        done >&2
        [ "$rc_list" = "$rc_conf_files" ] && break
    done
    # Up to 11 rc.d/netif calls itself network and reads only files of that name (etc/rc.d/netif).
    rc_scripts='network netif'
    if [ -e "$R/etc/rc.conf.d/netif" ] || [ -e "$R/usr/local/etc/rc.conf.d/netif" ]; then
        case $(cat "$R/etc/rc.d/netif" 2>/dev/null) in *'name="network"'*) rc_scripts=network ;; esac
    fi
    for rc_name in $rc_scripts; do
        for rc_dir in /etc /usr/local/etc; do
            for rc_file in "$R$rc_dir/rc.conf.d/$rc_name" "$R$rc_dir/rc.conf.d/$rc_name"/*; do
                if [ -f "$rc_file" ]; then . "$rc_file"; fi
            done >&2
        done
    done
    # sh's own list of variables, line by line; names only, values may be quoted in any way.
    set -f
    rc_names=$(set)
    IFS=$NL
    # shellcheck disable=SC2086
    set -- $rc_names
    unset IFS
    rc_seen=' '
    for rc_name in "$@"; do
        case $rc_name in *=*) rc_name=${rc_name%%=*} ;; *) continue ;; esac
        case $rc_name in
            *[!A-Za-z0-9_]*) continue ;;
            ifconfig_* | ipv6_* | ipv4_addrs_* | vlans_*) ;;
            cloned_interfaces | kld_list | netif_enable | network_interfaces | rc_conf_files | gateway_enable) ;;
            *) continue ;;
        esac
        case $rc_seen in *" $rc_name "*) continue ;; esac
        rc_seen="$rc_seen$rc_name "
        eval "rc_value=\${$rc_name}"
        section rc "$rc_name"
        OUT=$OUT$rc_value
    done
    section rc-end
    tell
}

# A kernel that was installed after this boot is not the one that runs: config(8) may tell whether it has carp.
# rc.d/dmesg writes the file it is compared with at every boot.
newer_kernel() {
    newer=''
    if [ ! -f "$R/var/run/dmesg.boot" ] || [ ! "$1" -nt "$R/var/run/dmesg.boot" ]; then return 0; fi
    newer=unknown
    if config=$(config -x "$1" 2>/dev/null); then
        case $config in *device[\ \	]carp*) newer=static ;; *) newer=plain ;; esac
    fi
}

read_freebsd() {
    section sysctl
    found "$facts"
    case $facts in
        *net.inet.carp.*)
            section kldstat
            found "$(kldstat 2>/dev/null)" ;;
    esac
    section ifconfig
    # Not as one list, for which the substitution would need a process more.
    value=$(ifconfig -k -a 2>/dev/null) || value=$(ifconfig -a 2>/dev/null)
    found "$value"
    section files
    for f in /etc/rc.conf /etc/rc.conf.local /etc/sysctl.conf /etc/sysctl.conf.local /etc/sysctl.kld.d/carp.conf \
        /boot/loader.conf /boot/loader.conf.local /boot/nextboot.conf /etc/rc.conf.d/kld $FILES; do
        read_file "$f"
    done
    for f in "$R"/etc/rc.conf.d/network "$R"/etc/rc.conf.d/netif "$R"/usr/local/etc/rc.conf.d/network \
        "$R"/usr/local/etc/rc.conf.d/netif "$R"/etc/rc.conf.d/network/* "$R"/etc/rc.conf.d/netif/* \
        "$R"/boot/loader.conf.d/*.conf; do
        read_file "${f#"$R"}"
    done
    read_listed
    for f in "$R"/boot/*/kernel; do
        [ -f "$f" ] || continue
        d=${f%/kernel}
        module=none
        if [ -f "$d/carp.ko" ]; then module=carp; elif [ -f "$d/if_carp.ko" ]; then module=if_carp; fi
        newer_kernel "$f"
        section kernel "${d##*/}" $module $newer
    done
    # Whether a choice of nextboot(8) is for one boot only depends on what the loader can write.
    if [ -f "$R/boot/nextboot.conf" ]; then
        case $(df -T "$R/boot" 2>/dev/null) in *' zfs '*) section zfs ;; esac
    fi
    if [ -f "$R/usr/src/sys/$1/conf/GENERIC" ]; then section sources; fi
    for f in /etc /boot /var/db; do writable "$f"; done
    if [ -d "$R/usr/local/opnsense" ]; then section appliance OPNsense
    elif [ -d "$R/cf/conf" ] && [ -f "$R/etc/platform" ]; then section appliance pfSense
    elif [ -f "$R/data/freenas-v1.db" ]; then section appliance TrueNAS; fi
    section rc-begin
    tell
    (rc_variables) 2>&1
}

read_linux() {
    section os-release
    found "$(cat "$R/etc/os-release" 2>/dev/null)"
    section ip
    found "$(ip -j -d addr show 2>/dev/null)"
    section boottime
    found "$(sed -n 's/^btime //p' "$R/proc/stat" 2>/dev/null)"
    section proc
    found "$(grep -s '' /dev/null "$R/proc/sys/kernel/random/boot_id" "$R"/proc/sys/net/ipv4/conf/*/arp_ignore \
        "$R"/proc/sys/net/ipv4/conf/*/arp_announce)"
    linux_services
    section python
    # The very one that the units name; "command -v" might find another.
    if [ -x "$R/usr/bin/python3" ]; then found "$(python3 -V 2>&1)"; fi
    section ucarp
    for f in /usr/sbin/ucarp /usr/local/sbin/ucarp /sbin/ucarp; do
        if [ -x "$R$f" ]; then
            found "$f"
            break
        fi
    done
    # Names of processes come from sh itself: no pgrep, whose pattern may be cut or missing.
    for d in "$R"/proc/[0-9]*; do
        { read -r name <"$d/comm"; } 2>/dev/null || continue
        case $name in
            ucarp | keepalived)
                section process
                found "$(tr '\0' '\n' <"$d/cmdline" 2>/dev/null)" ;;
        esac
    done
    linux_carpd
    section files
    for f in $FILES $(linux_files); do read_file "$f"; done
    read_listed
    for f in /etc /var/lib /usr/local/lib; do writable "$f"; done
}

# shellcheck disable=SC2086  # names of units, meant to split
linux_services() {
    section init
    if [ -d "$R/run/systemd/system" ]; then
        found systemd
        units=bsdcarp-carpd.service
        for f in "$R"/etc/systemd/system/bsdcarp-ucarp-*.service; do
            if [ -f "$f" ]; then units="$units ${f##*/}"; fi
        done
        section units
        found "$(systemctl show -p Id -p LoadState -p ActiveState -p SubState -p UnitFileState -p FragmentPath \
            -p DropInPaths -p NeedDaemonReload $units 2>/dev/null)"
    elif [ -e "$R/run/openrc/softlevel" ]; then
        found openrc
        if [ -e "$R/etc/init.d/bsdcarp-carpd" ]; then section script; fi
        if [ -e "$R/run/openrc/started/bsdcarp-carpd" ]; then section started; fi
        for f in "$R"/etc/runlevels/*/bsdcarp-carpd; do
            if [ -h "$f" ] || [ -e "$f" ]; then section enabled; fi
        done
    else
        found sh
        if [ -e "$R/usr/local/lib/bsdcarp/bsdcarp-carpd.sh" ]; then section script; fi
        section executable
        for f in /etc/rc.local /etc/rc.d/rc.local; do
            if [ -x "$R$f" ]; then found "$f"; fi
        done
    fi
}

linux_carpd() {
    p=$R/usr/local/lib/bsdcarp/carpd.pyz
    [ -f "$p" ] || return 0
    section program
    found "$(cksum <"$p")"
    if [ -e "$R/run/bsdcarp/carpd.sock" ]; then
        section carpd
        found "$(python3 -I "$p" ctl status --json 2>/dev/null)"
    fi
}

# What decides about carp on a Linux host: bsdcarp's own files, boot hooks, network configuration, and those files of
# sysctl.d that name what bsdcarp sets.
linux_files() {
    for f in "$R"/usr/local/lib/bsdcarp/ucarp-up "$R"/usr/local/lib/bsdcarp/ucarp-down \
        "$R"/usr/local/lib/bsdcarp/bsdcarp-carpd.sh "$R"/etc/bsdcarp/ucarp-*.pass "$R"/etc/init.d/bsdcarp-carpd \
        "$R"/etc/systemd/system/bsdcarp-*.service "$R"/etc/sysctl.d/90-bsdcarp.conf "$R"/etc/rc.local \
        "$R"/etc/rc.d/rc.local "$R"/etc/network/interfaces "$R"/etc/network/interfaces.d/* \
        "$R"/etc/systemd/network/*.network "$R"/etc/keepalived/keepalived.conf; do
        if [ -f "$f" ]; then echo "${f#"$R"}"; fi
    done
    # 90-bsdcarp.conf is in the list above already.
    grep -l -s -e arp_ignore -e arp_announce "$R"/etc/sysctl.conf "$R"/etc/sysctl.d/*.conf "$R"/run/sysctl.d/*.conf \
        "$R"/usr/local/lib/sysctl.d/*.conf "$R"/usr/lib/sysctl.d/*.conf | while read -r f; do
        case $f in */90-bsdcarp.conf) ;; *) echo "${f#"$R"}" ;; esac
    done
}

# One sysctl(8) tells most of what there is to know, and on Linux, which has no kern.ostype, it prints nothing.
read_host() {
    # net.inet.carp comes last: up to FreeBSD 10 sysctl(8) stops at the first unknown name.
    facts=$(sysctl kern.ostype kern.hostname kern.osrelease hw.machine kern.osreldate kern.ident kern.bootfile \
        kern.boottime kern.securelevel net.inet.carp 2>/dev/null)
    case $facts in
        'kern.ostype: FreeBSD'*'kern.hostname: '*'kern.osrelease: '*'hw.machine: '*)
            system='FreeBSD'
            for name in kern.hostname kern.osrelease hw.machine; do
                value=${facts#*"$name: "}
                system="$system ${value%%"$NL"*}"
            done ;;
        *) system=$(uname -s -n -r -m) ;;
    esac
    section begin
    found "$system"
    section uid
    # Only root may read it, and asking costs no process.
    if [ -r "$R/etc/master.passwd" ]; then found 0; else found "$(id -u)"; fi
    if waits /var/db/bsdcarp /var/lib/bsdcarp; then
        section pending
        found "$WAITING"
    fi
    case $system in
        FreeBSD*) read_freebsd "${system##* }" ;;
        Linux*) read_linux ;;
    esac
    section end
    tell
}
