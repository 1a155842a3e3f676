// The state of x87 on both sides of a comparison, and random ones to start from.

import SNPArchitecture

/// Registers, control, status and short tag word.
struct ComparedX87: Equatable {
    /// ST(0) to ST(7): significand, sign and exponent.
    var registers = [[UInt64]](repeating: [0, 0], count: 8)
    var control: UInt16 = 0x37f
    var status: UInt16 = 0
    var tag: UInt8 = 0

    init() {}

    var top: Int { Int(status >> 11 & 7) }

    /// From the first 160 bytes of FXSAVE.
    init(image: [UInt8]) {
        func value(_ at: Int, _ count: Int) -> UInt64 {
            (0..<count).reduce(0) { $0 | UInt64(image[at + $1]) << UInt64(8 * $1) }
        }
        control = UInt16(value(0, 2))
        status = UInt16(value(2, 2))
        tag = image[4]
        registers = (0..<8).map { [value(32 + $0 * 16, 8), value(40 + $0 * 16, 2)] }
    }

    var image: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 160)
        func put(_ value: UInt64, _ at: Int, _ count: Int) {
            for index in 0..<count { bytes[at + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index)) }
        }
        put(UInt64(control), 0, 2)
        put(UInt64(status), 2, 2)
        put(UInt64(tag), 4, 1)
        for (index, register) in registers.enumerated() {
            put(register[0], 32 + index * 16, 8)
            put(register[1], 40 + index * 16, 2)
        }
        return bytes
    }

    init(_ r: VMSA) {
        control = r.x87FCW
        status = r.x87FSW
        tag = UInt8(truncatingIfNeeded: r.x87FTW)
        registers = (0..<8).map { index in
            let number = (Int(r.x87FSW >> 11 & 7) + index) & 7
            return [r.x87Registers[number], r.x87Registers[8 + number / 4] >> UInt64(16 * (number % 4)) & 0xffff]
        }
    }

    func load(_ r: inout VMSA) {
        (r.x87FCW, r.x87FSW, r.x87FTW) = (control, status, UInt16(tag))
        (r.x87Registers[8], r.x87Registers[9]) = (0, 0)
        for index in 0..<8 {
            let number = (top + index) & 7
            r.x87Registers[number] = registers[index][0]
            r.x87Registers[8 + number / 4] |= registers[index][1] << UInt64(16 * (number % 4))
        }
    }

    /// For complaints.
    var text: String {
        func hex(_ value: UInt64) -> String { String(value, radix: 16) }
        let stack = registers.prefix(2).map { "\(hex($0[1])):\(hex($0[0]))" }.joined(separator: " ")
        return "cw \(hex(UInt64(control))) sw \(hex(UInt64(status))) tag \(hex(UInt64(tag))) \(stack)"
    }

    // MARK: Random states

    /// A number in the 80-bit format: special ones come up often.
    static func number(_ random: inout TestRandom) -> [UInt64] {
        let sign: UInt64 = Bool.random(using: &random) ? 0x8000 : 0
        let top: UInt64 = 1 << 63
        var bits = random.next()
        if Bool.random(using: &random) { bits &= ~0 << UInt64.random(in: 0...63, using: &random) }
        switch UInt8.random(in: 0...19, using: &random) {
        case 0: return [0, sign]
        case 1: return [top, sign | 0x7fff]
        case 2: return [top | bits | 1 << 62, sign | 0x7fff]
        case 3: return [(top | bits | 1) & ~(1 << 62), sign | 0x7fff]
        case 4: return [bits & ~top, sign]
        case 5: return [bits | top, sign]
        case 6: return [bits & ~top, sign | UInt64.random(in: 0...0x7fff, using: &random)]
        case 7: return [top, sign | 0x3fff]
        case 8: return [bits | top, sign | UInt64.random(in: 0x7ff0...0x7ffe, using: &random)]
        case 9: return [bits | top, sign | UInt64.random(in: 1...80, using: &random)]
        case 10: return [bits | top, sign | UInt64.random(in: 0...0x7ffe, using: &random)]
        case 11: return [bits | top, sign | UInt64.random(in: 0x3f60...0x4090, using: &random)]
        default: return [bits | top, sign | UInt64.random(in: 0x3fe0...0x4042, using: &random)]
        }
    }

    static func random(_ random: inout TestRandom) -> Self {
        var result = Self()
        result.registers = (0..<8).map { _ in number(&random) }
        result.tag = UInt8.random(in: 0...3, using: &random) == 0 ? UInt8(truncatingIfNeeded: random.next()) : 0xff
        if UInt8.random(in: 0...3, using: &random) == 0 { result.tag = 0x0f }
        result.control = UInt16(truncatingIfNeeded: random.next()) & 0xf00 | 0x7f
        if UInt8.random(in: 0...3, using: &random) == 0 {
            result.control = result.control & ~0x3f | UInt16(truncatingIfNeeded: random.next()) & 0x3f
        }
        result.status = UInt16(truncatingIfNeeded: random.next()) & 0x7f00
        // Exceptions that are pending come up with each waiting instruction: rarely.
        result.status |= UInt16(truncatingIfNeeded: random.next()) & result.control & 0x3f
        return result
    }

    /// Fills bytes with numbers of a memory operand's width.
    static func fill(_ data: inout [UInt8], byteCount: Int, _ random: inout TestRandom) {
        var at = 0
        while at + 16 <= 0x800 {
            let special = number(&random)
            var bytes = [UInt8](repeating: 0, count: byteCount)
            for index in 0..<byteCount {
                bytes[index] = UInt8(truncatingIfNeeded: special[index / 8] >> UInt64(8 * (index & 7)))
            }
            switch byteCount {
            case 4, 8:
                let exponents: [UInt64] =
                    byteCount == 4 ? [0, 1, 0x7f, 0xfe, 0xff] : [0, 1, 0x3ff, 0x7fe, 0x7ff]
                var value = random.next() & (UInt8.random(in: 0...2, using: &random) == 0 ? 0 : ~0)
                if Bool.random(using: &random) {
                    let exponent = exponents[Int.random(in: 0..<5, using: &random)]
                    value =
                        byteCount == 4
                        ? value & 0x807f_ffff | exponent << 23 : value & 0x800f_ffff_ffff_ffff | exponent << 52
                }
                for index in 0..<byteCount { bytes[index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index)) }
            default: break
            }
            for index in 0..<16 { data[at + index] = bytes[index % byteCount] }
            at += 16
        }
    }
}
