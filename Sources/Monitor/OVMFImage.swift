// A firmware image in OVMF's format: the table of GUIDs at its end and the SEV metadata that the table points to.
// Only the parts that a launch reads are looked at; the firmware's volumes are opaque bytes.

public import SNPArchitecture

/// A firmware image, mapped so that it ends at 4 GiB.
///
/// - Spec: OVMF, GUIDed structure at the end of the image; SEV metadata version 1
/// - Deviates: bytes of the GUID table too few for an entry are ignored, as VMMs do
public struct OVMFImage: Sendable {
    /// The largest image: at 16 MiB below 4 GiB the interrupt controllers' addresses are not far.
    public static let maximumByteCount = 16 << 20

    /// The file.
    public let bytes: [UInt8]
    /// Whether the image has a table of GUIDs.
    public let hasTable: Bool
    /// Where the other processors start, if the image says so.
    public let resetAddress: UInt32?
    /// Where the kernel's hashes go, if the image says so; 0 means nowhere.
    public let hashTable: GPA?
    /// The ranges to prepare, in the order of the file.
    public let sections: [SEVMetadataSection]

    /// The guest physical address of the first byte.
    public var gpa: GPA { GPA(0x1_0000_0000 - UInt64(bytes.count)) }

    /// Where the table of GUIDs ends.
    var tableEnd: Int { bytes.count - 32 }

    /// Reads an image.
    ///
    /// - Throws: in check order: size of the file; the table's length; each entry's length, from the end backwards;
    ///   duplicate entries; entries' data; the metadata's place, signature, version, length
    public init(_ bytes: [UInt8]) throws(OVMFError) {
        guard !bytes.isEmpty else { throw OVMFError(.empty, at: 0) }
        guard bytes.count >= 4096 else { throw OVMFError(.tooSmall(byteCount: bytes.count), at: 0) }
        guard bytes.count <= Self.maximumByteCount else { throw OVMFError(.tooLarge(byteCount: bytes.count), at: 0) }
        guard bytes.count % 4096 == 0 else { throw OVMFError(.notWholePages(byteCount: bytes.count), at: bytes.count) }
        let table = try GUIDTable(image: bytes)
        hasTable = table != nil
        resetAddress = try table?.word(.resetBlock)
        hashTable = try table?.word(.hashTable).map { GPA(UInt64($0)) }
        sections =
            if let fromEnd = try table?.word(.sevMetadata) {
                try Self.metadata(bytes, fromEnd: fromEnd)
            } else {
                []
            }
        self.bytes = bytes
    }

    /// Reads an image from a file.
    public static func load(_ path: String) throws -> OVMFImage {
        try OVMFImage(readFile(path, limit: maximumByteCount))
    }

    private static let metadataHeaderByteCount = 16
    private static let sectionByteCount = 12
    /// "ASEV".
    static let metadataSignature: UInt32 = 0x5645_5341

    private static func metadata(_ bytes: [UInt8], fromEnd: UInt32) throws(OVMFError) -> [SEVMetadataSection] {
        let start = bytes.count - Int(fromEnd)
        guard start >= 0, Int(fromEnd) >= metadataHeaderByteCount else {
            throw OVMFError(.metadataOutsideFile(fromEnd: fromEnd), at: max(start, 0))
        }
        let signature = bytes.littleEndianWord(at: start)
        let length = bytes.littleEndianWord(at: start + 4)
        let version = bytes.littleEndianWord(at: start + 8)
        let count = bytes.littleEndianWord(at: start + 12)
        guard signature == metadataSignature else { throw OVMFError(.metadataSignature(signature), at: start) }
        guard version == 1 else { throw OVMFError(.metadataVersion(version), at: start + 8) }
        guard Int(length) <= Int(fromEnd), metadataHeaderByteCount + Int(count) * sectionByteCount <= Int(length) else {
            throw OVMFError(.metadataLength(length, sections: count), at: start + 4)
        }
        return (0..<Int(count)).map { index in
            let offset = start + metadataHeaderByteCount + index * sectionByteCount
            return SEVMetadataSection(
                gpa: GPA(UInt64(bytes.littleEndianWord(at: offset))),
                byteCount: UInt64(bytes.littleEndianWord(at: offset + 4)),
                kind: SEVMetadataSection.Kind(rawValue: bytes.littleEndianWord(at: offset + 8)),
                fileOffset: offset)
        }
    }
}

extension [UInt8] {
    /// Reads four bytes; the caller has checked that they are there.
    func littleEndianWord(at offset: Int) -> UInt32 {
        UInt32(self[offset]) | UInt32(self[offset + 1]) << 8 | UInt32(self[offset + 2]) << 16
            | UInt32(self[offset + 3]) << 24
    }
    /// Reads two bytes; the caller has checked that they are there.
    func littleEndianHalfword(at offset: Int) -> UInt16 { UInt16(self[offset]) | UInt16(self[offset + 1]) << 8 }
}
