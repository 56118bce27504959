"""carpd: CARP for Linux in user space, interoperable with the kernels of the BSDs.

The protocol is ``bsdcarp.carp``, which does no I/O; this package is its surroundings on Linux.  ``rtnl`` speaks with
the kernel about links, addresses and routes, ``packets`` sends and receives, ``presence`` makes a MASTER's addresses
appear under the virtual MAC, and ``daemon`` joins them in one loop.  Only the standard library, Python 3.8 and newer.
"""

from __future__ import annotations
