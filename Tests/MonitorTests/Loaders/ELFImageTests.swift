import SNPArchitecture
import Testing

@testable import Monitor

@Suite("ELF image")
struct ELFImageTests {
    func problem(_ change: (inout ELFBuilder) -> Void) -> GuestImageError.Problem? {
        var builder = ELFBuilder()
        change(&builder)
        return problem(of: builder.build())
    }

    func problem(of file: [UInt8]) -> GuestImageError.Problem? {
        do {
            _ = try GuestImage(elf: file)
            return nil
        } catch {
            #expect(error.description.contains("file offset 0x"))
            return error.problem
        }
    }

    @Test("segments are sorted by address, with the file's bytes and the rest zero")
    func segments() throws {
        var builder = ELFBuilder()
        builder.headers = [
            .init(address: 0x20_1000, contents: [1, 2], memoryByteCount: 0x2000),
            .init(address: 0x10_0010, contents: [3, 4, 5]),
            .init(address: 0x30_0000),
            .init(type: 4, address: 0x40_0000, contents: [9]),
        ]
        builder.entry = 0x10_0011
        let image = try GuestImage(elf: builder.build())
        #expect(image.entry == GPA(0x10_0011))
        #expect(image.mode == .long64)
        #expect(image.bootProtocol == .direct)
        #expect(image.segments.map(\.gpa) == [GPA(0x10_0010), GPA(0x20_1000)])
        #expect(image.segments.map(\.byteCount) == [3, 0x2000])
        let pages = image.pages()
        #expect(pages.map(\.gfn) == [GFN(0x100), GFN(0x201), GFN(0x202)])
        #expect(pages[0].bytes?[0x0f...0x13] == [0, 3, 4, 5, 0])
        #expect(pages[1].bytes?.prefix(3) == [1, 2, 0])
        #expect(pages[1].bytes?.count == 4096)
        #expect(pages[2].bytes == nil)
    }

    @Test("two segments in one page are one page")
    func sharedPage() throws {
        var builder = ELFBuilder()
        builder.headers = [
            .init(address: 0x10_0ffe, contents: [1, 2, 3]), .init(address: 0x10_1800, contents: [4]),
            .init(address: 0x10_1900, contents: [5], memoryByteCount: 0x1000),
        ]
        builder.entry = 0x10_0ffe
        let pages = try GuestImage(elf: builder.build()).pages()
        #expect(pages.map(\.gfn) == [GFN(0x100), GFN(0x101), GFN(0x102)])
        let shared = try #require(pages[1].bytes)
        #expect([shared[0], shared[0x800], shared[0x900]] == [3, 4, 5])
        #expect(shared.reduce(0) { $0 + Int($1) } == 12)
        #expect(pages[2].bytes == nil)
    }

    @Test("32-bit files enter protected mode")
    func class32() throws {
        var builder = ELFBuilder()
        builder.is64 = false
        let image = try GuestImage(elf: builder.build())
        #expect(image.mode == .protected32)
        #expect(image.segments.first?.bytes == [0xf4, 0xeb, 0xfd])
    }

    @Test("a virtual entry is translated, but a physical one comes first")
    func entry() throws {
        var builder = ELFBuilder()
        builder.headers[0].virtualAddress = 0xffff_ffff_8000_0000
        builder.entry = 0xffff_ffff_8000_0002
        #expect(try GuestImage(elf: builder.build()).entry == GPA(0x10_0002))
        builder.entry = 0x10_0001
        #expect(try GuestImage(elf: builder.build()).entry == GPA(0x10_0001))
        #expect(problem { $0.entry = 0x10_0003 } == .entryOutside(0x10_0003))
        #expect(problem { $0.entry = 0xf_ffff } == .entryOutside(0xf_ffff))
    }

    @Test("the header is refused for its first fault")
    func header() {
        #expect(problem(of: []) == .truncated(needed: 16))
        #expect(problem(of: [UInt8](repeating: 0, count: 16)) == .unknownFormat)
        var file = ELFBuilder().build()
        #expect(problem(of: Array(file[..<63])) == .truncated(needed: 64))
        file[6] = 2
        #expect(problem(of: file) == .elfVersion(2))
        file[5] = 2
        #expect(problem(of: file) == .byteOrder(2))
        file[4] = 3
        #expect(problem(of: file) == .elfClass(3))
        #expect(problem { ($0.type, $0.machine) = (3, 40) } == .elfType(3))
        #expect(problem { ($0.machine, $0.version) = (3, 2) } == .machine(3))
        #expect(problem { ($0.version, $0.programHeaderSize) = (9, 1) } == .elfVersion(9))
        #expect(problem { ($0.programHeaderSize, $0.programHeaderCount) = (32, 0) } == .programHeaderSize(32))
        #expect(problem { $0.programHeaderCount = 0 } == .programHeaderCount(0))
        #expect(problem { $0.programHeaderCount = 0xffff } == .programHeaderCount(0xffff))
    }

    @Test("program headers have to be in the file", arguments: [64 + 4, 0xffff_ffff_ffff_fff0, .max] as [UInt64])
    func programHeaders(offset: UInt64) {
        #expect(problem { $0.programHeadersOffset = offset } == .truncated(needed: 56))
    }

    @Test("a segment's bytes have to be in the file, and no more than its memory")
    func segmentBytes() {
        #expect(problem { $0.headers[0].fileByteCount = 4 } == .segmentShrinks(fileByteCount: 4, memoryByteCount: 3))
        #expect(problem { $0.headers[0].offset = 121 } == .segmentOutsideFile(offset: 121, byteCount: 3))
        #expect(problem { $0.headers[0].offset = .max } == .segmentOutsideFile(offset: .max, byteCount: 3))
        #expect(
            problem {
                $0.headers[0].fileByteCount = .max
                $0.headers[0].memoryByteCount = .max
            } == .segmentOutsideFile(offset: 120, byteCount: .max))
    }

    @Test(
        "a segment lies below 4 GiB",
        arguments: [(0xffff_fffe, 3), (1 << 32, 3), (UInt64.max, 3), (0x1000, (1 << 32) - 0xfff), (0x1000, UInt64.max)]
            as [(UInt64, UInt64)])
    func addresses(address: UInt64, count: UInt64) {
        let problem = problem {
            $0.headers[0].address = address
            $0.headers[0].memoryByteCount = count
            $0.entry = address
        }
        #expect(problem == .segmentAddress(GPA(address), byteCount: count))
    }

    @Test("segments that share a byte are refused, neighbours are not")
    func overlap() {
        #expect(
            problem { $0.headers.append(.init(address: 0x10_0002, contents: [1])) }
                == .segmentsOverlap(GPA(0x10_0000), GPA(0x10_0002)))
        #expect(problem { $0.headers.append(.init(address: 0x10_0003, contents: [1])) } == nil)
    }

    @Test("files that need a linker, or have nothing, are refused", arguments: [2, 3] as [UInt32])
    func dynamic(type: UInt32) {
        #expect(problem { $0.headers.append(.init(type: type, address: 0)) } == .dynamic)
        #expect(problem { $0.headers[0].type = 6 } == .nothingToLoad)
    }

    @Test("no damaged file traps: every byte, every length")
    func damage() {
        let file = ELFBuilder().build()
        for length in file.indices { #expect(problem(of: Array(file[..<length])) != nil) }
        var refusals = 0
        for index in file.indices {
            for value in [0x00, 0x01, 0x7f, 0x80, 0xff] as [UInt8] where file[index] != value {
                var damaged = file
                damaged[index] = value
                if problem(of: damaged) != nil { refusals += 1 }
            }
        }
        #expect(refusals > 150)
    }
}
