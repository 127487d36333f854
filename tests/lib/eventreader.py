# SPDX-License-Identifier: MIT
"""Reads an event by the format's own rules, with nothing of the programs that are under test and
nothing of a FlatBuffers library."""


class Reader:
    def __init__(self, message):
        self.prefix = bytes(message[:2])
        self._buffer = bytes(message[2:])
        root = self._number(0, 4)
        self.union_type = self._number(self._field(root, 0), 1)
        self._table = self._follow(self._field(root, 1))

    def fields(self, *kinds):
        """The table's fields in their order, each read as it is told: "text", "u32", or the size
        of a vector's integers."""
        values = []
        for number, kind in enumerate(kinds):
            at = self._field(self._table, number)
            if kind == "u32":
                values.append(self._number(at, 4) if at else 0)
            elif kind == "text":
                values.append(self._text(at))
            else:
                values.append(self._integers(at, kind))
        return values

    def _number(self, at, size, signed=False):
        assert 0 <= at <= len(self._buffer) - size
        return int.from_bytes(self._buffer[at:at + size], "little", signed=signed)

    def _field(self, table, number):
        """Where a table's field is; None if it is not there."""
        vtable = table - self._number(table, 4, signed=True)
        slot = 4 + 2 * number
        offset = self._number(vtable + slot, 2) if slot < self._number(vtable, 2) else 0
        return table + offset if offset else None

    def _follow(self, at):
        return at + self._number(at, 4)

    def _integers(self, at, size):
        vector = self._follow(at)
        assert vector % 4 == 0
        return [self._number(vector + 4 + i * size, size, signed=True)
                for i in range(self._number(vector, 4))]

    def _text(self, at):
        return bytes(b & 0xFF for b in self._integers(at, 1)).decode()
