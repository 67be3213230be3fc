"""Raw messages to checked samples.

Decode (JSON, plain numbers, nested documents, Sparkplug B), then check in a fixed order: size,
decode limits, schema, known tag, unit, finite, physical range, time, duplicates. What fails is
refused with a reason that tells how to mend it; everything else goes on as a
:class:`~twin.model.batch.Batch`.
"""

from twin.ingest.stage import Decoded, Ingest, ProductMessage

__all__ = ["Decoded", "Ingest", "ProductMessage"]
