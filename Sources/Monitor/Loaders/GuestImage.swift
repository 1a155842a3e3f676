// A program that is loaded straight into guest memory, without firmware: what the formats have in common.

public import SNPArchitecture

/// What is loaded into a guest's memory, and where and how it starts.
public struct GuestImage: Sendable {
    /// The mode in which the processor enters.
    public enum EntryMode: Hashable, Sendable {
        /// 64-bit mode with the loader's identity map.
        case long64
        /// 32-bit protected mode without paging.
        case protected32
        /// 16-bit real mode; the entry is below 1 MiB.
        case real16
    }

    /// What the image expects in registers and memory.
    public enum BootProtocol: Hashable, Sendable {
        /// The boot information page of Guests/README.md.
        case direct
        /// Multiboot information, version 1.
        case multiboot
    }

    /// A run of bytes in guest memory.
    public struct Segment: Hashable, Sendable {
        /// The first byte's address.
        public var gpa: GPA
        /// The bytes of the file.
        public var bytes: [UInt8]
        /// The length in memory; what the file does not give is zero.
        public var byteCount: UInt64

        /// The first address behind it.
        public var end: GPA { gpa + byteCount }

        /// Makes a segment.
        public init(gpa: GPA, bytes: [UInt8], byteCount: UInt64) {
            self.gpa = gpa
            self.bytes = bytes
            self.byteCount = byteCount
        }
    }

    /// The segments, by address; no two share a byte, none is empty, all end below 4 GiB.
    public let segments: [Segment]
    /// The first instruction.
    public let entry: GPA
    /// How it is entered.
    public let mode: EntryMode
    /// What it expects.
    public let bootProtocol: BootProtocol

    /// The largest file that is loaded.
    public static let maximumFileByteCount = 256 << 20
    /// All of an image lies below.
    static let addressLimit: UInt64 = 1 << 32

    /// Sorts and checks the segments of a file.
    ///
    /// - Throws: in check order: `.nothingToLoad`, `.segmentAddress`, `.segmentsOverlap`
    init(
        segments: [Segment], entry: GPA, mode: EntryMode, bootProtocol: BootProtocol
    ) throws(GuestImageError) {
        let sorted = segments.filter { $0.byteCount > 0 }.sorted { $0.gpa < $1.gpa }
        guard !sorted.isEmpty else { throw GuestImageError(.nothingToLoad, at: 0) }
        for segment in sorted {
            guard segment.gpa.rawValue < Self.addressLimit, segment.byteCount <= Self.addressLimit,
                segment.gpa.rawValue + segment.byteCount <= Self.addressLimit
            else { throw GuestImageError(.segmentAddress(segment.gpa, byteCount: segment.byteCount), at: 0) }
        }
        for (first, second) in zip(sorted, sorted.dropFirst()) where second.gpa < first.end {
            throw GuestImageError(.segmentsOverlap(first.gpa, second.gpa), at: 0)
        }
        self.segments = sorted
        self.entry = entry
        self.mode = mode
        self.bootProtocol = bootProtocol
    }

    /// Makes an image of bytes without a format.
    ///
    /// - Throws: in check order: `.nothingToLoad`, `.segmentAddress`, `.entryOutside`
    public init(raw bytes: [UInt8], at gpa: GPA, entry: GPA? = nil, mode: EntryMode) throws(GuestImageError) {
        let segment = Segment(gpa: gpa, bytes: bytes, byteCount: UInt64(bytes.count))
        let entry = entry ?? gpa
        try self.init(segments: [segment], entry: entry, mode: mode, bootProtocol: .direct)
        guard entry >= gpa, entry < segment.end, mode != .real16 || entry.rawValue < 0x10_0000 else {
            throw GuestImageError(.entryOutside(entry.rawValue), at: 0)
        }
    }

    /// Reads an image whose format its first bytes tell: Multiboot if there is such a header, else ELF. A 64-bit ELF file is
    /// no Multiboot kernel unless the header says where to load it.
    ///
    /// - Throws: as `init(multiboot:)` or `init(elf:)`
    public init(recognizing bytes: [UInt8]) throws(GuestImageError) {
        let is64BitELF = bytes.starts(with: [0x7f, 0x45, 0x4c, 0x46, 2])
        if let header = try MultibootHeader(searching: bytes), header.saysAddresses || !is64BitELF {
            try self.init(multiboot: bytes)
        } else {
            try self.init(elf: bytes)
        }
    }

    /// Reads an image from a file.
    ///
    /// - Throws: `FileError`, then as `init(recognizing:)`
    public static func load(_ path: String) throws -> GuestImage {
        try GuestImage(recognizing: readFile(path, limit: maximumFileByteCount))
    }

    /// The pages that the image touches, in order, with their contents; nil for a page of zeros that the file says nothing of.
    func pages() -> [(gfn: GFN, bytes: [UInt8]?)] {
        var pages: [(gfn: GFN, bytes: [UInt8]?)] = []
        for segment in segments {
            var frame = segment.gpa.frame
            let last = GPA(segment.end.rawValue - 1).frame
            // Two segments may share a page.
            if let previous = pages.last, previous.gfn == frame {
                pages.removeLast()
                pages.append((frame, Self.fill(previous.bytes, frame, from: segment)))
                frame = frame + 1
            }
            while frame <= last {
                pages.append((frame, Self.fill(nil, frame, from: segment)))
                frame = frame + 1
            }
        }
        return pages
    }

    /// Puts the part of a segment's bytes that lies in a page into it.
    private static func fill(_ page: [UInt8]?, _ gfn: GFN, from segment: Segment) -> [UInt8]? {
        let pageStart = gfn.address.rawValue
        let start = max(pageStart, segment.gpa.rawValue)
        let end = min(pageStart + 4096, segment.gpa.rawValue + UInt64(segment.bytes.count))
        guard start < end else { return page }
        var bytes = page ?? [UInt8](repeating: 0, count: 4096)
        let source = Int(start - segment.gpa.rawValue)..<Int(end - segment.gpa.rawValue)
        let target = Int(start - pageStart)
        bytes.replaceSubrange(target..<(target + source.count), with: segment.bytes[source])
        return bytes
    }
}
