"""Many hosts at once: who waits for whom, sessions, progress events, and the verbs' common course.

Nothing is imported here: a verb that only connects should not pay for planning and judging (see ``course``).
"""

from __future__ import annotations
