// Multiboot version 1: the header that a kernel has near its start, and the information that it gets.

internal import SNPArchitecture

/// The header of a Multiboot kernel.
///
/// - Spec: Multiboot 0.6.96, section 3.1
/// - Deviates: video modes and modules are not offered
struct MultibootHeader: Hashable {
    static let magic: UInt32 = 0x1bad_b002
    /// The magic value that a kernel finds in EAX.
    static let loaderMagic: UInt32 = 0x2bad_b002
    /// The header lies in this much of the file, aligned to 4 bytes.
    static let searchByteCount = 8192
    /// Page-aligned modules, and memory information: both can be demanded.
    private static let known: UInt32 = 0x3
    /// Bits that must be understood.
    private static let mandatory: UInt32 = 0xffff
    private static let hasAddresses: UInt32 = 1 << 16

    /// Where in the file.
    let offset: Int
    let flags: UInt32

    /// Finds the header: magic, flags and checksum add up to zero. Nil if there is none.
    ///
    /// - Throws: `.multibootFlags`
    init?(searching bytes: [UInt8]) throws(GuestImageError) {
        let file = FileFields(bytes: bytes)
        let last = min(bytes.count, Self.searchByteCount) - 12
        var found: Int?
        for at in stride(from: 0, through: last, by: 4) where file.integer(at) == Self.magic {
            let sum = Self.magic &+ file.integer(at + 4) &+ file.integer(at + 8)
            if sum == 0 {
                found = at
                break
            }
        }
        guard let found else { return nil }
        offset = found
        flags = file.integer(found + 4)
        guard flags & Self.mandatory & ~Self.known == 0 else {
            throw GuestImageError(.multibootFlags(flags & Self.mandatory & ~Self.known), at: found + 4)
        }
    }

    /// Whether the header says where to load the file, which need not be ELF then.
    var saysAddresses: Bool { flags & Self.hasAddresses != 0 }
}

extension GuestImage {
    /// Reads a Multiboot kernel.
    ///
    /// - Spec: Multiboot 0.6.96, sections 3.1.3 and 3.2
    /// - Throws: in check order: `.multibootFlags`, `.unknownFormat` (no header); with addresses in the header `.truncated`,
    ///   `.multibootAddresses`, and as `init(raw:at:entry:mode:)`; else `.multibootNeedsELF32` and as `init(elf:)`
    public init(multiboot bytes: [UInt8]) throws(GuestImageError) {
        guard let header = try MultibootHeader(searching: bytes) else { throw GuestImageError(.unknownFormat, at: 0) }
        guard header.saysAddresses else {
            guard bytes.count > 4, bytes[..<5] == [0x7f, 0x45, 0x4c, 0x46, 1] else {
                throw GuestImageError(.multibootNeedsELF32, at: header.offset + 4)
            }
            let elf = try GuestImage(elf: bytes)
            try self.init(
                segments: elf.segments, entry: elf.entry, mode: .protected32, bootProtocol: .multiboot)
            return
        }
        let file = FileFields(bytes: bytes)
        let fields = try file.require(20, at: UInt64(header.offset) + 12)
        let headerAddress = UInt64(file.integer(fields, as: UInt32.self))
        let load = UInt64(file.integer(fields + 4, as: UInt32.self))
        let loadEnd = UInt64(file.integer(fields + 8, as: UInt32.self))
        let bssEnd = UInt64(file.integer(fields + 12, as: UInt32.self))
        let entry = UInt64(file.integer(fields + 16, as: UInt32.self))
        let contradiction = GuestImageError(.multibootAddresses, at: fields)
        guard headerAddress >= load, headerAddress - load <= UInt64(header.offset) else { throw contradiction }
        let start = header.offset - Int(headerAddress - load)
        // Zero means: to the end of the file, and no more than that.
        let end = loadEnd == 0 ? load + UInt64(bytes.count - start) : loadEnd
        guard end > load, end - load <= UInt64(bytes.count - start) else { throw contradiction }
        guard bssEnd == 0 || bssEnd >= end else { throw contradiction }
        let memoryEnd = bssEnd == 0 ? end : bssEnd
        try self.init(
            segments: [
                Segment(
                    gpa: GPA(load), bytes: Array(bytes[start..<(start + Int(end - load))]), byteCount: memoryEnd - load)
            ], entry: GPA(entry), mode: .protected32, bootProtocol: .multiboot)
        guard entry >= load, entry < memoryEnd else { throw GuestImageError(.entryOutside(entry), at: fields + 16) }
    }
}

/// What a Multiboot kernel finds at EBX: memory sizes, command line, memory map.
///
/// - Spec: Multiboot 0.6.96, section 3.3
enum MultibootInformation {
    /// The page at an address: the structure at its start, the map behind it, then the command line.
    static func page(at gpa: GPA, memoryByteCount: UInt64, commandLine: [UInt8]) -> [UInt8] {
        var page = [UInt8](repeating: 0, count: 4096)
        let map = 0x80
        let text = 0x100
        page.store(UInt32(1 << 0 | 1 << 2 | 1 << 6 | 1 << 9), at: 0)
        page.store(UInt32(min(memoryByteCount, 640 << 10) >> 10), at: 4)
        page.store(UInt32(clamping: max(memoryByteCount >> 10, 1024) - 1024), at: 8)
        page.store(UInt32(gpa.rawValue) + UInt32(text), at: 16)
        page.store(UInt32(24), at: 44)
        page.store(UInt32(gpa.rawValue) + UInt32(map), at: 48)
        page.store(UInt32(gpa.rawValue) + 0x60, at: 64)
        page.store(Array("Rampart".utf8), at: 0x60, limit: 16)
        // One entry: its size without this field, base, length, available.
        page.store(UInt32(20), at: map)
        page.store(UInt64(0), at: map + 4)
        page.store(memoryByteCount, at: map + 12)
        page.store(UInt32(1), at: map + 20)
        page.store(commandLine, at: text, limit: commandLine.count)
        return page
    }
}
