// Builds ELF files by hand, right and wrong.

import SNPArchitecture

/// An ELF file with program headers behind the header and contents behind these.
struct ELFBuilder {
    struct Header {
        var type: UInt32 = 1
        var address: UInt64
        var virtualAddress: UInt64?
        var contents: [UInt8] = []
        var memoryByteCount: UInt64?
        /// In place of the truth.
        var offset: UInt64?
        var fileByteCount: UInt64?
    }

    var is64 = true
    var type: UInt16 = 2
    var machine: UInt16?
    var version: UInt32 = 1
    var entry: UInt64 = 0x10_0000
    var headers: [Header] = [Header(address: 0x10_0000, contents: [0xf4, 0xeb, 0xfd])]
    var programHeaderSize: UInt16?
    var programHeaderCount: UInt16?
    var programHeadersOffset: UInt64?

    func build() -> [UInt8] {
        let headerByteCount = is64 ? 64 : 52
        let programHeaderByteCount = is64 ? 56 : 32
        var file = [UInt8](repeating: 0, count: headerByteCount + headers.count * programHeaderByteCount)
        func put(_ value: UInt64, _ count: Int, at offset: Int) {
            for index in 0..<count { file[offset + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index)) }
        }
        let word = is64 ? 8 : 4
        file.replaceSubrange(0..<7, with: [0x7f, 0x45, 0x4c, 0x46, is64 ? 2 : 1, 1, 1])
        put(UInt64(type), 2, at: 16)
        put(UInt64(machine ?? (is64 ? 62 : 3)), 2, at: 18)
        put(UInt64(version), 4, at: 20)
        put(entry, word, at: 24)
        put(programHeadersOffset ?? UInt64(headerByteCount), word, at: 24 + word)
        put(UInt64(headerByteCount), 2, at: headerByteCount - 12)
        put(UInt64(programHeaderSize ?? UInt16(programHeaderByteCount)), 2, at: headerByteCount - 10)
        put(UInt64(programHeaderCount ?? UInt16(headers.count)), 2, at: headerByteCount - 8)
        for (index, header) in headers.enumerated() {
            let at = headerByteCount + index * programHeaderByteCount
            let fields = is64 ? [8, 16, 24, 32, 40] : [4, 8, 12, 16, 20]
            put(UInt64(header.type), 4, at: at)
            put(header.offset ?? UInt64(file.count), word, at: at + fields[0])
            put(header.virtualAddress ?? header.address, word, at: at + fields[1])
            put(header.address, word, at: at + fields[2])
            put(header.fileByteCount ?? UInt64(header.contents.count), word, at: at + fields[3])
            put(header.memoryByteCount ?? UInt64(header.contents.count), word, at: at + fields[4])
            file += header.contents
        }
        return file
    }
}
