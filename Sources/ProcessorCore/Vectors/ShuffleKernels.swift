// Moves within and between vectors: shuffles, packing, unpacking, extraction, widening multiplications.

package enum ShuffleKernels {
    // MARK: Moves. The destination's other bytes are cleared, or kept, as each instruction says.

    /// 16 bytes.
    package static let move16: Kernel = { _, d, s, _ in setVector(d, vector(s, as: SIMD2<UInt64>.self)) }
    /// Low 8 bytes, the rest cleared.
    package static let move8Clearing: Kernel = { _, d, s, _ in
        setVector(d, SIMD2<UInt64>(s.loadUnaligned(as: UInt64.self), 0))
    }
    /// Low 4 bytes, the rest cleared.
    package static let move4Clearing: Kernel = { _, d, s, _ in
        setVector(d, SIMD4<UInt32>(s.loadUnaligned(as: UInt32.self), 0, 0, 0))
    }
    /// Low 8 bytes, the rest kept: also a store, and a register's low half.
    package static let move8: Kernel = { _, d, s, _ in
        d.storeBytes(of: s.loadUnaligned(as: UInt64.self), as: UInt64.self)
    }
    /// Low 4 bytes, the rest kept.
    package static let move4: Kernel = { _, d, s, _ in
        d.storeBytes(of: s.loadUnaligned(as: UInt32.self), as: UInt32.self)
    }
    /// 4 bytes into a general register: its upper half is cleared.
    package static let move4ToGeneral: Kernel = { _, d, s, _ in
        d.storeBytes(of: UInt64(s.loadUnaligned(as: UInt32.self)), as: UInt64.self)
    }
    /// 8 bytes into the upper half.
    package static let move8ToHigh: Kernel = { _, d, s, _ in
        (d + 8).storeBytes(of: s.loadUnaligned(as: UInt64.self), as: UInt64.self)
    }
    /// The upper half into 8 bytes.
    package static let moveHigh8: Kernel = { _, d, s, _ in
        d.storeBytes(of: (s + 8).loadUnaligned(as: UInt64.self), as: UInt64.self)
    }
    package static let movddup: Kernel = { _, d, s, _ in
        let a = s.loadUnaligned(as: UInt64.self)
        setVector(d, SIMD2<UInt64>(a, a))
    }
    package static let movshdup: Kernel = { _, d, s, _ in
        let b = vector(s, as: SIMD4<UInt32>.self)
        setVector(d, SIMD4<UInt32>(b[1], b[1], b[3], b[3]))
    }
    package static let movsldup: Kernel = { _, d, s, _ in
        let b = vector(s, as: SIMD4<UInt32>.self)
        setVector(d, SIMD4<UInt32>(b[0], b[0], b[2], b[2]))
    }

    // MARK: Masks

    package static let pmovmskb: Kernel = { _, d, s, _ in
        let b = vector(s, as: SIMD16<UInt8>.self)
        var mask: UInt64 = 0
        for lane in 0..<16 { mask |= UInt64(b[lane] >> 7) << UInt64(lane) }
        d.storeBytes(of: mask, as: UInt64.self)
    }
    package static let movmskps: Kernel = { _, d, s, _ in
        let b = vector(s, as: SIMD4<UInt32>.self)
        var mask: UInt64 = 0
        for lane in 0..<4 { mask |= UInt64(b[lane] >> 31) << UInt64(lane) }
        d.storeBytes(of: mask, as: UInt64.self)
    }
    package static let movmskpd: Kernel = { _, d, s, _ in
        let b = vector(s, as: SIMD2<UInt64>.self)
        d.storeBytes(of: b[0] >> 63 | (b[1] >> 63) << 1, as: UInt64.self)
    }
    package static let ptest: Kernel = { core, d, s, _ in
        let (a, b) = (vector(d, as: SIMD2<UInt64>.self), vector(s, as: SIMD2<UInt64>.self))
        let (both, outside) = (a & b, ~a & b)
        setArithmeticFlags(
            core,
            (both[0] | both[1] == 0 ? ArithmeticFlags.zero : 0)
                | (outside[0] | outside[1] == 0 ? ArithmeticFlags.carry : 0))
    }

    // MARK: Shuffles

    package static let pshufd: Kernel = { _, d, s, i in
        let b = vector(s, as: SIMD4<UInt32>.self)
        setVector(d, SIMD4<UInt32>(b[i & 3], b[i >> 2 & 3], b[i >> 4 & 3], b[i >> 6 & 3]))
    }
    package static let pshuflw: Kernel = { _, d, s, i in
        let b = vector(s, as: SIMD8<UInt16>.self)
        var result = b
        for lane in 0..<4 { result[lane] = b[i >> (2 * lane) & 3] }
        setVector(d, result)
    }
    package static let pshufhw: Kernel = { _, d, s, i in
        let b = vector(s, as: SIMD8<UInt16>.self)
        var result = b
        for lane in 0..<4 { result[4 + lane] = b[4 + (i >> (2 * lane) & 3)] }
        setVector(d, result)
    }
    package static let shufps: Kernel = { _, d, s, i in
        let (a, b) = (vector(d, as: SIMD4<UInt32>.self), vector(s, as: SIMD4<UInt32>.self))
        setVector(d, SIMD4<UInt32>(a[i & 3], a[i >> 2 & 3], b[i >> 4 & 3], b[i >> 6 & 3]))
    }
    package static let shufpd: Kernel = { _, d, s, i in
        let (a, b) = (vector(d, as: SIMD2<UInt64>.self), vector(s, as: SIMD2<UInt64>.self))
        setVector(d, SIMD2<UInt64>(a[i & 1], b[i >> 1 & 1]))
    }
    package static let pshufb: Kernel = { _, d, s, _ in
        let (a, b) = (vector(d, as: SIMD16<UInt8>.self), vector(s, as: SIMD16<UInt8>.self))
        var result = SIMD16<UInt8>(repeating: 0)
        for lane in 0..<16 where b[lane] & 0x80 == 0 { result[lane] = a[Int(b[lane] & 15)] }
        setVector(d, result)
    }
    package static let palignr: Kernel = { _, d, s, i in
        let (a, b) = (vector(d, as: SIMD16<UInt8>.self), vector(s, as: SIMD16<UInt8>.self))
        var result = SIMD16<UInt8>(repeating: 0)
        for lane in 0..<16 {
            let at = lane + (i & 0xff)
            result[lane] = at < 16 ? b[at] : at < 32 ? a[at - 16] : 0
        }
        setVector(d, result)
    }

    // MARK: Unpacking and packing

    @inline(__always) private static func interleave<V: SIMD>(
        _: V.Type, _ d: UnsafeMutableRawPointer, _ s: UnsafeMutableRawPointer, high: Bool
    ) where V.Scalar: FixedWidthInteger {
        let (a, b) = (vector(d, as: V.self), vector(s, as: V.self))
        var result = a
        let first = high ? V.scalarCount / 2 : 0
        for lane in 0..<V.scalarCount / 2 {
            result[2 * lane] = a[first + lane]
            result[2 * lane + 1] = b[first + lane]
        }
        setVector(d, result)
    }
    package static let punpcklbw: Kernel = { _, d, s, _ in interleave(SIMD16<UInt8>.self, d, s, high: false) }
    package static let punpcklwd: Kernel = { _, d, s, _ in interleave(SIMD8<UInt16>.self, d, s, high: false) }
    package static let punpckldq: Kernel = { _, d, s, _ in interleave(SIMD4<UInt32>.self, d, s, high: false) }
    package static let punpcklqdq: Kernel = { _, d, s, _ in interleave(SIMD2<UInt64>.self, d, s, high: false) }
    package static let punpckhbw: Kernel = { _, d, s, _ in interleave(SIMD16<UInt8>.self, d, s, high: true) }
    package static let punpckhwd: Kernel = { _, d, s, _ in interleave(SIMD8<UInt16>.self, d, s, high: true) }
    package static let punpckhdq: Kernel = { _, d, s, _ in interleave(SIMD4<UInt32>.self, d, s, high: true) }
    package static let punpckhqdq: Kernel = { _, d, s, _ in interleave(SIMD2<UInt64>.self, d, s, high: true) }

    @inline(__always) private static func pack<W: SIMD, N: SIMD>(
        _: W.Type, _: N.Type, _ d: UnsafeMutableRawPointer, _ s: UnsafeMutableRawPointer
    ) where W.Scalar: FixedWidthInteger, N.Scalar: FixedWidthInteger {
        let (a, b) = (vector(d, as: W.self), vector(s, as: W.self))
        var result = N()
        for lane in 0..<W.scalarCount {
            result[lane] = N.Scalar(clamping: a[lane])
            result[W.scalarCount + lane] = N.Scalar(clamping: b[lane])
        }
        setVector(d, result)
    }
    package static let packsswb: Kernel = { _, d, s, _ in pack(SIMD8<Int16>.self, SIMD16<Int8>.self, d, s) }
    package static let packuswb: Kernel = { _, d, s, _ in pack(SIMD8<Int16>.self, SIMD16<UInt8>.self, d, s) }
    package static let packssdw: Kernel = { _, d, s, _ in pack(SIMD4<Int32>.self, SIMD8<Int16>.self, d, s) }
    package static let packusdw: Kernel = { _, d, s, _ in pack(SIMD4<Int32>.self, SIMD8<UInt16>.self, d, s) }

    @inline(__always) private static func widen<N: SIMD, W: SIMD>(
        _: N.Type, _: W.Type, _ d: UnsafeMutableRawPointer, _ s: UnsafeMutableRawPointer
    ) where N.Scalar: FixedWidthInteger, W.Scalar: FixedWidthInteger {
        // The source in memory is as long as its lanes that count.
        var result = W()
        for lane in 0..<W.scalarCount {
            result[lane] = W.Scalar(
                truncatingIfNeeded: (s + lane * MemoryLayout<N.Scalar>.size).loadUnaligned(as: N.Scalar.self))
        }
        setVector(d, result)
    }
    package static let pmovsxbw: Kernel = { _, d, s, _ in widen(SIMD16<Int8>.self, SIMD8<Int16>.self, d, s) }
    package static let pmovsxbd: Kernel = { _, d, s, _ in widen(SIMD16<Int8>.self, SIMD4<Int32>.self, d, s) }
    package static let pmovsxbq: Kernel = { _, d, s, _ in widen(SIMD16<Int8>.self, SIMD2<Int64>.self, d, s) }
    package static let pmovsxwd: Kernel = { _, d, s, _ in widen(SIMD8<Int16>.self, SIMD4<Int32>.self, d, s) }
    package static let pmovsxwq: Kernel = { _, d, s, _ in widen(SIMD8<Int16>.self, SIMD2<Int64>.self, d, s) }
    package static let pmovsxdq: Kernel = { _, d, s, _ in widen(SIMD4<Int32>.self, SIMD2<Int64>.self, d, s) }
    package static let pmovzxbw: Kernel = { _, d, s, _ in widen(SIMD16<UInt8>.self, SIMD8<UInt16>.self, d, s) }
    package static let pmovzxbd: Kernel = { _, d, s, _ in widen(SIMD16<UInt8>.self, SIMD4<UInt32>.self, d, s) }
    package static let pmovzxbq: Kernel = { _, d, s, _ in widen(SIMD16<UInt8>.self, SIMD2<UInt64>.self, d, s) }
    package static let pmovzxwd: Kernel = { _, d, s, _ in widen(SIMD8<UInt16>.self, SIMD4<UInt32>.self, d, s) }
    package static let pmovzxwq: Kernel = { _, d, s, _ in widen(SIMD8<UInt16>.self, SIMD2<UInt64>.self, d, s) }
    package static let pmovzxdq: Kernel = { _, d, s, _ in widen(SIMD4<UInt32>.self, SIMD2<UInt64>.self, d, s) }

    // MARK: Single lanes

    package static let pinsrb: Kernel = { _, d, s, i in
        (d + (i & 15)).storeBytes(of: s.load(as: UInt8.self), as: UInt8.self)
    }
    package static let pinsrw: Kernel = { _, d, s, i in
        (d + (i & 7) * 2).storeBytes(of: s.loadUnaligned(as: UInt16.self), as: UInt16.self)
    }
    package static let pinsrd: Kernel = { _, d, s, i in
        (d + (i & 3) * 4).storeBytes(of: s.loadUnaligned(as: UInt32.self), as: UInt32.self)
    }
    package static let pinsrq: Kernel = { _, d, s, i in
        (d + (i & 1) * 8).storeBytes(of: s.loadUnaligned(as: UInt64.self), as: UInt64.self)
    }
    /// Into a general register, cleared above.
    package static let pextrw: Kernel = { _, d, s, i in
        d.storeBytes(of: UInt64((s + (i & 7) * 2).loadUnaligned(as: UInt16.self)), as: UInt64.self)
    }
    package static let pextrb: Kernel = { _, d, s, i in
        d.storeBytes(of: UInt64((s + (i & 15)).load(as: UInt8.self)), as: UInt64.self)
    }
    package static let pextrd: Kernel = { _, d, s, i in
        d.storeBytes(of: UInt64((s + (i & 3) * 4).loadUnaligned(as: UInt32.self)), as: UInt64.self)
    }
    package static let pextrq: Kernel = { _, d, s, i in
        d.storeBytes(of: (s + (i & 1) * 8).loadUnaligned(as: UInt64.self), as: UInt64.self)
    }
    /// Into memory.
    package static let pextrwStore: Kernel = { _, d, s, i in
        d.storeBytes(of: (s + (i & 7) * 2).loadUnaligned(as: UInt16.self), as: UInt16.self)
    }
    package static let pextrbStore: Kernel = { _, d, s, i in
        d.storeBytes(of: (s + (i & 15)).load(as: UInt8.self), as: UInt8.self)
    }
    package static let pextrdStore: Kernel = { _, d, s, i in
        d.storeBytes(of: (s + (i & 3) * 4).loadUnaligned(as: UInt32.self), as: UInt32.self)
    }
}
