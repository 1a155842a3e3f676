// The GHCB page and its parts against the offsets and bits of the specification.

import SNPArchitecture
import Testing

@Suite("GHCB layout")
struct GHCBLayoutTests {
    /// Offset and valid bit of each field, as the specification lists them.
    static let fields: [(field: GHCBField, offset: Int, validBit: Int)] = [
        (.cpl, 0x0cb, 25), (.xss, 0x140, 40), (.dr7, 0x160, 44), (.rip, 0x178, 47), (.rsp, 0x1d8, 59),
        (.rax, 0x1f8, 63), (.rcx, 0x308, 97), (.rdx, 0x310, 98), (.rbx, 0x318, 99), (.rbp, 0x328, 101),
        (.rsi, 0x330, 102), (.rdi, 0x338, 103), (.r8, 0x340, 104), (.r9, 0x348, 105), (.r10, 0x350, 106),
        (.r11, 0x358, 107), (.r12, 0x360, 108), (.r13, 0x368, 109), (.r14, 0x370, 110), (.r15, 0x378, 111),
        (.exitCode, 0x390, 114), (.exitInfo1, 0x398, 115), (.exitInfo2, 0x3a0, 116), (.scratch, 0x3a8, 117),
        (.xcr0, 0x3e8, 125),
    ]

    @Test("every field has the specified offset and valid bit, and the table names them all")
    func offsets() {
        #expect(Set(Self.fields.map(\.field)) == Set(GHCBField.allCases))
        for (field, offset, validBit) in Self.fields {
            #expect(field.rawValue == offset, "\(field)")
            #expect(field.validBit == validBit, "\(field)")
        }
    }

    @Test("a value stored in a field stands at its offset, little-endian, and nowhere else")
    func storage() {
        for field in GHCBField.allCases {
            var page = GHCBPage()
            page[field] = 0x1122_3344_5566_7788
            let expected: [UInt8] =
                field == .cpl ? [0x88] : [0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11]
            #expect(Array(page.bytes[field.rawValue..<field.rawValue + field.byteCount]) == expected, "\(field)")
            #expect(page.bytes.filter { $0 != 0 }.count == expected.count, "\(field)")
            #expect(page[field] == (field == .cpl ? 0x88 : 0x1122_3344_5566_7788))
            #expect(page.value(field) == nil, "nothing is valid yet")
        }
    }

    @Test("valid bit n is bit n % 8 of byte n / 8 of the bitmap at 3f0")
    func bitmap() {
        for (field, _, validBit) in Self.fields {
            var page = GHCBPage()
            page.set(field, 1)
            #expect(page.bytes[0x3f0 + validBit / 8] == 1 << (validBit % 8), "\(field)")
            #expect(page.bytes[0x3f0..<0x400].filter { $0 != 0 }.count == 1)
            for other in GHCBField.allCases { #expect((page.value(other) != nil) == (other == field)) }
            var bitmap = page.validBitmap
            bitmap.remove(field)
            #expect(bitmap == GHCBValidBitmap())
            #expect(GHCBValidBitmap([field]) == page.validBitmap)
        }
    }

    @Test("the tail of the page: x87 pointer 400, shared buffer 800 to fef, version ffa, usage ffc")
    func tail() {
        var page = GHCBPage()
        page.x87StateGPA = GPA(0x0102_0304_0506_0708)
        page.protocolVersion = 0xaabb
        page.usage = 0xccdd_eeff
        #expect(Array(page.bytes[0x400..<0x408]) == [8, 7, 6, 5, 4, 3, 2, 1])
        #expect(Array(page.bytes[0xffa..<0x1000]) == [0xbb, 0xaa, 0xff, 0xee, 0xdd, 0xcc])
        #expect(GHCBPage.sharedBuffer == 0x800..<0xff0)
        page.store([UInt8](repeating: 0x5a, count: 5000))
        #expect(page.bytes[0x7ff] == 0 && page.bytes[0x800] == 0x5a && page.bytes[0xfef] == 0x5a)
        #expect(page.bytes[0xff0] == 0, "what does not fit is dropped")
        #expect(page.protocolVersion == 0xaabb)
    }

    @Test("a page is made of 4096 bytes and no other number")
    func size() throws {
        #expect(GHCBPage([UInt8](repeating: 0, count: 4095)) == nil)
        #expect(GHCBPage([UInt8](repeating: 0, count: 4097)) == nil)
        let bytes = (0..<4096).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        #expect(try #require(GHCBPage(bytes)).bytes == bytes)
    }

    @Test("setting an exit marks code and both infos")
    func exit() {
        var page = GHCBPage()
        page.setExit(0x8000_0010, 1, 2)
        #expect(page.value(.exitCode) == 0x8000_0010)
        #expect(page.value(.exitInfo1) == 1)
        #expect(page.value(.exitInfo2) == 2)
        #expect(page.value(.scratch) == nil)
    }
}
