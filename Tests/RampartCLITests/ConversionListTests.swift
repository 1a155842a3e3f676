import Rampart
import SNPArchitecture
import Testing

@Suite("Sizes")
struct ByteSizeTests {
    @Test(
        "a size is a decimal or hexadecimal number and perhaps a suffix",
        arguments: [
            ("0", 0), ("4096", 4096), ("0x1000", 4096), ("0X1f", 31), ("64K", 65536), ("64k", 65536), ("2M", 2 << 20),
            ("16G", 16 << 30), ("1T", 1 << 40), ("4096T", 1 << 52), ("1GiB", 1 << 30), ("0x10M", 16 << 20),
            ("0x10000000000000", 1 << 52), ("000000000000000000000000001K", 1024),
        ] as [(String, UInt64)])
    func good(text: String, byteCount: UInt64) throws {
        #expect(try ByteSize(parsing: text).byteCount == byteCount)
    }

    @Test(
        "anything else is no size",
        arguments: [
            "", "K", "0x", "x1", "-1", "+1", "1.5G", "1 G", " 1", "1P", "1KB", "12iB", "iB", "1KK", "abc", "１", "0xg",
            "T1",
        ])
    func bad(text: String) {
        #expect(throws: ByteSize.ParseError.notANumber(text)) { try ByteSize(parsing: text) }
    }

    @Test(
        "more than 4P is too large, whatever way it is written",
        arguments: [
            "4097T", "4503599627370497", "0x10000000000001", "18446744073709551616", "99999999999999999999999999999T",
            "18446744073709551615T", "0xffffffffffffffffffffff",
        ])
    func tooLarge(text: String) {
        #expect(throws: ByteSize.ParseError.tooLarge(text)) { try ByteSize(parsing: text) }
    }

    @Test("a size prints with the largest suffix that fits")
    func description() throws {
        for text in ["0", "1", "4097", "4K", "3M", "512M", "1G", "1T", "4096T"] {
            #expect(try ByteSize(parsing: text).description == text)
        }
        #expect(ByteSize(1 << 52 + 1) == nil)
    }
}

@Suite("List of conversions")
struct ConversionListTests {
    func parse(_ text: String, memory: String = "1G") throws -> ConversionList {
        try ConversionList(parsing: Array(text.utf8), path: "plan.txt", memory: ByteSize(parsing: memory))
    }

    @Test("lines are conversions, comments or empty")
    func good() throws {
        let list = try parse("# all\n\nprivate 0x200000 2M  # large\n\tshared\t2M 4096\r\nprivate 1023M 1M")
        #expect(
            list.steps == [
                ConversionStep(.private, GFN(512)..<GFN(1024)), ConversionStep(.shared, GFN(512)..<GFN(513)),
                ConversionStep(.private, GFN(0x3ff00)..<GFN(0x40000)),
            ])
        #expect(try parse("").steps.isEmpty)
    }

    @Test(
        "the first line that cannot be read is named with its number and the reason",
        arguments: [
            ("private", 1, "1 words"), ("\n\nprivate 0 4K 1", 3, "4 words"), ("Private 0 4K", 1, "'Private'"),
            ("private 0 4K\nprivate x 4K", 2, "the address: 'x' is not a size"),
            ("private 1 4K", 1, "address 1 is not a multiple"), ("private 0 y", 1, "the size: 'y' is not a size"),
            ("private 0 5000", 1, "size 5000 is not a multiple"), ("private 0 0", 1, "the size is 0"),
            ("private 1G 4K", 1, "ends after the guest's 1G"), ("private 0 2G", 1, "ends after the guest's 1G"),
            ("private 4096T 4096T", 1, "ends after"), ("private 0 9999999T", 1, "more than 4P"),
            ("private 0 4K # 2\nbad # \n bad", 2, "1 words"),
        ])
    func bad(text: String, line: Int, message: String) throws {
        let error = #expect(throws: ConversionListError.self) { _ = try parse(text) }
        #expect(error?.line == line)
        #expect(error?.description.hasPrefix("plan.txt:\(line): ") == true)
        #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
    }

    @Test("bytes that are no text are refused")
    func binary() throws {
        let error = #expect(throws: ConversionListError.self) {
            _ = try ConversionList(
                parsing: Array("private 0 4K\n".utf8) + [0xff, 0xfe], path: "p", memory: ByteSize(parsing: "1G"))
        }
        #expect(error?.line == 2)
    }
}
