// Floating point of SSE: arithmetic of packed and single lanes, comparisons, conversions.
//
// Deviates: MXCSR's exception flags are never set and no #XM is raised; denormals are computed with; arithmetic rounds to
// nearest. Conversions follow MXCSR.RC.

package enum FloatKernels {
    @inline(__always) private static func packed<V: SIMD>(
        _: V.Type, _ d: UnsafeMutableRawPointer, _ s: UnsafeMutableRawPointer, _ f: (V.Scalar, V.Scalar) -> V.Scalar
    ) {
        var a = vector(d, as: V.self)
        let b = vector(s, as: V.self)
        for lane in a.indices { a[lane] = f(a[lane], b[lane]) }
        setVector(d, a)
    }
    @inline(__always) private static func single<T>(
        _: T.Type, _ d: UnsafeMutableRawPointer, _ s: UnsafeMutableRawPointer, _ f: (T, T) -> T
    ) {
        d.storeBytes(of: f(d.loadUnaligned(as: T.self), s.loadUnaligned(as: T.self)), as: T.self)
    }
    typealias F4 = SIMD4<Float>
    typealias D2 = SIMD2<Double>

    package static let addps: Kernel = { _, d, s, _ in combine(F4.self, d, s, +) }
    package static let addpd: Kernel = { _, d, s, _ in combine(D2.self, d, s, +) }
    package static let addss: Kernel = { _, d, s, _ in single(Float.self, d, s, +) }
    package static let addsd: Kernel = { _, d, s, _ in single(Double.self, d, s, +) }
    package static let subps: Kernel = { _, d, s, _ in combine(F4.self, d, s, -) }
    package static let subpd: Kernel = { _, d, s, _ in combine(D2.self, d, s, -) }
    package static let subss: Kernel = { _, d, s, _ in single(Float.self, d, s, -) }
    package static let subsd: Kernel = { _, d, s, _ in single(Double.self, d, s, -) }
    package static let mulps: Kernel = { _, d, s, _ in combine(F4.self, d, s, *) }
    package static let mulpd: Kernel = { _, d, s, _ in combine(D2.self, d, s, *) }
    package static let mulss: Kernel = { _, d, s, _ in single(Float.self, d, s, *) }
    package static let mulsd: Kernel = { _, d, s, _ in single(Double.self, d, s, *) }
    package static let divps: Kernel = { _, d, s, _ in combine(F4.self, d, s, /) }
    package static let divpd: Kernel = { _, d, s, _ in combine(D2.self, d, s, /) }
    package static let divss: Kernel = { _, d, s, _ in single(Float.self, d, s, /) }
    package static let divsd: Kernel = { _, d, s, _ in single(Double.self, d, s, /) }

    // The second operand is the answer when either is not a number, or both are zero.
    @inline(__always) private static func less<T: BinaryFloatingPoint>(_ a: T, _ b: T) -> T { a < b ? a : b }
    @inline(__always) private static func more<T: BinaryFloatingPoint>(_ a: T, _ b: T) -> T { a > b ? a : b }
    package static let minps: Kernel = { _, d, s, _ in packed(F4.self, d, s, less) }
    package static let minpd: Kernel = { _, d, s, _ in packed(D2.self, d, s, less) }
    package static let minss: Kernel = { _, d, s, _ in single(Float.self, d, s, less) }
    package static let minsd: Kernel = { _, d, s, _ in single(Double.self, d, s, less) }
    package static let maxps: Kernel = { _, d, s, _ in packed(F4.self, d, s, more) }
    package static let maxpd: Kernel = { _, d, s, _ in packed(D2.self, d, s, more) }
    package static let maxss: Kernel = { _, d, s, _ in single(Float.self, d, s, more) }
    package static let maxsd: Kernel = { _, d, s, _ in single(Double.self, d, s, more) }
    package static let sqrtps: Kernel = { _, d, s, _ in packed(F4.self, d, s) { $1.squareRoot() } }
    package static let sqrtpd: Kernel = { _, d, s, _ in packed(D2.self, d, s) { $1.squareRoot() } }
    package static let sqrtss: Kernel = { _, d, s, _ in single(Float.self, d, s) { $1.squareRoot() } }
    package static let sqrtsd: Kernel = { _, d, s, _ in single(Double.self, d, s) { $1.squareRoot() } }
    /// Deviates: exact where processors give twelve bits.
    package static let rcpps: Kernel = { _, d, s, _ in packed(F4.self, d, s) { 1 / $1 } }
    package static let rcpss: Kernel = { _, d, s, _ in single(Float.self, d, s) { 1 / $1 } }
    package static let rsqrtps: Kernel = { _, d, s, _ in packed(F4.self, d, s) { 1 / $1.squareRoot() } }
    package static let rsqrtss: Kernel = { _, d, s, _ in single(Float.self, d, s) { 1 / $1.squareRoot() } }
    package static let addsubps: Kernel = { _, d, s, _ in
        let (a, b) = (vector(d, as: F4.self), vector(s, as: F4.self))
        setVector(d, F4(a[0] - b[0], a[1] + b[1], a[2] - b[2], a[3] + b[3]))
    }
    package static let addsubpd: Kernel = { _, d, s, _ in
        let (a, b) = (vector(d, as: D2.self), vector(s, as: D2.self))
        setVector(d, D2(a[0] - b[0], a[1] + b[1]))
    }

    // MARK: Comparisons

    @inline(__always) private static func holds<T: BinaryFloatingPoint>(_ a: T, _ b: T, _ i: Int) -> Bool {
        let unordered = a.isNaN || b.isNaN
        let base =
            switch i & 3 {
            case 0: a == b
            case 1: a < b
            case 2: a <= b
            default: unordered
            }
        return base != (i & 4 != 0)
    }
    package static let cmpps: Kernel = { _, d, s, i in
        let (a, b) = (vector(d, as: F4.self), vector(s, as: F4.self))
        var result = SIMD4<UInt32>(repeating: 0)
        for lane in 0..<4 where holds(a[lane], b[lane], i) { result[lane] = ~0 }
        setVector(d, result)
    }
    package static let cmppd: Kernel = { _, d, s, i in
        let (a, b) = (vector(d, as: D2.self), vector(s, as: D2.self))
        var result = SIMD2<UInt64>(repeating: 0)
        for lane in 0..<2 where holds(a[lane], b[lane], i) { result[lane] = ~0 }
        setVector(d, result)
    }
    package static let cmpss: Kernel = { _, d, s, i in
        let value: UInt32 = holds(d.loadUnaligned(as: Float.self), s.loadUnaligned(as: Float.self), i) ? ~0 : 0
        d.storeBytes(of: value, as: UInt32.self)
    }
    package static let cmpsd: Kernel = { _, d, s, i in
        let value: UInt64 = holds(d.loadUnaligned(as: Double.self), s.loadUnaligned(as: Double.self), i) ? ~0 : 0
        d.storeBytes(of: value, as: UInt64.self)
    }
    @inline(__always) private static func order<T: BinaryFloatingPoint>(_ core: Core, _ a: T, _ b: T) {
        let flags =
            a.isNaN || b.isNaN
            ? ArithmeticFlags.zero | ArithmeticFlags.parity | ArithmeticFlags.carry
            : a < b ? ArithmeticFlags.carry : a == b ? ArithmeticFlags.zero : 0
        setArithmeticFlags(core, flags)
    }
    /// COMISS and UCOMISS.
    package static let comiss: Kernel = { core, d, s, _ in
        order(core, d.loadUnaligned(as: Float.self), s.loadUnaligned(as: Float.self))
    }
    package static let comisd: Kernel = { core, d, s, _ in
        order(core, d.loadUnaligned(as: Double.self), s.loadUnaligned(as: Double.self))
    }

    // MARK: Conversions

    @inline(__always) private static func rounded<T: BinaryFloatingPoint>(_ core: Core, _ value: T) -> T {
        switch load(core, CoreLayout.mxcsr, as: UInt32.self) >> 13 & 3 {
        case 0: value.rounded(.toNearestOrEven)
        case 1: value.rounded(.down)
        case 2: value.rounded(.up)
        default: value.rounded(.towardZero)
        }
    }
    /// A value that fits no integer gives the integer with only the top bit set.
    @inline(__always) private static func integer<T: BinaryFloatingPoint, I: FixedWidthInteger & SignedInteger>(
        _ value: T, _: I.Type
    ) -> I {
        // -2^n is exact in either format, and so is 2^n.
        let limit = T(sign: .plus, exponent: T.Exponent(I.bitWidth - 1), significand: 1)
        guard value >= -limit, value < limit else { return .min }
        return I(value)
    }
    @inline(__always) private static func toInteger<T: BinaryFloatingPoint, I: FixedWidthInteger & SignedInteger>(
        _: T.Type, _: I.Type, _ core: Core, _ d: UnsafeMutableRawPointer, _ s: UnsafeMutableRawPointer, truncates: Bool
    ) {
        let value = s.loadUnaligned(as: T.self)
        let result = integer(truncates ? value.rounded(.towardZero) : rounded(core, value), I.self)
        // A 32-bit result clears the upper half of its register.
        d.storeBytes(
            of: UInt64(truncatingIfNeeded: I.bitWidth == 32 ? Int64(result) & 0xffff_ffff : Int64(result)),
            as: UInt64.self)
    }
    package static let cvttss2si32: Kernel = { c, d, s, _ in toInteger(Float.self, Int32.self, c, d, s, truncates: true)
    }
    package static let cvttss2si64: Kernel = { c, d, s, _ in toInteger(Float.self, Int64.self, c, d, s, truncates: true)
    }
    package static let cvttsd2si32: Kernel = { c, d, s, _ in
        toInteger(Double.self, Int32.self, c, d, s, truncates: true)
    }
    package static let cvttsd2si64: Kernel = { c, d, s, _ in
        toInteger(Double.self, Int64.self, c, d, s, truncates: true)
    }
    package static let cvtss2si32: Kernel = { c, d, s, _ in toInteger(Float.self, Int32.self, c, d, s, truncates: false)
    }
    package static let cvtss2si64: Kernel = { c, d, s, _ in toInteger(Float.self, Int64.self, c, d, s, truncates: false)
    }
    package static let cvtsd2si32: Kernel = { c, d, s, _ in
        toInteger(Double.self, Int32.self, c, d, s, truncates: false)
    }
    package static let cvtsd2si64: Kernel = { c, d, s, _ in
        toInteger(Double.self, Int64.self, c, d, s, truncates: false)
    }
    package static let cvtsi2ss32: Kernel = { _, d, s, _ in
        d.storeBytes(of: Float(s.loadUnaligned(as: Int32.self)), as: Float.self)
    }
    package static let cvtsi2ss64: Kernel = { _, d, s, _ in
        d.storeBytes(of: Float(s.loadUnaligned(as: Int64.self)), as: Float.self)
    }
    package static let cvtsi2sd32: Kernel = { _, d, s, _ in
        d.storeBytes(of: Double(s.loadUnaligned(as: Int32.self)), as: Double.self)
    }
    package static let cvtsi2sd64: Kernel = { _, d, s, _ in
        d.storeBytes(of: Double(s.loadUnaligned(as: Int64.self)), as: Double.self)
    }
    package static let cvtss2sd: Kernel = { _, d, s, _ in
        d.storeBytes(of: Double(s.loadUnaligned(as: Float.self)), as: Double.self)
    }
    package static let cvtsd2ss: Kernel = { _, d, s, _ in
        d.storeBytes(of: Float(s.loadUnaligned(as: Double.self)), as: Float.self)
    }
    package static let cvtps2pd: Kernel = { _, d, s, _ in
        let (a, b) = (s.loadUnaligned(as: Float.self), (s + 4).loadUnaligned(as: Float.self))
        setVector(d, D2(Double(a), Double(b)))
    }
    package static let cvtpd2ps: Kernel = { _, d, s, _ in
        let b = vector(s, as: D2.self)
        setVector(d, F4(Float(b[0]), Float(b[1]), 0, 0))
    }
    package static let cvtdq2ps: Kernel = { _, d, s, _ in
        let b = vector(s, as: SIMD4<Int32>.self)
        setVector(d, F4(Float(b[0]), Float(b[1]), Float(b[2]), Float(b[3])))
    }
    package static let cvtdq2pd: Kernel = { _, d, s, _ in
        let (a, b) = (s.loadUnaligned(as: Int32.self), (s + 4).loadUnaligned(as: Int32.self))
        setVector(d, D2(Double(a), Double(b)))
    }
    @inline(__always) private static func toLanes(_ core: Core, _ b: F4, truncates: Bool) -> SIMD4<Int32> {
        var result = SIMD4<Int32>(repeating: 0)
        for lane in 0..<4 {
            result[lane] = integer(truncates ? b[lane].rounded(.towardZero) : rounded(core, b[lane]), Int32.self)
        }
        return result
    }
    package static let cvtps2dq: Kernel = { c, d, s, _ in setVector(d, toLanes(c, vector(s), truncates: false)) }
    package static let cvttps2dq: Kernel = { c, d, s, _ in setVector(d, toLanes(c, vector(s), truncates: true)) }
    @inline(__always) private static func toLow(_ core: Core, _ b: D2, truncates: Bool) -> SIMD4<Int32> {
        var result = SIMD4<Int32>(repeating: 0)
        for lane in 0..<2 {
            result[lane] = integer(truncates ? b[lane].rounded(.towardZero) : rounded(core, b[lane]), Int32.self)
        }
        return result
    }
    package static let cvtpd2dq: Kernel = { c, d, s, _ in setVector(d, toLow(c, vector(s), truncates: false)) }
    package static let cvttpd2dq: Kernel = { c, d, s, _ in setVector(d, toLow(c, vector(s), truncates: true)) }

    /// ROUNDSS and its kin: bit 2 of the immediate takes the mode from MXCSR.
    @inline(__always) private static func roundedBy<T: BinaryFloatingPoint>(_ core: Core, _ value: T, _ i: Int) -> T {
        if i & 4 != 0 { return rounded(core, value) }
        switch i & 3 {
        case 0: return value.rounded(.toNearestOrEven)
        case 1: return value.rounded(.down)
        case 2: return value.rounded(.up)
        default: return value.rounded(.towardZero)
        }
    }
    package static let roundps: Kernel = { c, d, s, i in packed(F4.self, d, s) { roundedBy(c, $1, i) } }
    package static let roundpd: Kernel = { c, d, s, i in packed(D2.self, d, s) { roundedBy(c, $1, i) } }
    package static let roundss: Kernel = { c, d, s, i in single(Float.self, d, s) { roundedBy(c, $1, i) } }
    package static let roundsd: Kernel = { c, d, s, i in single(Double.self, d, s) { roundedBy(c, $1, i) } }
}
