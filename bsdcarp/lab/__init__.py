"""The embedded lab: simulated FreeBSD and Linux machines that behave as recorded on real ones.

A :class:`~bsdcarp.lab.machine.Machine` is one host: a private directory tree as its file system, a simulated kernel
that a boot rebuilds from those files alone, and simulated base-system commands.  Machines meet on the segments of a
:class:`~bsdcarp.lab.segment.Network`, where the kernels elect their masters through :mod:`bsdcarp.carp`.

Nothing is imported here, so that ``bsdcarp --help`` pays nothing for the lab.
"""

from __future__ import annotations

__all__: list[str] = []
