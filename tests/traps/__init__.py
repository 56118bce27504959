"""Boot traps as lab cases: set on a running host, told by `bsdcarp persist`, confirmed by the next boot."""
