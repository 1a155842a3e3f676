import SNPArchitecture
import Testing

@testable import Monitor

@Suite("Multiboot and raw images")
struct MultibootImageTests {
    /// A file with a header at an offset and, if given, its address fields.
    static func file(
        at offset: Int, flags: UInt32, addresses: [UInt32] = [], count: Int = 0x3000, checksum: UInt32? = nil
    ) -> [UInt8] {
        var file = [UInt8](repeating: 0x90, count: count)
        let words = [0x1bad_b002, flags, checksum ?? (0 &- 0x1bad_b002 &- flags)] + addresses
        for (index, word) in words.enumerated() {
            for byte in 0..<4 { file[offset + index * 4 + byte] = UInt8(truncatingIfNeeded: word >> UInt32(8 * byte)) }
        }
        return file
    }

    func problem(_ file: [UInt8]) -> GuestImageError.Problem? {
        do throws(GuestImageError) {
            _ = try GuestImage(multiboot: file)
            return nil
        } catch { return error.problem }
    }

    @Test("the header's addresses say what is loaded and where")
    func addresses() throws {
        let file = Self.file(
            at: 0x40, flags: 0x1_0003, addresses: [0x10_0040, 0x10_0000, 0x10_2000, 0x10_5000, 0x10_0100])
        let image = try GuestImage(recognizing: file)
        #expect(image.bootProtocol == .multiboot)
        #expect(image.mode == .protected32)
        #expect(image.entry == GPA(0x10_0100))
        let segment = try #require(image.segments.first)
        #expect(segment.bytes == Array(file[..<0x2000]))
        #expect(segment.byteCount == 0x5000)
    }

    @Test("without ends the whole rest of the file is loaded")
    func openEnd() throws {
        let file = Self.file(at: 0x40, flags: 0x1_0000, addresses: [0x10_0000, 0x10_0000, 0, 0, 0x10_0000])
        let segment = try #require(GuestImage(multiboot: file).segments.first)
        #expect(segment.bytes.count == 0x3000 - 0x40)
        #expect(segment.byteCount == 0x3000 - 0x40)
    }

    @Test("addresses that contradict each other or the file are refused")
    func contradictions() {
        func with(_ addresses: [UInt32]) -> GuestImageError.Problem? {
            problem(Self.file(at: 0x40, flags: 0x1_0000, addresses: addresses))
        }
        #expect(with([0x10_0000, 0x10_0001, 0, 0, 0x10_0000]) == .multibootAddresses)
        #expect(with([0x10_0041, 0x10_0000, 0, 0, 0x10_0000]) == .multibootAddresses)
        #expect(with([0x10_0000, 0x10_0000, 0x10_0000, 0, 0x10_0000]) == .multibootAddresses)
        #expect(with([0x10_0000, 0x10_0000, 0x10_2fc1, 0, 0x10_0000]) == .multibootAddresses)
        #expect(with([0x10_0000, 0x10_0000, 0x10_2fc0, 0, 0x10_0000]) == nil)
        #expect(with([0x10_0000, 0x10_0000, 0x10_1000, 0x10_0fff, 0x10_0000]) == .multibootAddresses)
        #expect(with([0x10_0000, 0x10_0000, 0x10_1000, 0, 0x10_1000]) == .entryOutside(0x10_1000))
        #expect(
            with([0xffff_f000, 0xffff_f000, 0, 0, 0xffff_f000])
                == .segmentAddress(GPA(0xffff_f000), byteCount: 0x2fc0))
    }

    @Test("the header lies in the first 8192 bytes, aligned, and adds up")
    func header() throws {
        let fields: [UInt32] = [0x10_0000, 0x10_0000, 0, 0, 0x10_0000]
        #expect(problem(Self.file(at: 8192 - 12, flags: 0x1_0000, addresses: fields)) == nil)
        #expect(problem(Self.file(at: 8192 - 8, flags: 0x1_0000, addresses: fields)) == .unknownFormat)
        #expect(problem(Self.file(at: 6, flags: 0x1_0000, addresses: fields)) == .unknownFormat)
        #expect(problem(Self.file(at: 0, flags: 0x1_0000, addresses: fields, checksum: 1)) == .unknownFormat)
        #expect(problem(Self.file(at: 0, flags: 0x1_0004, addresses: fields)) == .multibootFlags(4))
        #expect(problem(Self.file(at: 0, flags: 0x1_8000, addresses: fields)) == .multibootFlags(0x8000))
        #expect(problem(Array(Self.file(at: 0, flags: 0x1_0000, addresses: fields)[..<31])) == .truncated(needed: 20))
        for count in 0..<12 { #expect(problem([UInt8](repeating: 0x90, count: count)) == .unknownFormat) }
    }

    @Test("without addresses the file has to be 32-bit ELF")
    func elf() throws {
        #expect(problem(Self.file(at: 0x40, flags: 3)) == .multibootNeedsELF32)
        var builder = ELFBuilder()
        builder.headers[0].contents = Self.file(at: 0x100, flags: 3, count: 0x200)
        #expect(problem(builder.build()) == .multibootNeedsELF32)
        #expect(try GuestImage(recognizing: builder.build()).bootProtocol == .direct)
        builder.is64 = false
        let image = try GuestImage(recognizing: builder.build())
        #expect(image.bootProtocol == .multiboot)
        #expect(image.entry == GPA(0x10_0000))
    }

    @Test("the information names memory, map and command line")
    func information() {
        let page = MultibootInformation.page(at: GPA(0x8000), memoryByteCount: 64 << 20, commandLine: Array("a b".utf8))
        func word(_ offset: Int) -> UInt32 {
            (0..<4).reduce(0) { $0 | UInt32(page[offset + $1]) << UInt32(8 * $1) }
        }
        #expect(word(0) == 0x245)
        #expect([word(4), word(8)] == [640, 63 << 10])
        #expect(Array(page[Int(word(16) - 0x8000)..<Int(word(16) - 0x8000 + 4)]) == Array("a b\0".utf8))
        let map = Int(word(48) - 0x8000)
        #expect([word(44), word(map), word(map + 4), word(map + 12), word(map + 20)] == [24, 20, 0, 64 << 20, 1])
        #expect(page.count == 4096)
    }

    @Test("raw bytes go to their address; the entry is in them, and real mode starts low")
    func raw() throws {
        let image = try GuestImage(raw: [1, 2, 3], at: GPA(0x7c00), mode: .real16)
        #expect(image.entry == GPA(0x7c00))
        #expect(throws: GuestImageError(.nothingToLoad, at: 0)) { try GuestImage(raw: [], at: GPA(0), mode: .long64) }
        #expect(throws: GuestImageError(.entryOutside(0x7c03), at: 0)) {
            try GuestImage(raw: [1, 2, 3], at: GPA(0x7c00), entry: GPA(0x7c03), mode: .long64)
        }
        #expect(throws: GuestImageError(.entryOutside(0x10_0000), at: 0)) {
            try GuestImage(raw: [1], at: GPA(0x10_0000), mode: .real16)
        }
        #expect(throws: GuestImageError(.segmentAddress(GPA(.max), byteCount: 1), at: 0)) {
            try GuestImage(raw: [1], at: GPA(.max), mode: .long64)
        }
    }
}
