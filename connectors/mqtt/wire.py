"""Data types on the wire (MQTT 5 section 1.5): integers, strings, variable byte integers."""

from __future__ import annotations

from connectors.mqtt.reasons import Code, ProtocolError

__all__ = ["MAX_VARINT", "Reader", "pack_binary", "pack_text", "pack_varint", "text_of"]

MAX_VARINT = 268_435_455
"""Largest variable byte integer: four bytes of seven bits."""


def text_of(raw: bytes) -> str:
    """A UTF-8 encoded string of the protocol.

    Raises:
        ProtocolError: Ill-formed UTF-8 or a null character (MQTT-1.5.4-1, MQTT-1.5.4-2).
    """
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise ProtocolError(Code.MALFORMED, f"string {raw[:40]!r} is not UTF-8") from error
    if "\0" in text:
        raise ProtocolError(Code.MALFORMED, f"string {raw[:40]!r} holds a null character")
    return text


def pack_varint(value: int) -> bytes:
    """A variable byte integer in the fewest bytes; 0 <= value <= 268 435 455.

    Raises:
        ProtocolError: The value does not fit.

    Examples:
        >>> pack_varint(321).hex()
        'c102'
    """
    if value < 128:
        return bytes((value,))
    if value > MAX_VARINT:
        raise ProtocolError(Code.TOO_LARGE, f"{value} bytes do not fit into one packet")
    out = bytearray()
    while value > 127:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def pack_binary(data: bytes) -> bytes:
    """Binary data with its two-byte length.

    Raises:
        ProtocolError: Longer than 65 535 bytes.
    """
    if len(data) > 0xFFFF:
        raise ProtocolError(Code.TOO_LARGE, f"field of {len(data)} bytes; allowed: 65535")
    return len(data).to_bytes(2) + data


def pack_text(text: str) -> bytes:
    """A UTF-8 string with its two-byte length.

    Raises:
        ProtocolError: Too long, or holds a null character or a lone surrogate.
    """
    try:
        raw = text.encode()
    except UnicodeEncodeError as error:
        raise ProtocolError(Code.MALFORMED, f"{text[:40]!r} has no UTF-8 form") from error
    if b"\0" in raw:
        raise ProtocolError(Code.MALFORMED, f"{text[:40]!r} holds a null character")
    return pack_binary(raw)


class Reader:
    """Reads fields of one packet in order and never past its end.

    Args:
        data: Bytes that hold the packet.
        pos: Where to start.
        end: First byte that no longer belongs to it.
    """

    __slots__ = ("data", "end", "pos")

    def __init__(self, data: bytes, pos: int, end: int) -> None:
        self.data, self.pos, self.end = data, pos, end

    def _take(self, n: int) -> int:
        pos = self.pos
        if pos + n > self.end:
            raise ProtocolError(Code.MALFORMED, "packet ends in the middle of a field")
        self.pos = pos + n
        return pos

    @property
    def left(self) -> int:
        """Bytes not read yet."""
        return self.end - self.pos

    def u8(self) -> int:
        """One byte."""
        return self.data[self._take(1)]

    def u16(self) -> int:
        """Two bytes, most significant first."""
        pos = self._take(2)
        return self.data[pos] << 8 | self.data[pos + 1]

    def u32(self) -> int:
        """Four bytes, most significant first."""
        pos = self._take(4)
        return int.from_bytes(self.data[pos : pos + 4])

    def packet_id(self) -> int:
        """A packet id, never 0 (MQTT-2.2.1-3)."""
        value = self.u16()
        if value == 0:
            raise ProtocolError(Code.PROTOCOL_ERROR, "packet id 0")
        return value

    def varint(self) -> int:
        """A variable byte integer in its shortest form (MQTT-1.5.5-1)."""
        value = 0
        for shift in (0, 7, 14, 21):
            byte = self.u8()
            value |= (byte & 0x7F) << shift
            if byte < 128:
                if byte == 0 and shift:
                    break
                return value
        raise ProtocolError(Code.MALFORMED, "variable byte integer is not in its shortest form")

    def binary(self) -> bytes:
        """Binary data after its two-byte length."""
        n = self.u16()
        pos = self._take(n)
        return self.data[pos : pos + n]

    def text(self) -> str:
        """A UTF-8 string after its two-byte length."""
        return text_of(self.binary())

    def rest(self) -> bytes:
        """Everything that is left."""
        pos, self.pos = self.pos, self.end
        return self.data[pos : self.end]

    def part(self, n: int) -> Reader:
        """A reader of the next ``n`` bytes; this one continues behind them."""
        pos = self._take(n)
        return Reader(self.data, pos, pos + n)

    def done(self) -> None:
        """Nothing may be left.

        Raises:
            ProtocolError: The packet is longer than its fields.
        """
        if self.pos != self.end:
            raise ProtocolError(Code.MALFORMED, f"{self.left} bytes behind the last field")
