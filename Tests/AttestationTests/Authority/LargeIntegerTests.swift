import SwiftASN1
import Testing

@testable import Attestation

@Suite("The authority's arithmetic and DER")
struct LargeIntegerTests {
    static let ones = [UInt8](repeating: 0xff, count: 16)

    @Test("A carry runs through all limbs, and so does a borrow")
    func carry() {
        let largest = LargeInteger(bigEndian: Self.ones)
        let next = LargeInteger(bigEndian: [1] + [UInt8](repeating: 0, count: 16))
        #expect(largest + 1 == next)
        #expect(next.predecessor == largest)
        #expect(LargeInteger(bigEndian: [0, 1]).predecessor == LargeInteger(bigEndian: []))
        #expect(LargeInteger(bigEndian: []) + 7 == LargeInteger(bigEndian: [7]))
    }

    @Test("The largest factors give (b - 1)^2 = b^2 - 2 b + 1")
    func product() {
        let largest = LargeInteger(bigEndian: Self.ones)
        let expected = [UInt8](repeating: 0xff, count: 15) + [0xfe] + [UInt8](repeating: 0, count: 15) + [1]
        #expect((largest * largest).bigEndian(byteCount: 32) == expected)
        #expect(largest * 0 == LargeInteger(bigEndian: []))
        #expect((largest * 256).bigEndian(byteCount: 17) == Self.ones + [0])
    }

    @Test("Quotient and remainder make the number again")
    func division() {
        let number = LargeInteger(bigEndian: (1...40).map { UInt8($0) })
        for divisor: UInt64 in [1, 3, 65537, .max] {
            let (quotient, remainder) = number.quotientAndRemainder(dividingBy: divisor)
            #expect(remainder < divisor)
            #expect(quotient * divisor + remainder == number)
        }
    }

    @Test("A number is written with as many bytes as asked for")
    func bytes() {
        let number = LargeInteger(bigEndian: [0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
        #expect(number.bigEndian(byteCount: 9) == [1, 2, 3, 4, 5, 6, 7, 8, 9])
        #expect(number.bigEndian(byteCount: 12) == [0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    }

    @Test("DER of each length form is read back", arguments: [0, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x10000])
    func lengths(_ count: Int) throws {
        let contents = [UInt8](repeating: 0xab, count: count)
        let read = try ASN1OctetString(derEncoded: DERWriter.octets(contents))
        #expect(read.bytes == contents[...])
    }

    @Test("Integers are minimal and positive")
    func integers() {
        #expect(DERWriter.integer(0) == [2, 1, 0])
        #expect(DERWriter.integer(0x7f) == [2, 1, 0x7f])
        #expect(DERWriter.integer(0x80) == [2, 2, 0, 0x80])
        #expect(DERWriter.integer([0, 0, 1, 0]) == [2, 2, 1, 0])
        #expect(DERWriter.integer(.max) == [2, 9, 0] + [UInt8](repeating: 0xff, count: 8))
    }

    @Test("Dates before 1970 and at the ends of time have a description")
    func dates() {
        #expect(CertificateTime(secondsSince1970: -1).description == "1969-12-31")
        #expect(CertificateTime(secondsSince1970: -1).secondOfDay == 86_399)
        #expect(CertificateTime(secondsSince1970: -86_400).description == "1969-12-31")
        #expect(CertificateTime(secondsSince1970: .min).description.hasPrefix("-292277"))
        #expect(CertificateTime(secondsSince1970: .max).description.hasPrefix("292277"))
    }
}
