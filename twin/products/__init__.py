"""Which product was where, when: every reading is joined to a product and to a place on it.

:class:`Products` takes product messages (a coil starts, a cell moves to a channel), keeps the
append-only record of each product, and fills ``Batch.product`` and ``Batch.place``.
"""

from twin.products.stage import Products

__all__ = ["Products"]
