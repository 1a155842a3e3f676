// Static ELF files of 64 and 32 bits: the header and the program headers. Sections, symbols and relocations are not looked at.

internal import SNPArchitecture

/// Reads fields of a file, of which nothing is trusted.
struct FileFields {
    let bytes: [UInt8]

    /// Checks that a structure is all in the file.
    ///
    /// - Throws: `.truncated`
    func require(_ count: Int, at offset: UInt64) throws(GuestImageError) -> Int {
        guard offset <= UInt64(bytes.count), UInt64(bytes.count) - offset >= UInt64(count) else {
            throw GuestImageError(.truncated(needed: count), at: Int(min(offset, UInt64(bytes.count))))
        }
        return Int(offset)
    }

    /// A little-endian integer that `require` has checked.
    func integer<T: FixedWidthInteger>(_ offset: Int, as type: T.Type = T.self) -> T {
        (0..<(T.bitWidth / 8)).reduce(T(0)) { $0 | T(truncatingIfNeeded: bytes[offset + $1]) << T(8 * $1) }
    }
}

extension GuestImage {
    /// Reads a static ELF file.
    ///
    /// The entry of a kernel is often a virtual address: it is taken for a physical one if a segment holds that, else it is
    /// translated by the segment whose virtual addresses hold it.
    ///
    /// - Spec: System V ABI, "Object Files"; AMD64 and i386 supplements
    /// - Throws: in check order: `.truncated` (identification), `.unknownFormat`, `.elfClass`, `.byteOrder`, `.elfVersion`,
    ///   `.truncated` (header), `.elfType`, `.machine`, `.elfVersion`, `.programHeaderSize`, `.programHeaderCount`,
    ///   `.truncated` (program headers); for each program header `.dynamic`, `.segmentShrinks`, `.segmentOutsideFile`; then
    ///   `.nothingToLoad`, `.segmentAddress`, `.segmentsOverlap`, `.entryOutside`
    public init(elf bytes: [UInt8]) throws(GuestImageError) {
        let file = FileFields(bytes: bytes)
        _ = try file.require(16, at: 0)
        guard bytes[..<4] == [0x7f, 0x45, 0x4c, 0x46] else { throw GuestImageError(.unknownFormat, at: 0) }
        guard bytes[4] == 1 || bytes[4] == 2 else { throw GuestImageError(.elfClass(bytes[4]), at: 4) }
        guard bytes[5] == 1 else { throw GuestImageError(.byteOrder(bytes[5]), at: 5) }
        guard bytes[6] == 1 else { throw GuestImageError(.elfVersion(UInt32(bytes[6])), at: 6) }
        let layout = bytes[4] == 2 ? ELFLayout.class64 : .class32
        _ = try file.require(layout.headerByteCount, at: 0)
        let type: UInt16 = file.integer(16)
        guard type == 2 else { throw GuestImageError(.elfType(type), at: 16) }
        let machine: UInt16 = file.integer(18)
        guard machine == layout.machine else { throw GuestImageError(.machine(machine), at: 18) }
        let version: UInt32 = file.integer(20)
        guard version == 1 else { throw GuestImageError(.elfVersion(version), at: 20) }
        let headers = try ELFProgramHeader.all(of: file, layout)
        var loaded: [ELFProgramHeader] = []
        for header in headers {
            guard !header.isDynamic else { throw GuestImageError(.dynamic, at: header.fileOffset) }
            guard header.isLoaded else { continue }
            try header.check(fileByteCount: bytes.count)
            loaded.append(header)
        }
        let segments = loaded.map { header in
            let start = Int(header.offset)
            return Segment(
                gpa: GPA(header.physicalAddress), bytes: Array(bytes[start..<(start + Int(header.fileByteCount))]),
                byteCount: header.memoryByteCount)
        }
        let entry = layout.word(file, layout.entryOffset)
        let start =
            loaded.compactMap { $0.physicalEntry(entry, isPhysical: true) }.first
            ?? loaded.compactMap { $0.physicalEntry(entry, isPhysical: false) }.first
        try self.init(
            segments: segments, entry: GPA(start ?? entry), mode: layout.machine == 62 ? .long64 : .protected32,
            bootProtocol: .direct)
        guard start != nil else { throw GuestImageError(.entryOutside(entry), at: layout.entryOffset) }
    }
}

/// Where the two classes of ELF file have their fields.
struct ELFLayout {
    let headerByteCount: Int
    let machine: UInt16
    let wordByteCount: Int
    let entryOffset = 24
    let programHeaderByteCount: UInt16
    /// Offsets in a program header: file offset, virtual address, physical address, bytes in the file, bytes in memory.
    let fields: (offset: Int, virtual: Int, physical: Int, file: Int, memory: Int)

    static let class64 = ELFLayout(
        headerByteCount: 64, machine: 62, wordByteCount: 8, programHeaderByteCount: 56, fields: (8, 16, 24, 32, 40))
    static let class32 = ELFLayout(
        headerByteCount: 52, machine: 3, wordByteCount: 4, programHeaderByteCount: 32, fields: (4, 8, 12, 16, 20))

    var programHeadersOffset: Int { 24 + wordByteCount }
    var programHeaderSizeOffset: Int { headerByteCount - 10 }
    var programHeaderCountOffset: Int { headerByteCount - 8 }

    /// A field as wide as an address.
    func word(_ file: FileFields, _ offset: Int) -> UInt64 {
        wordByteCount == 8 ? file.integer(offset) : UInt64(file.integer(offset, as: UInt32.self))
    }
}

/// One program header.
struct ELFProgramHeader {
    let fileOffset: Int
    let type: UInt32
    let offset: UInt64
    let virtualAddress: UInt64
    let physicalAddress: UInt64
    let fileByteCount: UInt64
    let memoryByteCount: UInt64

    var isLoaded: Bool { type == 1 }
    /// PT_DYNAMIC or PT_INTERP.
    var isDynamic: Bool { type == 2 || type == 3 }

    static func all(of file: FileFields, _ layout: ELFLayout) throws(GuestImageError) -> [ELFProgramHeader] {
        let size: UInt16 = file.integer(layout.programHeaderSizeOffset)
        guard size == layout.programHeaderByteCount else {
            throw GuestImageError(.programHeaderSize(size), at: layout.programHeaderSizeOffset)
        }
        let count: UInt16 = file.integer(layout.programHeaderCountOffset)
        guard count > 0, count < 0xffff else {
            throw GuestImageError(.programHeaderCount(count), at: layout.programHeaderCountOffset)
        }
        let start = try file.require(
            Int(size) * Int(count), at: layout.word(file, layout.programHeadersOffset))
        return (0..<Int(count)).map { index in
            let at = start + index * Int(size)
            return ELFProgramHeader(
                fileOffset: at, type: file.integer(at), offset: layout.word(file, at + layout.fields.offset),
                virtualAddress: layout.word(file, at + layout.fields.virtual),
                physicalAddress: layout.word(file, at + layout.fields.physical),
                fileByteCount: layout.word(file, at + layout.fields.file),
                memoryByteCount: layout.word(file, at + layout.fields.memory))
        }
    }

    /// - Throws: in check order: `.segmentShrinks`, `.segmentOutsideFile`
    func check(fileByteCount whole: Int) throws(GuestImageError) {
        guard memoryByteCount >= fileByteCount else {
            throw GuestImageError(
                .segmentShrinks(fileByteCount: fileByteCount, memoryByteCount: memoryByteCount), at: fileOffset)
        }
        guard offset <= UInt64(whole), UInt64(whole) - offset >= fileByteCount else {
            throw GuestImageError(.segmentOutsideFile(offset: offset, byteCount: fileByteCount), at: fileOffset)
        }
    }

    /// The physical address of an entry that this segment holds.
    func physicalEntry(_ entry: UInt64, isPhysical: Bool) -> UInt64? {
        let distance = entry &- (isPhysical ? physicalAddress : virtualAddress)
        return distance < memoryByteCount ? physicalAddress &+ distance : nil
    }
}
