// Numbers in the cells of the GHCB's tables.

/// A number of a table: decimal, or hexadecimal with 0x.
func number(_ text: some StringProtocol) -> UInt64? {
    text.hasPrefix("0x") ? UInt64(text.dropFirst(2), radix: 16) : UInt64(text)
}
