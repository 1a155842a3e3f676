// SSE4.2's string comparisons.

package enum StringKernels {
    /// The elements of an operand, widened, and how many of them count.
    private struct Elements {
        var values: [Int32]
        var count: Int
    }

    private static func elements(_ p: UnsafeMutableRawPointer, _ control: Int, length: Int64?) -> Elements {
        var values: [Int32] = []
        let isWord = control & 1 != 0
        let isSigned = control & 2 != 0
        if isWord {
            let v = vector(p, as: SIMD8<UInt16>.self)
            for lane in 0..<8 { values.append(isSigned ? Int32(Int16(bitPattern: v[lane])) : Int32(v[lane])) }
        } else {
            let v = vector(p, as: SIMD16<UInt8>.self)
            for lane in 0..<16 { values.append(isSigned ? Int32(Int8(bitPattern: v[lane])) : Int32(v[lane])) }
        }
        if let length {
            return Elements(values: values, count: Int(min(length.magnitude, UInt64(values.count))))
        }
        return Elements(values: values, count: values.firstIndex(of: 0) ?? values.count)
    }

    /// The bits of the aggregation, before the polarity.
    private static func aggregate(_ a: Elements, _ b: Elements, _ control: Int) -> UInt32 {
        let total = a.values.count
        var result: UInt32 = 0
        for j in 0..<total {
            let isValid = j < b.count
            var holds = false
            switch control >> 2 & 3 {
            case 0:
                holds = isValid && a.values[..<a.count].contains(b.values[j])
            case 1:
                var i = 0
                while isValid, i + 1 < a.count {
                    if b.values[j] >= a.values[i], b.values[j] <= a.values[i + 1] { holds = true }
                    i += 2
                }
            case 2:
                let other = j < a.count
                holds = isValid && other ? a.values[j] == b.values[j] : isValid == other
            default:
                holds = true
                for i in 0..<(total - j) where i < a.count {
                    if i + j >= b.count || a.values[i] != b.values[i + j] { holds = false }
                }
            }
            if holds { result |= 1 << UInt32(j) }
        }
        return result
    }

    /// Compares; sets the flags and returns the bits. Bit 8 of the control says that lengths are of 64 bits.
    ///
    /// - Spec: APM4 PCMPESTRI
    private static func compare(
        _ core: Core, _ d: UnsafeMutableRawPointer, _ s: UnsafeMutableRawPointer, _ control: Int, explicit: Bool
    ) -> (UInt32, count: Int) {
        var lengths: (Int64?, Int64?) = (nil, nil)
        if explicit {
            let isWide = control & 0x100 != 0
            func length(_ number: Int) -> Int64 {
                isWide
                    ? load(core, number * 8, as: Int64.self) : Int64(load(core, number * 8, as: Int32.self))
            }
            lengths = (length(0), length(2))
        }
        let a = elements(d, control, length: lengths.0)
        let b = elements(s, control, length: lengths.1)
        let total = a.values.count
        var bits = aggregate(a, b, control)
        let all: UInt32 = (1 << UInt32(total)) - 1
        if control & 0x10 != 0 {
            bits ^= control & 0x20 != 0 ? (1 << UInt32(b.count)) - 1 : all
        }
        bits &= all
        var flags: UInt64 = 0
        if bits != 0 { flags |= ArithmeticFlags.carry }
        if b.count < total { flags |= ArithmeticFlags.zero }
        if a.count < total { flags |= ArithmeticFlags.sign }
        if bits & 1 != 0 { flags |= ArithmeticFlags.overflow }
        setArithmeticFlags(core, flags)
        return (bits, total)
    }

    private static func setIndex(_ core: Core, _ result: (bits: UInt32, count: Int), _ control: Int) {
        let index =
            result.bits == 0
            ? result.count
            : control & 0x40 != 0 ? 31 - result.bits.leadingZeroBitCount : result.bits.trailingZeroBitCount
        store(core, 8, UInt64(index))
    }

    private static func setMask(_ core: Core, _ result: (bits: UInt32, count: Int), _ control: Int) {
        let target = core + CoreLayout.vectors
        guard control & 0x40 != 0 else { return setVector(target, SIMD2<UInt64>(UInt64(result.bits), 0)) }
        if result.count == 16 {
            var mask = SIMD16<UInt8>(repeating: 0)
            for lane in 0..<16 where result.bits >> UInt32(lane) & 1 != 0 { mask[lane] = 0xff }
            setVector(target, mask)
        } else {
            var mask = SIMD8<UInt16>(repeating: 0)
            for lane in 0..<8 where result.bits >> UInt32(lane) & 1 != 0 { mask[lane] = 0xffff }
            setVector(target, mask)
        }
    }

    package static let pcmpestri: Kernel = { c, d, s, i in setIndex(c, compare(c, d, s, i, explicit: true), i) }
    package static let pcmpistri: Kernel = { c, d, s, i in setIndex(c, compare(c, d, s, i, explicit: false), i) }
    package static let pcmpestrm: Kernel = { c, d, s, i in setMask(c, compare(c, d, s, i, explicit: true), i) }
    package static let pcmpistrm: Kernel = { c, d, s, i in setMask(c, compare(c, d, s, i, explicit: false), i) }
}
