// Shifts, and operations whose lanes are wider or narrower than their result's.

package enum WideKernels {
    // MARK: Shifts by a count that is the same for all lanes: from a vector's low quadword, or an immediate

    @inline(__always) private static func shift<V: SIMD>(
        _: V.Type, _ d: UnsafeMutableRawPointer, _ count: UInt64, _ f: (V.Scalar, V.Scalar) -> V.Scalar, past: Bool
    ) where V.Scalar: FixedWidthInteger {
        var a = vector(d, as: V.self)
        let width = UInt64(V.Scalar.bitWidth)
        // Arithmetic shifts past the end fill with the sign; logical ones give zero.
        guard count < width || past else { return setVector(d, V()) }
        let by = V.Scalar(truncatingIfNeeded: min(count, width - 1))
        for lane in a.indices { a[lane] = f(a[lane], by) }
        setVector(d, a)
    }
    @inline(__always) private static func count(_ s: UnsafeMutableRawPointer) -> UInt64 {
        s.loadUnaligned(as: UInt64.self)
    }
    @inline(__always) private static func immediate(_ i: Int) -> UInt64 { UInt64(i & 0xff) }

    package static let psllw: Kernel = { _, d, s, _ in shift(SIMD8<UInt16>.self, d, count(s), &<<, past: false) }
    package static let pslld: Kernel = { _, d, s, _ in shift(SIMD4<UInt32>.self, d, count(s), &<<, past: false) }
    package static let psllq: Kernel = { _, d, s, _ in shift(SIMD2<UInt64>.self, d, count(s), &<<, past: false) }
    package static let psrlw: Kernel = { _, d, s, _ in shift(SIMD8<UInt16>.self, d, count(s), &>>, past: false) }
    package static let psrld: Kernel = { _, d, s, _ in shift(SIMD4<UInt32>.self, d, count(s), &>>, past: false) }
    package static let psrlq: Kernel = { _, d, s, _ in shift(SIMD2<UInt64>.self, d, count(s), &>>, past: false) }
    package static let psraw: Kernel = { _, d, s, _ in shift(SIMD8<Int16>.self, d, count(s), &>>, past: true) }
    package static let psrad: Kernel = { _, d, s, _ in shift(SIMD4<Int32>.self, d, count(s), &>>, past: true) }
    package static let psllwI: Kernel = { _, d, _, i in shift(SIMD8<UInt16>.self, d, immediate(i), &<<, past: false) }
    package static let pslldI: Kernel = { _, d, _, i in shift(SIMD4<UInt32>.self, d, immediate(i), &<<, past: false) }
    package static let psllqI: Kernel = { _, d, _, i in shift(SIMD2<UInt64>.self, d, immediate(i), &<<, past: false) }
    package static let psrlwI: Kernel = { _, d, _, i in shift(SIMD8<UInt16>.self, d, immediate(i), &>>, past: false) }
    package static let psrldI: Kernel = { _, d, _, i in shift(SIMD4<UInt32>.self, d, immediate(i), &>>, past: false) }
    package static let psrlqI: Kernel = { _, d, _, i in shift(SIMD2<UInt64>.self, d, immediate(i), &>>, past: false) }
    package static let psrawI: Kernel = { _, d, _, i in shift(SIMD8<Int16>.self, d, immediate(i), &>>, past: true) }
    package static let psradI: Kernel = { _, d, _, i in shift(SIMD4<Int32>.self, d, immediate(i), &>>, past: true) }
    package static let pslldq: Kernel = { _, d, _, i in
        let a = vector(d, as: SIMD16<UInt8>.self)
        var result = SIMD16<UInt8>(repeating: 0)
        let by = min(i & 0xff, 16)
        for lane in by..<16 { result[lane] = a[lane - by] }
        setVector(d, result)
    }
    package static let psrldq: Kernel = { _, d, _, i in
        let a = vector(d, as: SIMD16<UInt8>.self)
        var result = SIMD16<UInt8>(repeating: 0)
        let by = min(i & 0xff, 16)
        for lane in 0..<(16 - by) { result[lane] = a[lane + by] }
        setVector(d, result)
    }

    // MARK: Multiplications and sums

    @inline(__always) private static func lanes<V: SIMD>(
        _: V.Type, _ d: UnsafeMutableRawPointer, _ s: UnsafeMutableRawPointer, _ f: (V.Scalar, V.Scalar) -> V.Scalar
    ) {
        var a = vector(d, as: V.self)
        let b = vector(s, as: V.self)
        for lane in a.indices { a[lane] = f(a[lane], b[lane]) }
        setVector(d, a)
    }
    package static let pmulhw: Kernel = { _, d, s, _ in
        lanes(SIMD8<Int16>.self, d, s) { Int16(truncatingIfNeeded: (Int32($0) * Int32($1)) >> 16) }
    }
    package static let pmulhuw: Kernel = { _, d, s, _ in
        lanes(SIMD8<UInt16>.self, d, s) { UInt16(truncatingIfNeeded: (UInt32($0) * UInt32($1)) >> 16) }
    }
    package static let pmulhrsw: Kernel = { _, d, s, _ in
        lanes(SIMD8<Int16>.self, d, s) { Int16(truncatingIfNeeded: (((Int32($0) * Int32($1)) >> 14) + 1) >> 1) }
    }
    package static let pavgb: Kernel = { _, d, s, _ in
        lanes(SIMD16<UInt8>.self, d, s) { UInt8((UInt16($0) + UInt16($1) + 1) >> 1) }
    }
    package static let pavgw: Kernel = { _, d, s, _ in
        lanes(SIMD8<UInt16>.self, d, s) { UInt16((UInt32($0) + UInt32($1) + 1) >> 1) }
    }
    package static let pmuludq: Kernel = { _, d, s, _ in
        lanes(SIMD2<UInt64>.self, d, s) { ($0 & 0xffff_ffff) &* ($1 & 0xffff_ffff) }
    }
    package static let pmuldq: Kernel = { _, d, s, _ in
        lanes(SIMD2<Int64>.self, d, s) { Int64(Int32(truncatingIfNeeded: $0)) &* Int64(Int32(truncatingIfNeeded: $1)) }
    }
    package static let pmaddwd: Kernel = { _, d, s, _ in
        let (a, b) = (vector(d, as: SIMD8<Int16>.self), vector(s, as: SIMD8<Int16>.self))
        var result = SIMD4<Int32>(repeating: 0)
        for lane in 0..<4 {
            result[lane] =
                Int32(a[2 * lane]) &* Int32(b[2 * lane]) &+ Int32(a[2 * lane + 1]) &* Int32(b[2 * lane + 1])
        }
        setVector(d, result)
    }
    package static let pmaddubsw: Kernel = { _, d, s, _ in
        let (a, b) = (vector(d, as: SIMD16<UInt8>.self), vector(s, as: SIMD16<Int8>.self))
        var result = SIMD8<Int16>(repeating: 0)
        for lane in 0..<8 {
            result[lane] = Int16(
                clamping: Int32(a[2 * lane]) * Int32(b[2 * lane]) + Int32(a[2 * lane + 1]) * Int32(b[2 * lane + 1]))
        }
        setVector(d, result)
    }
    package static let psadbw: Kernel = { _, d, s, _ in
        let (a, b) = (vector(d, as: SIMD16<UInt8>.self), vector(s, as: SIMD16<UInt8>.self))
        var result = SIMD2<UInt64>(repeating: 0)
        for lane in 0..<16 { result[lane / 8] += UInt64(a[lane] > b[lane] ? a[lane] - b[lane] : b[lane] - a[lane]) }
        setVector(d, result)
    }

    @inline(__always) private static func horizontal<V: SIMD>(
        _: V.Type, _ d: UnsafeMutableRawPointer, _ s: UnsafeMutableRawPointer, _ f: (V.Scalar, V.Scalar) -> V.Scalar
    ) {
        let (a, b) = (vector(d, as: V.self), vector(s, as: V.self))
        var result = V()
        let half = V.scalarCount / 2
        for lane in 0..<half {
            result[lane] = f(a[2 * lane], a[2 * lane + 1])
            result[half + lane] = f(b[2 * lane], b[2 * lane + 1])
        }
        setVector(d, result)
    }
    package static let phaddw: Kernel = { _, d, s, _ in horizontal(SIMD8<UInt16>.self, d, s, &+) }
    package static let phaddd: Kernel = { _, d, s, _ in horizontal(SIMD4<UInt32>.self, d, s, &+) }
    package static let phsubw: Kernel = { _, d, s, _ in horizontal(SIMD8<UInt16>.self, d, s, &-) }
    package static let phsubd: Kernel = { _, d, s, _ in horizontal(SIMD4<UInt32>.self, d, s, &-) }
    package static let phaddsw: Kernel = { _, d, s, _ in
        horizontal(SIMD8<Int16>.self, d, s) { Int16(clamping: Int32($0) + Int32($1)) }
    }
    package static let phsubsw: Kernel = { _, d, s, _ in
        horizontal(SIMD8<Int16>.self, d, s) { Int16(clamping: Int32($0) - Int32($1)) }
    }

    @inline(__always) private static func signed<V: SIMD>(
        _: V.Type, _ d: UnsafeMutableRawPointer, _ s: UnsafeMutableRawPointer
    ) where V.Scalar: FixedWidthInteger & SignedInteger {
        lanes(V.self, d, s) { $1 < 0 ? 0 &- $0 : $1 == 0 ? 0 : $0 }
    }
    package static let psignb: Kernel = { _, d, s, _ in signed(SIMD16<Int8>.self, d, s) }
    package static let psignw: Kernel = { _, d, s, _ in signed(SIMD8<Int16>.self, d, s) }
    package static let psignd: Kernel = { _, d, s, _ in signed(SIMD4<Int32>.self, d, s) }

    // MARK: Blends

    @inline(__always) private static func blend<V: SIMD>(
        _: V.Type, _ d: UnsafeMutableRawPointer, _ s: UnsafeMutableRawPointer, _ takes: (Int) -> Bool
    ) {
        var a = vector(d, as: V.self)
        let b = vector(s, as: V.self)
        for lane in a.indices where takes(lane) { a[lane] = b[lane] }
        setVector(d, a)
    }
    package static let pblendw: Kernel = { _, d, s, i in blend(SIMD8<UInt16>.self, d, s) { i >> $0 & 1 != 0 } }
    package static let blendps: Kernel = { _, d, s, i in blend(SIMD4<UInt32>.self, d, s) { i >> $0 & 1 != 0 } }
    package static let blendpd: Kernel = { _, d, s, i in blend(SIMD2<UInt64>.self, d, s) { i >> $0 & 1 != 0 } }
    /// The mask is XMM0.
    package static let pblendvb: Kernel = { core, d, s, _ in
        let mask = vector(core + CoreLayout.vectors, as: SIMD16<Int8>.self)
        blend(SIMD16<UInt8>.self, d, s) { mask[$0] < 0 }
    }
    package static let blendvps: Kernel = { core, d, s, _ in
        let mask = vector(core + CoreLayout.vectors, as: SIMD4<Int32>.self)
        blend(SIMD4<UInt32>.self, d, s) { mask[$0] < 0 }
    }
    package static let blendvpd: Kernel = { core, d, s, _ in
        let mask = vector(core + CoreLayout.vectors, as: SIMD2<Int64>.self)
        blend(SIMD2<UInt64>.self, d, s) { mask[$0] < 0 }
    }

    // MARK: Products and searches of SSE4.1

    package static let phminposuw: Kernel = { _, d, s, _ in
        let b = vector(s, as: SIMD8<UInt16>.self)
        var best = 0
        for lane in 1..<8 where b[lane] < b[best] { best = lane }
        setVector(d, SIMD8<UInt16>(b[best], UInt16(best), 0, 0, 0, 0, 0, 0))
    }
    package static let mpsadbw: Kernel = { _, d, s, i in
        let (a, b) = (vector(d, as: SIMD16<UInt8>.self), vector(s, as: SIMD16<UInt8>.self))
        var result = SIMD8<UInt16>(repeating: 0)
        let (first, second) = ((i >> 2 & 1) * 4, (i & 3) * 4)
        for lane in 0..<8 {
            for k in 0..<4 {
                let (x, y) = (a[first + lane + k], b[second + k])
                result[lane] += UInt16(x > y ? x - y : y - x)
            }
        }
        setVector(d, result)
    }
    package static let insertps: Kernel = { _, d, s, i in
        var a = vector(d, as: SIMD4<UInt32>.self)
        // In memory there is one element only, and the immediate names it.
        a[i >> 4 & 3] = (s + (i >> 6 & 3) * 4).loadUnaligned(as: UInt32.self)
        for lane in 0..<4 where i >> lane & 1 != 0 { a[lane] = 0 }
        setVector(d, a)
    }
}
