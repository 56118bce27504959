"""Hosts that are real but for their kernel: OpenSSH's sshd, tcsh, a root and a network namespace each.

Behind FreeBSD's own commands, at FreeBSD's own paths, stands a simulated machine of ``bsdcarp.lab``.
"""
