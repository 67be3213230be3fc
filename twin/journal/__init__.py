"""The one total order: everything that changes what the engine does is appended here first.

A journal is a folder of SQLite segments. Entries carry contiguous sequence numbers over all
segments; they are stored in *frames* (one row for up to 1000 entries) with a checksum. A source
may acknowledge a message when its frame is committed with ``synchronous=FULL``, and not before.
The journal is also the recording: replaying it gives the same events.
"""

from twin.journal.reader import Reader
from twin.journal.writer import Journal, JournalSettings

__all__ = ["Journal", "JournalSettings", "Reader"]
