"""The programs of a simulated Linux host: each takes a machine and a call, and returns a reply."""
