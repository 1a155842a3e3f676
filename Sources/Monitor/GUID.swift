// Globally unique identifiers as firmware stores them: the first three groups little-endian, the rest as written.

/// A 16-byte identifier of a firmware table.
public struct GUID: Hashable, Sendable, CustomStringConvertible {
    /// The 16 bytes as they are stored.
    public let bytes: [UInt8]

    /// Makes an identifier from the five groups of its text form.
    public init(_ a: UInt32, _ b: UInt16, _ c: UInt16, _ d: UInt16, _ e: UInt64) {
        var bytes: [UInt8] = []
        for shift in stride(from: UInt32(0), to: 32, by: 8) { bytes.append(UInt8(truncatingIfNeeded: a >> shift)) }
        for group in [b, c] { bytes += [UInt8(truncatingIfNeeded: group), UInt8(truncatingIfNeeded: group >> 8)] }
        bytes += [UInt8(truncatingIfNeeded: d >> 8), UInt8(truncatingIfNeeded: d)]
        for shift in stride(from: Int64(40), through: 0, by: -8) { bytes.append(UInt8(truncatingIfNeeded: e >> shift)) }
        self.bytes = bytes
    }

    /// Reads an identifier from 16 stored bytes; nil for any other number.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 16 else { return nil }
        self.bytes = Array(bytes)
    }

    /// The text form, in lower case.
    public var description: String {
        let order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15]
        var text = ""
        for (position, index) in order.enumerated() {
            if [4, 6, 8, 10].contains(position) { text += "-" }
            text += (bytes[index] < 16 ? "0" : "") + String(bytes[index], radix: 16)
        }
        return text
    }
}

extension GUID {
    /// The last entry of a firmware image's table: its size is that of the whole table.
    public static let tableFooter = GUID(0x96b5_82de, 0x1fb2, 0x45f7, 0xbaea, 0xa366_c55a_082d)
    /// Where processors other than the first one start.
    public static let resetBlock = GUID(0x00f7_71de, 0x1a7e, 0x4fcb, 0x890e, 0x68c7_7e2f_b44e)
    /// Where the SEV metadata is, in bytes from the end of the file.
    public static let sevMetadata = GUID(0xdc88_6566, 0x984a, 0x4798, 0xa75e, 0x5585_a7bf_67cc)
    /// Where the firmware expects the kernel hashes.
    public static let hashTable = GUID(0x7255_371f, 0x3a3b, 0x4b04, 0x927b, 0x1da6_efa8_d454)

    /// The header of the table of kernel hashes.
    public static let kernelHashes = GUID(0x9438_d606, 0x4f22, 0x4cc9, 0xb479, 0xa793_d411_fd21)
    /// The hash of the kernel.
    public static let kernelHash = GUID(0x4de7_9437, 0xabd2, 0x427f, 0xb835, 0xd5b1_72d2_045b)
    /// The hash of the initial RAM disk.
    public static let initrdHash = GUID(0x44ba_f731, 0x3a2f, 0x4bd7, 0x9af1, 0x41e2_9169_781d)
    /// The hash of the kernel's command line.
    public static let commandLineHash = GUID(0x97d0_2dd8, 0xbd20, 0x4c94, 0xaa78, 0xe771_4d36_ab2a)
}
