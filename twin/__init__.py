"""The line itself: what flows, how it is kept, watched and judged. No network library inside."""

__version__ = "0.1.0"
