"""Rolling reboots: pieces, simulated hosts of every era, real sshd, and real Debian hosts."""
