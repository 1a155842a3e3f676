// AES, carry-less multiplication and SHA.

package enum CryptoKernels {
    // MARK: AES: the state's columns are the bytes in order

    /// The S-box: the inverse in GF(2^8), and an affine map.
    private static let box: [UInt8] = {
        var table = [UInt8](repeating: 0x63, count: 256)
        var (p, q): (UInt8, UInt8) = (1, 1)
        repeat {
            // p runs through the field by a generator, q through the inverses.
            p = p ^ (p << 1) ^ (p & 0x80 != 0 ? 0x1b : 0)
            q ^= q << 1
            q ^= q << 2
            q ^= q << 4
            if q & 0x80 != 0 { q ^= 0x09 }
            func turned(_ by: UInt8) -> UInt8 { q << by | q >> (8 - by) }
            table[Int(p)] = q ^ turned(1) ^ turned(2) ^ turned(3) ^ turned(4) ^ 0x63
        } while p != 1
        return table
    }()
    private static let inverseBox: [UInt8] = {
        var table = [UInt8](repeating: 0, count: 256)
        for (index, value) in box.enumerated() { table[Int(value)] = UInt8(index) }
        return table
    }()

    @inline(__always) private static func double(_ a: UInt8) -> UInt8 { a << 1 ^ (a & 0x80 != 0 ? 0x1b : 0) }
    private static func times(_ a: UInt8, _ b: UInt8) -> UInt8 {
        var (result, power): (UInt8, UInt8) = (0, a)
        for bit in 0..<4 as Range<UInt8> {
            if b >> bit & 1 != 0 { result ^= power }
            power = double(power)
        }
        return result
    }

    private static func mixed(_ state: SIMD16<UInt8>, _ row: [UInt8]) -> SIMD16<UInt8> {
        var result = SIMD16<UInt8>(repeating: 0)
        for column in 0..<4 {
            for line in 0..<4 {
                for k in 0..<4 { result[column * 4 + line] ^= times(state[column * 4 + k], row[(k - line) & 3]) }
            }
        }
        return result
    }
    private static let mix: [UInt8] = [2, 3, 1, 1]
    private static let inverseMix: [UInt8] = [14, 11, 13, 9]

    /// Rows turned left, and each byte through the box.
    private static func substituted(_ state: SIMD16<UInt8>, inverse: Bool) -> SIMD16<UInt8> {
        var result = SIMD16<UInt8>(repeating: 0)
        for column in 0..<4 {
            for line in 0..<4 {
                let from = (inverse ? column - line : column + line) & 3
                let byte = Int(state[from * 4 + line])
                result[column * 4 + line] = inverse ? inverseBox[byte] : box[byte]
            }
        }
        return result
    }

    package static let aesenc: Kernel = { _, d, s, _ in
        setVector(d, mixed(substituted(vector(d), inverse: false), mix) ^ vector(s, as: SIMD16<UInt8>.self))
    }
    package static let aesenclast: Kernel = { _, d, s, _ in
        setVector(d, substituted(vector(d), inverse: false) ^ vector(s, as: SIMD16<UInt8>.self))
    }
    package static let aesdec: Kernel = { _, d, s, _ in
        setVector(d, mixed(substituted(vector(d), inverse: true), inverseMix) ^ vector(s, as: SIMD16<UInt8>.self))
    }
    package static let aesdeclast: Kernel = { _, d, s, _ in
        setVector(d, substituted(vector(d), inverse: true) ^ vector(s, as: SIMD16<UInt8>.self))
    }
    package static let aesimc: Kernel = { _, d, s, _ in setVector(d, mixed(vector(s), inverseMix)) }
    package static let aeskeygenassist: Kernel = { _, d, s, i in
        let b = vector(s, as: SIMD4<UInt32>.self)
        func boxed(_ word: UInt32) -> UInt32 {
            (0..<4 as Range<UInt32>).reduce(0) { $0 | UInt32(box[Int(word >> ($1 * 8) & 0xff)]) << ($1 * 8) }
        }
        let (low, high) = (boxed(b[1]), boxed(b[3]))
        let constant = UInt32(i & 0xff)
        setVector(
            d,
            SIMD4<UInt32>(low, (low >> 8 | low << 24) ^ constant, high, (high >> 8 | high << 24) ^ constant))
    }

    package static let pclmulqdq: Kernel = { _, d, s, i in
        let a = (d + (i & 1) * 8).loadUnaligned(as: UInt64.self)
        let b = (s + (i >> 4 & 1) * 8).loadUnaligned(as: UInt64.self)
        var product: UInt128 = 0
        for bit in 0..<64 where b >> UInt64(bit) & 1 != 0 { product ^= UInt128(a) << UInt128(bit) }
        setVector(d, SIMD2<UInt64>(UInt64(truncatingIfNeeded: product), UInt64(truncatingIfNeeded: product >> 64)))
    }

    // MARK: SHA

    @inline(__always) private static func left(_ a: UInt32, _ by: UInt32) -> UInt32 { a << by | a >> (32 - by) }
    @inline(__always) private static func right(_ a: UInt32, _ by: UInt32) -> UInt32 { a >> by | a << (32 - by) }

    package static let sha1nexte: Kernel = { _, d, s, _ in
        let (a, b) = (vector(d, as: SIMD4<UInt32>.self), vector(s, as: SIMD4<UInt32>.self))
        setVector(d, SIMD4<UInt32>(b[0], b[1], b[2], b[3] &+ left(a[3], 30)))
    }
    package static let sha1msg1: Kernel = { _, d, s, _ in
        let (a, b) = (vector(d, as: SIMD4<UInt32>.self), vector(s, as: SIMD4<UInt32>.self))
        setVector(d, SIMD4<UInt32>(b[2] ^ a[0], b[3] ^ a[1], a[0] ^ a[2], a[1] ^ a[3]))
    }
    package static let sha1msg2: Kernel = { _, d, s, _ in
        let (a, b) = (vector(d, as: SIMD4<UInt32>.self), vector(s, as: SIMD4<UInt32>.self))
        let w16 = left(a[3] ^ b[2], 1)
        setVector(d, SIMD4<UInt32>(left(a[0] ^ w16, 1), left(a[1] ^ b[0], 1), left(a[2] ^ b[1], 1), w16))
    }
    package static let sha1rnds4: Kernel = { _, d, s, i in
        let (state, words) = (vector(d, as: SIMD4<UInt32>.self), vector(s, as: SIMD4<UInt32>.self))
        var (a, b, c, e0, e) = (state[3], state[2], state[1], state[0], UInt32(0))
        let constants: [UInt32] = [0x5a82_7999, 0x6ed9_eba1, 0x8f1b_bcdc, 0xca62_c1d6]
        for round in 0..<4 {
            let f: UInt32
            switch i & 3 {
            case 0: f = (b & c) ^ (~b & e0)
            case 2: f = (b & c) ^ (b & e0) ^ (c & e0)
            default: f = b ^ c ^ e0
            }
            let next = f &+ left(a, 5) &+ words[3 - round] &+ e &+ constants[i & 3]
            (a, b, c, e0, e) = (next, a, left(b, 30), c, e0)
        }
        setVector(d, SIMD4<UInt32>(e0, c, b, a))
    }
    package static let sha256msg1: Kernel = { _, d, s, _ in
        let (a, b) = (vector(d, as: SIMD4<UInt32>.self), vector(s, as: SIMD4<UInt32>.self))
        func sigma(_ w: UInt32) -> UInt32 { right(w, 7) ^ right(w, 18) ^ w >> 3 }
        setVector(
            d, SIMD4<UInt32>(a[0] &+ sigma(a[1]), a[1] &+ sigma(a[2]), a[2] &+ sigma(a[3]), a[3] &+ sigma(b[0])))
    }
    package static let sha256msg2: Kernel = { _, d, s, _ in
        let (a, b) = (vector(d, as: SIMD4<UInt32>.self), vector(s, as: SIMD4<UInt32>.self))
        func sigma(_ w: UInt32) -> UInt32 { right(w, 17) ^ right(w, 19) ^ w >> 10 }
        let w16 = a[0] &+ sigma(b[2])
        let w17 = a[1] &+ sigma(b[3])
        setVector(d, SIMD4<UInt32>(w16, w17, a[2] &+ sigma(w16), a[3] &+ sigma(w17)))
    }
    package static let sha256rnds2: Kernel = { core, d, s, _ in
        let (x, y) = (vector(d, as: SIMD4<UInt32>.self), vector(s, as: SIMD4<UInt32>.self))
        let words = vector(core + CoreLayout.vectors, as: SIMD4<UInt32>.self)
        var (a, b, e, f) = (y[3], y[2], y[1], y[0])
        var (c, dd, g, h) = (x[3], x[2], x[1], x[0])
        for round in 0..<2 {
            let s1 = right(e, 6) ^ right(e, 11) ^ right(e, 25)
            let t1 = ((e & f) ^ (~e & g)) &+ s1 &+ words[round] &+ h
            let s0 = right(a, 2) ^ right(a, 13) ^ right(a, 22)
            let t2 = ((a & b) ^ (a & c) ^ (b & c)) &+ s0
            (h, g, f, e, dd, c, b, a) = (g, f, e, dd &+ t1, c, b, a, t1 &+ t2)
        }
        setVector(d, SIMD4<UInt32>(f, e, b, a))
    }
}
