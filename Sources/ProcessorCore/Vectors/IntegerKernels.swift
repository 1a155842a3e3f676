// Integer vectors: arithmetic, comparison, shifts, shuffles, packing. Lanes are Swift's SIMD types over the 16 bytes.

package enum IntegerKernels {
    package static let paddb: Kernel = { _, d, s, i in combine(SIMD16<UInt8>.self, d, s) { a, b in a &+ b } }
    package static let paddw: Kernel = { _, d, s, i in combine(SIMD8<UInt16>.self, d, s) { a, b in a &+ b } }
    package static let paddd: Kernel = { _, d, s, i in combine(SIMD4<UInt32>.self, d, s) { a, b in a &+ b } }
    package static let paddq: Kernel = { _, d, s, i in combine(SIMD2<UInt64>.self, d, s) { a, b in a &+ b } }
    package static let psubb: Kernel = { _, d, s, i in combine(SIMD16<UInt8>.self, d, s) { a, b in a &- b } }
    package static let psubw: Kernel = { _, d, s, i in combine(SIMD8<UInt16>.self, d, s) { a, b in a &- b } }
    package static let psubd: Kernel = { _, d, s, i in combine(SIMD4<UInt32>.self, d, s) { a, b in a &- b } }
    package static let psubq: Kernel = { _, d, s, i in combine(SIMD2<UInt64>.self, d, s) { a, b in a &- b } }
    package static let paddsb: Kernel = { _, d, s, i in combine(SIMD16<Int8>.self, d, s) { a, b in saturating(a, b, +) }
    }
    package static let paddsw: Kernel = { _, d, s, i in combine(SIMD8<Int16>.self, d, s) { a, b in saturating(a, b, +) }
    }
    package static let paddusb: Kernel = { _, d, s, i in
        combine(SIMD16<UInt8>.self, d, s) { a, b in saturating(a, b, +) }
    }
    package static let paddusw: Kernel = { _, d, s, i in
        combine(SIMD8<UInt16>.self, d, s) { a, b in saturating(a, b, +) }
    }
    package static let psubsb: Kernel = { _, d, s, i in combine(SIMD16<Int8>.self, d, s) { a, b in saturating(a, b, -) }
    }
    package static let psubsw: Kernel = { _, d, s, i in combine(SIMD8<Int16>.self, d, s) { a, b in saturating(a, b, -) }
    }
    package static let psubusb: Kernel = { _, d, s, i in
        combine(SIMD16<UInt8>.self, d, s) { a, b in saturating(a, b, -) }
    }
    package static let psubusw: Kernel = { _, d, s, i in
        combine(SIMD8<UInt16>.self, d, s) { a, b in saturating(a, b, -) }
    }
    package static let pmullw: Kernel = { _, d, s, i in combine(SIMD8<UInt16>.self, d, s) { a, b in a &* b } }
    package static let pmulld: Kernel = { _, d, s, i in combine(SIMD4<UInt32>.self, d, s) { a, b in a &* b } }
    package static let pminub: Kernel = { _, d, s, i in combine(SIMD16<UInt8>.self, d, s) { a, b in pointwiseMin(a, b) }
    }
    package static let pmaxub: Kernel = { _, d, s, i in combine(SIMD16<UInt8>.self, d, s) { a, b in pointwiseMax(a, b) }
    }
    package static let pminsw: Kernel = { _, d, s, i in combine(SIMD8<Int16>.self, d, s) { a, b in pointwiseMin(a, b) }
    }
    package static let pmaxsw: Kernel = { _, d, s, i in combine(SIMD8<Int16>.self, d, s) { a, b in pointwiseMax(a, b) }
    }
    package static let pminsb: Kernel = { _, d, s, i in combine(SIMD16<Int8>.self, d, s) { a, b in pointwiseMin(a, b) }
    }
    package static let pmaxsb: Kernel = { _, d, s, i in combine(SIMD16<Int8>.self, d, s) { a, b in pointwiseMax(a, b) }
    }
    package static let pminuw: Kernel = { _, d, s, i in combine(SIMD8<UInt16>.self, d, s) { a, b in pointwiseMin(a, b) }
    }
    package static let pmaxuw: Kernel = { _, d, s, i in combine(SIMD8<UInt16>.self, d, s) { a, b in pointwiseMax(a, b) }
    }
    package static let pminsd: Kernel = { _, d, s, i in combine(SIMD4<Int32>.self, d, s) { a, b in pointwiseMin(a, b) }
    }
    package static let pmaxsd: Kernel = { _, d, s, i in combine(SIMD4<Int32>.self, d, s) { a, b in pointwiseMax(a, b) }
    }
    package static let pminud: Kernel = { _, d, s, i in combine(SIMD4<UInt32>.self, d, s) { a, b in pointwiseMin(a, b) }
    }
    package static let pmaxud: Kernel = { _, d, s, i in combine(SIMD4<UInt32>.self, d, s) { a, b in pointwiseMax(a, b) }
    }
    package static let pcmpeqb: Kernel = { _, d, s, i in combine(SIMD16<Int8>.self, d, s) { a, b in ones(a .== b) } }
    package static let pcmpeqw: Kernel = { _, d, s, i in combine(SIMD8<Int16>.self, d, s) { a, b in ones(a .== b) } }
    package static let pcmpeqd: Kernel = { _, d, s, i in combine(SIMD4<Int32>.self, d, s) { a, b in ones(a .== b) } }
    package static let pcmpeqq: Kernel = { _, d, s, i in combine(SIMD2<Int64>.self, d, s) { a, b in ones(a .== b) } }
    package static let pcmpgtb: Kernel = { _, d, s, i in combine(SIMD16<Int8>.self, d, s) { a, b in ones(a .> b) } }
    package static let pcmpgtw: Kernel = { _, d, s, i in combine(SIMD8<Int16>.self, d, s) { a, b in ones(a .> b) } }
    package static let pcmpgtd: Kernel = { _, d, s, i in combine(SIMD4<Int32>.self, d, s) { a, b in ones(a .> b) } }
    package static let pcmpgtq: Kernel = { _, d, s, i in combine(SIMD2<Int64>.self, d, s) { a, b in ones(a .> b) } }
    package static let pand: Kernel = { _, d, s, i in combine(SIMD2<UInt64>.self, d, s) { a, b in a & b } }
    package static let pandn: Kernel = { _, d, s, i in combine(SIMD2<UInt64>.self, d, s) { a, b in ~a & b } }
    package static let por: Kernel = { _, d, s, i in combine(SIMD2<UInt64>.self, d, s) { a, b in a | b } }
    package static let pxor: Kernel = { _, d, s, i in combine(SIMD2<UInt64>.self, d, s) { a, b in a ^ b } }
    package static let pabsb: Kernel = { _, d, s, i in combine(SIMD16<Int8>.self, d, s) { a, b in magnitude(b) } }
    package static let pabsw: Kernel = { _, d, s, i in combine(SIMD8<Int16>.self, d, s) { a, b in magnitude(b) } }
    package static let pabsd: Kernel = { _, d, s, i in combine(SIMD4<Int32>.self, d, s) { a, b in magnitude(b) } }
}

@inline(__always) func vector<V>(_ pointer: UnsafeMutableRawPointer, as type: V.Type = V.self) -> V {
    pointer.loadUnaligned(as: V.self)
}
@inline(__always) func setVector<V>(_ pointer: UnsafeMutableRawPointer, _ value: V) {
    withUnsafeBytes(of: value) { pointer.copyMemory(from: $0.baseAddress.unsafelyUnwrapped, byteCount: 16) }
}
/// destination = f(destination, source), on 16 bytes each.
@inline(__always) func combine<V>(
    _: V.Type, _ d: UnsafeMutableRawPointer, _ s: UnsafeMutableRawPointer, _ f: (V, V) -> V
) {
    setVector(d, f(vector(d), vector(s)))
}
@inline(__always) func ones<V: SIMD>(_ mask: SIMDMask<V.MaskStorage>) -> V
where V.Scalar: FixedWidthInteger & SignedInteger {
    V(repeating: 0).replacing(with: -1, where: mask)
}
@inline(__always) func magnitude<V: SIMD>(_ a: V) -> V where V.Scalar: FixedWidthInteger & SignedInteger {
    a.replacing(with: 0 &- a, where: a .< 0)
}
@inline(__always) func saturating<V: SIMD>(_ a: V, _ b: V, _ f: (Int32, Int32) -> Int32) -> V
where V.Scalar: FixedWidthInteger {
    var result = a
    for lane in a.indices { result[lane] = V.Scalar(clamping: f(Int32(a[lane]), Int32(b[lane]))) }
    return result
}
