import SNPArchitecture
import Testing

@testable import Monitor

@Suite("OVMF image")
struct OVMFImageTests {
    /// An image of one page whose table holds these bytes in front of the footer.
    static func image(table: [UInt8], footerLength: Int? = nil, metadata: [UInt8] = []) -> [UInt8] {
        let length = UInt16(footerLength ?? table.count + 18)
        let tail =
            metadata + table + length.littleEndianBytes + GUID.tableFooter.bytes + [UInt8](repeating: 0, count: 32)
        return [UInt8](repeating: 0xff, count: 4096 - tail.count) + tail
    }
    /// An image with metadata right in front of the table.
    static func image(metadata: [UInt32], fromEnd: UInt32? = nil) -> [UInt8] {
        let bytes = metadata.flatMap(\.littleEndianBytes)
        let distance = fromEnd ?? UInt32(bytes.count + 32 + 18 + 22)
        return image(table: OVMFImageBuilder.entry(.sevMetadata, distance.littleEndianBytes), metadata: bytes)
    }
    static let asev: UInt32 = 0x5645_5341

    func error(_ bytes: [UInt8]) -> OVMFError? { #expect(throws: OVMFError.self) { _ = try OVMFImage(bytes) } }

    @Test("a built image reads back as it was made")
    func roundTrip() throws {
        let image = BundledImage.image
        #expect(image.bytes.count == 0x1_0000)
        #expect(image.gpa == GPA(0xffff_0000))
        #expect(image.resetAddress == 0xffff_ffe0)
        #expect(image.hashTable == GPA(0x81_0c00))
        #expect(image.sections.map(\.gpa) == BundledImage.sections.map(\.gpa))
        #expect(image.sections.map(\.byteCount) == BundledImage.sections.map(\.byteCount))
        #expect(image.sections.map(\.kind) == BundledImage.sections.map(\.kind))
        #expect(Array(image.bytes[0xfff0..<0xfff3]) == [0xf4, 0xeb, 0xfd])
        #expect(Array(image.bytes[0xffe0..<0xffe3]) == [0xf4, 0xeb, 0xfd])
    }

    @Test("the size is whole pages, up to 16 MiB")
    func sizes() throws {
        func zeros(_ count: Int) -> [UInt8] { [UInt8](repeating: 0, count: count) }
        #expect(error([]) == OVMFError(.empty, at: 0))
        #expect(error(zeros(1)) == OVMFError(.tooSmall(byteCount: 1), at: 0))
        #expect(error(zeros(4095)) == OVMFError(.tooSmall(byteCount: 4095), at: 0))
        #expect(error(zeros(4097)) == OVMFError(.notWholePages(byteCount: 4097), at: 4097))
        #expect(error(zeros(0x100_1000)) == OVMFError(.tooLarge(byteCount: 0x100_1000), at: 0))
        #expect(try OVMFImage(zeros(0x100_0000)).gpa == GPA(0xff00_0000))
        let plain = try OVMFImage(zeros(4096))
        #expect(!plain.hasTable && plain.sections.isEmpty && plain.resetAddress == nil && plain.hashTable == nil)
    }

    @Test("the table's lengths are checked from the end backwards")
    func tableLengths() throws {
        let footer = 4096 - 50
        #expect(error(Self.image(table: [], footerLength: 17)) == OVMFError(.tableLength(17), at: footer))
        #expect(error(Self.image(table: [], footerLength: 4096)) == OVMFError(.tableLength(4096), at: footer))
        #expect(try OVMFImage(Self.image(table: [], footerLength: 18)).hasTable)
        var entry = OVMFImageBuilder.entry(.resetBlock, [1, 2, 3, 4])
        #expect(try OVMFImage(Self.image(table: entry)).resetAddress == 0x0403_0201)
        #expect(try OVMFImage(Self.image(table: [0xaa, 0xbb] + entry)).resetAddress == 0x0403_0201)
        entry[4] = 17
        #expect(error(Self.image(table: entry)) == OVMFError(.entryLength(17), at: footer - 18))
        entry[4] = 23
        #expect(error(Self.image(table: entry)) == OVMFError(.entryLength(23), at: footer - 18))
        entry[4] = 0
        #expect(error(Self.image(table: entry)) == OVMFError(.entryLength(0), at: footer - 18))
    }

    @Test("entries that are read have four bytes and come once")
    func entries() {
        for guid in [GUID.resetBlock, .hashTable, .sevMetadata] {
            let short = OVMFImageBuilder.entry(guid, [1, 2, 3])
            #expect(error(Self.image(table: short))?.problem == .entryData(guid, byteCount: 3, needed: 4))
            let twice = OVMFImageBuilder.entry(guid, [1, 0, 0, 0]) + OVMFImageBuilder.entry(guid, [1, 0, 0, 0])
            #expect(error(Self.image(table: twice))?.problem == .duplicateEntry(guid))
        }
        let unknown = OVMFImageBuilder.entry(.kernelHash, []) + OVMFImageBuilder.entry(.kernelHash, [])
        #expect(throws: Never.self) { try OVMFImage(Self.image(table: unknown)) }
    }

    @Test("the metadata's place, signature, version and length are checked in this order")
    func metadata() throws {
        func problem(_ words: [UInt32], fromEnd: UInt32? = nil) -> OVMFError.Problem? {
            error(Self.image(metadata: words, fromEnd: fromEnd))?.problem
        }
        let good: [UInt32] = [Self.asev, 28, 1, 1, 0x1000, 0x2000, 3]
        let sections = try OVMFImage(Self.image(metadata: good)).sections
        #expect(sections.count == 1)
        #expect(sections[0].gpa == GPA(0x1000) && sections[0].byteCount == 0x2000 && sections[0].kind == .cpuid)
        #expect(sections[0].fileOffset == 4096 - 72 - 12)
        #expect(try OVMFImage(Self.image(metadata: [Self.asev, 16, 1, 0])).sections.isEmpty)

        for distance: UInt32 in [0, 15, 4097, .max] {
            #expect(problem(good, fromEnd: distance) == .metadataOutsideFile(fromEnd: distance))
        }
        #expect(problem([0x1234, 0, 0, 0]) == .metadataSignature(0x1234))
        #expect(problem([Self.asev, 0, 2, 9]) == .metadataVersion(2))
        #expect(problem([Self.asev, 27, 1, 1, 0, 0, 1]) == .metadataLength(27, sections: 1))
        #expect(problem([Self.asev, 15, 1, 0]) == .metadataLength(15, sections: 0))
        #expect(problem([Self.asev, 4096, 1, 1, 0, 0, 1]) == .metadataLength(4096, sections: 1))
        #expect(problem([Self.asev, .max, 1, .max]) == .metadataLength(.max, sections: .max))
    }

    @Test("no damage to the last page makes the reader trap")
    func damage() throws {
        let good = Array(BundledImage.bytes.suffix(4096))
        var accepted = 0, refused = 0
        // Each byte of the parts, set to values that reach the limits of a length.
        for index in (4096 - 300)..<4096 {
            for value: UInt8 in [0, 1, 0x11, 0x12, 0x7f, 0x80, 0xfe, 0xff] {
                var bytes = good
                bytes[index] = value
                do {
                    let image = try OVMFImage(bytes)
                    _ = try LaunchPlan(
                        image: image, configuration: LaunchConfiguration(signature: CPUSignature(rawValue: 0)))
                    accepted += 1
                } catch {
                    refused += 1
                }
            }
        }
        #expect(accepted + refused == 300 * 8)
        #expect(accepted > 300 && refused > 300)
    }

    @Test("errors say what, where and what to do")
    func text() {
        let error = OVMFError(.metadataVersion(2), at: 0xf10)
        #expect(
            error.description
                == "at file offset 0xf10: the SEV metadata has version 2, not 1. "
                + "The image is newer than this version knows: use an older image")
        #expect(GUID.tableFooter.description == "96b582de-1fb2-45f7-baea-a366c55a082d")
        #expect(GUID.kernelHashes.description == "9438d606-4f22-4cc9-b479-a793d411fd21")
    }
}

@Suite("File reading")
struct FileReadingTests {
    func failure(_ path: String, limit: Int = 100) -> FileError? {
        #expect(throws: FileError.self) { _ = try readFile(path, limit: limit) }
    }

    @Test("what cannot be read is refused with the path, the reason and what to do")
    func refusals() {
        #expect(failure("/nonexistent/file")?.problem == .system(operation: "open", errno: 2))
        #expect(
            failure("/nonexistent/file")?.description.hasPrefix("/nonexistent/file: cannot open: No such file") == true)
        #expect(failure("/")?.problem == .directory)
        #expect(failure("/dev/zero", limit: 5000)?.problem == .tooLarge(limit: 5000))
        #expect(failure("/proc/cpuinfo", limit: 10)?.problem == .tooLarge(limit: 10))
        #expect(failure(#filePath, limit: 10)?.problem == .tooLarge(limit: 10))
    }

    @Test("a file of any kind is read to its end")
    func reads() throws {
        #expect(try readFile("/dev/null", limit: 0).isEmpty)
        let bytes = try readFile(#filePath, limit: 1 << 20)
        #expect(String(decoding: bytes.prefix(22), as: UTF8.self) == "import SNPArchitecture")
        // A file whose size the system gives as zero.
        #expect(try !readFile("/proc/self/status", limit: 1 << 20).isEmpty)
        #expect(
            try KernelHashes(kernelPath: "/dev/null", initrdPath: #filePath, commandLine: "quiet")
                == KernelHashes(kernel: [], initrd: bytes, commandLine: "quiet"))
    }
}
