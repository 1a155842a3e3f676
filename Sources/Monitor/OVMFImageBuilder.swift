// Makes a small firmware image in OVMF's format: code at the reset vector, metadata, the table of GUIDs.

public import SNPArchitecture

/// The parts of a firmware image, and how they are laid out in its last page.
public struct OVMFImageBuilder: Sendable {
    /// The size of the image: whole pages.
    public var byteCount = 4096
    /// The ranges the firmware asks for, in order; nil for an image without SEV metadata.
    public var sections: [SEVMetadataSection]? = []
    /// Where processors other than the first one start.
    public var resetAddress: UInt32?
    /// Where the firmware expects the kernel's hashes.
    public var hashTable: GPA?
    /// The last 32 bytes; the reset vector is the last 16 of them.
    public var code: [UInt8] = []

    /// Makes a builder of an image of one page with neither sections nor code.
    public init() {}

    /// The image.
    ///
    /// The parts must fit into the last page, which is a matter of the caller's own making: a precondition.
    public func build() -> [UInt8] {
        precondition(byteCount > 0 && byteCount % 4096 == 0 && code.count <= 32, "an image of whole pages")
        let metadata = sections.map(Self.encode) ?? []
        // The metadata stands in front of the table, so its distance from the end is known once the table's length is.
        let table = table(metadataFromEnd: 0)
        let fromEnd = 32 + table.count + metadata.count
        precondition(fromEnd <= 4096, "the parts do not fit into a page")
        let tail = metadata + self.table(metadataFromEnd: UInt32(fromEnd)) + Self.padded(code, to: 32)
        return [UInt8](repeating: 0xff, count: byteCount - tail.count) + tail
    }

    private func table(metadataFromEnd: UInt32) -> [UInt8] {
        var entries: [UInt8] = []
        if let hashTable {
            let words =
                UInt32(truncatingIfNeeded: hashTable.rawValue).littleEndianBytes + UInt32(0x400).littleEndianBytes
            entries += Self.entry(.hashTable, words)
        }
        if sections != nil { entries += Self.entry(.sevMetadata, metadataFromEnd.littleEndianBytes) }
        if let resetAddress { entries += Self.entry(.resetBlock, resetAddress.littleEndianBytes) }
        return entries + UInt16(entries.count + GUIDTable.headerByteCount).littleEndianBytes + GUID.tableFooter.bytes
    }

    /// An entry of the table: data, length of the whole entry, GUID.
    static func entry(_ guid: GUID, _ data: [UInt8]) -> [UInt8] {
        data + UInt16(data.count + GUIDTable.headerByteCount).littleEndianBytes + guid.bytes
    }

    private static func encode(_ sections: [SEVMetadataSection]) -> [UInt8] {
        let length = UInt32(16 + sections.count * 12)
        var bytes = OVMFImage.metadataSignature.littleEndianBytes + length.littleEndianBytes
        bytes += UInt32(1).littleEndianBytes + UInt32(sections.count).littleEndianBytes
        for section in sections {
            bytes += UInt32(truncatingIfNeeded: section.gpa.rawValue).littleEndianBytes
            bytes += UInt32(truncatingIfNeeded: section.byteCount).littleEndianBytes
            bytes += section.kind.rawValue.littleEndianBytes
        }
        return bytes
    }

    private static func padded(_ bytes: [UInt8], to count: Int) -> [UInt8] {
        bytes + [UInt8](repeating: 0xf4, count: count - bytes.count)
    }
}

extension FixedWidthInteger {
    /// The bytes, lowest first.
    var littleEndianBytes: [UInt8] {
        (0..<(Self.bitWidth / 8)).map { UInt8(truncatingIfNeeded: self >> Self($0 * 8)) }
    }
}
