// AES-256-GCM with nonces of 96 bits, as guest messages use it.

import Hardware

/// Galois/Counter Mode over one key.
struct GCM {
    /// AES's, then the hash key, the hash, the counter block and one block of key stream.
    static let workspaceByteCount: UInt64 = AES256.workspaceByteCount + 16

    private let cipher: AES256
    private let block: UInt64
    private let hashKey: (high: UInt64, low: UInt64)

    init(key: UInt64, workspace: UInt64) {
        cipher = AES256(key: key, workspace: workspace)
        block = workspace + AES256.workspaceByteCount
        store64(block, 0)
        store64(block + 8, 0)
        cipher.encrypt(block)
        hashKey = (load64(block).byteSwapped, load64(block + 8).byteSwapped)
    }

    /// Encrypts or decrypts in place: the same in counter mode. The nonce is a number of 64 bits and four zero bytes.
    func apply(nonce: UInt64, to data: UInt64, count: UInt64) {
        var done: UInt64 = 0
        var counter: UInt32 = 2
        while done < count {
            keyStream(nonce, counter)
            for index in 0..<min(16, count - done) {
                store8(data + done + index, load8(data + done + index) ^ load8(block + index))
            }
            done += 16
            counter += 1
        }
    }

    /// The tag of additional data and ciphertext: the first and the second eight bytes, as they lie in memory.
    func tag(
        nonce: UInt64, additional: UInt64, additionalCount: UInt64, ciphertext: UInt64, count: UInt64
    ) -> (UInt64, UInt64) {
        var hash: (high: UInt64, low: UInt64) = (0, 0)
        absorb(additional, additionalCount, &hash)
        absorb(ciphertext, count, &hash)
        hash = multiply((hash.high ^ additionalCount * 8, hash.low ^ count * 8))
        keyStream(nonce, 1)
        return (load64(block) ^ hash.high.byteSwapped, load64(block + 8) ^ hash.low.byteSwapped)
    }

    private func keyStream(_ nonce: UInt64, _ counter: UInt32) {
        store64(block, nonce)
        store32(block + 8, 0)
        store32(block + 12, counter.byteSwapped)
        cipher.encrypt(block)
    }

    /// Hashes data of whole blocks; a last part is filled up with zeros.
    private func absorb(_ data: UInt64, _ count: UInt64, _ hash: inout (high: UInt64, low: UInt64)) {
        for start in stride(from: 0, to: count, by: 16) {
            store64(block, 0)
            store64(block + 8, 0)
            for index in 0..<min(16, count - start) { store8(block + index, load8(data + start + index)) }
            hash.high ^= load64(block).byteSwapped
            hash.low ^= load64(block + 8).byteSwapped
            hash = multiply(hash)
        }
    }

    /// Multiplies by the hash key: bit 0 of the field's elements is the first of the first byte.
    private func multiply(_ x: (high: UInt64, low: UInt64)) -> (high: UInt64, low: UInt64) {
        var product: (high: UInt64, low: UInt64) = (0, 0)
        var v = hashKey
        for bit in 0..<128 as Range<UInt64> {
            let word = bit < 64 ? x.high : x.low
            if word >> (63 - bit % 64) & 1 == 1 {
                product.high ^= v.high
                product.low ^= v.low
            }
            let carry = v.low & 1
            v.low = v.low >> 1 | v.high << 63
            v.high >>= 1
            if carry == 1 { v.high ^= 0xe1 << 56 }
        }
        return product
    }
}
