// AES-256 in one direction, which is all that GCM needs. The S-box is computed, so that no table of constants is trusted.
//
// Not hardened against timing: what runs it has nothing to hide from an emulator.

import Hardware

/// AES-256 with its round keys, in memory of the caller's.
struct AES256 {
    /// The S-box, then 15 round keys.
    static let workspaceByteCount: UInt64 = 256 + 240

    private let sbox: UInt64
    private let roundKeys: UInt64

    /// Expands a key of 32 bytes.
    init(key: UInt64, workspace: UInt64) {
        sbox = workspace
        roundKeys = workspace + 256
        Self.makeSBox(at: sbox)
        for index in 0..<32 as Range<UInt64> { store8(roundKeys + index, load8(key + index)) }
        var constant: UInt8 = 1
        for word in 8..<60 as Range<UInt64> {
            var t = load32(roundKeys + word * 4 - 4)
            if word % 8 == 0 {
                t = substitute(t >> 8 | t << 24) ^ UInt32(constant)
                constant = Self.double(constant)
            } else if word % 8 == 4 {
                t = substitute(t)
            }
            store32(roundKeys + word * 4, load32(roundKeys + word * 4 - 32) ^ t)
        }
    }

    /// Encrypts the 16 bytes at an address, in place.
    func encrypt(_ block: UInt64) {
        addKey(block, 0)
        for round in 1..<14 as Range<UInt64> {
            substituteAndShift(block)
            for column in 0..<4 as Range<UInt64> { mix(block + column * 4) }
            addKey(block, round)
        }
        substituteAndShift(block)
        addKey(block, 14)
    }

    private func addKey(_ block: UInt64, _ round: UInt64) {
        let key = roundKeys + round * 16
        store64(block, load64(block) ^ load64(key))
        store64(block + 8, load64(block + 8) ^ load64(key + 8))
    }

    private func substituteAndShift(_ block: UInt64) {
        let low = load64(block)
        let high = load64(block + 8)
        for index in 0..<16 as Range<UInt64> {
            // Row r moves r columns to the left.
            let source = (index + index % 4 * 4) % 16
            let byte = (source < 8 ? low >> (source * 8) : high >> (source * 8 - 64)) & 0xff
            store8(block + index, load8(sbox + byte))
        }
    }

    private func mix(_ column: UInt64) {
        let (a, b, c, d) = (load8(column), load8(column + 1), load8(column + 2), load8(column + 3))
        let all = a ^ b ^ c ^ d
        store8(column, a ^ all ^ Self.double(a ^ b))
        store8(column + 1, b ^ all ^ Self.double(b ^ c))
        store8(column + 2, c ^ all ^ Self.double(c ^ d))
        store8(column + 3, d ^ all ^ Self.double(d ^ a))
    }

    private func substitute(_ word: UInt32) -> UInt32 {
        var result: UInt32 = 0
        for shift in stride(from: 0, to: UInt32(32), by: 8) {
            result |= UInt32(load8(sbox + UInt64(word >> shift & 0xff))) << shift
        }
        return result
    }

    /// Multiplication by x in the field of AES.
    private static func double(_ a: UInt8) -> UInt8 { a << 1 ^ (a & 0x80 != 0 ? 0x1b : 0) }

    /// Walks the field by the generator 3 and, beside it, by its inverse.
    private static func makeSBox(at sbox: UInt64) {
        var p: UInt8 = 1
        var q: UInt8 = 1
        repeat {
            p = p ^ double(p)
            q ^= q << 1
            q ^= q << 2
            q ^= q << 4
            if q & 0x80 != 0 { q ^= 0x09 }
            let x = q ^ (q << 1 | q >> 7) ^ (q << 2 | q >> 6) ^ (q << 3 | q >> 5) ^ (q << 4 | q >> 4)
            store8(sbox + UInt64(p), x ^ 0x63)
        } while p != 1
        store8(sbox, 0x63)
    }
}
