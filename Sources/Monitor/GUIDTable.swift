// The table of GUIDs at the end of a firmware image. It is read backwards: an entry's length and GUID follow its data.

/// The entries of a firmware image's table.
struct GUIDTable {
    /// One entry.
    struct Entry {
        /// What the data is.
        var guid: GUID
        /// Where in the file the data is.
        var data: Range<Int>
    }

    /// The bytes of a length and a GUID.
    static let headerByteCount = 18
    /// The entries, from the end backwards.
    private(set) var entries: [Entry] = []
    private let image: [UInt8]

    /// Reads the table of an image of at least a page; nil if there is none.
    ///
    /// - Throws: in check order: `.tableLength`; for each entry `.entryLength`
    init?(image: [UInt8]) throws(OVMFError) {
        self.image = image
        let footer = image.count - 32 - Self.headerByteCount
        guard GUID(bytes: image[(footer + 2)..<(footer + 18)]) == .tableFooter else { return nil }
        let length = Int(image.littleEndianHalfword(at: footer))
        let start = footer + Self.headerByteCount - length
        guard length >= Self.headerByteCount, start >= 0 else { throw OVMFError(.tableLength(length), at: footer) }
        var end = footer
        while end - start >= Self.headerByteCount {
            let header = end - Self.headerByteCount
            let length = Int(image.littleEndianHalfword(at: header))
            guard length >= Self.headerByteCount, end - length >= start else {
                throw OVMFError(.entryLength(length), at: header)
            }
            if let guid = GUID(bytes: image[(header + 2)..<end]) {
                entries.append(Entry(guid: guid, data: (end - length)..<header))
            }
            end -= length
        }
    }

    /// The first four bytes of an entry's data; nil if there is no such entry.
    ///
    /// - Throws: in check order: `.duplicateEntry`, `.entryData`
    func word(_ guid: GUID) throws(OVMFError) -> UInt32? {
        let found = entries.filter { $0.guid == guid }
        guard let entry = found.first else { return nil }
        guard found.count == 1 else { throw OVMFError(.duplicateEntry(guid), at: found[1].data.lowerBound) }
        guard entry.data.count >= 4 else {
            throw OVMFError(.entryData(guid, byteCount: entry.data.count, needed: 4), at: entry.data.lowerBound)
        }
        return image.littleEndianWord(at: entry.data.lowerBound)
    }
}
