"""rtnetlink: how the kernel is asked about links, addresses, routes and rules, and told to change them.

``codec`` knows bytes, ``messages`` knows what they mean, ``requests`` builds what is asked for; all three are pure.
``route`` and ``monitor`` hold the two sockets.  Facts: rtnetlink(7), netlink(7) and the headers under
include/uapi/linux of Linux 6.1.
"""

from __future__ import annotations
