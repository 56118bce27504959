"""What operators see: the only package that imports rich.  JSON documents are built here as well."""

from __future__ import annotations
