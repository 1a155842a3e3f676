// The memory controller's AES engine: keys by ASID, and the encryption of one frame.
//
// XEX with AES-128: each 16-byte block is XORed with a tweak that depends on its system physical address before and after
// AES, so that equal plaintext at two addresses differs, and ciphertext moved to another address decrypts to noise.

internal import Crypto
internal import CryptoExtras
public import SNPArchitecture
internal import Scheduling
internal import Synchronization

/// Names a key once installed. Numbers are never reused, so a frame stored under a retired key stays unreadable.
@frozen public struct KeyID: RawRepresentable, Hashable, Sendable {
    /// The number; 0 is no encryption.
    public var rawValue: UInt32
    /// Makes an identifier from its number.
    @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }
    /// Stored in plain: the host without memory encryption.
    @inlinable public static var plain: KeyID { KeyID(rawValue: 0) }
}

/// The keys of the memory controller.
///
/// - Spec: APM2 15.34.1 (memory encryption, key per ASID)
/// - Deviates: the tweak is AES of the block's address under a key of the machine's own; AMD's tweak is not documented
public final class MemoryEncryption: Sendable {
    private struct Keys {
        /// Indexed by `KeyID`; index 0 unused.
        var material: [[UInt8]] = [[]]
        /// By the number of the ASID: VMRUN asks at each entry.
        var byASID = [KeyID?](repeating: nil, count: Int(ASID.maximum.rawValue) + 1)
    }
    private let keys = Mutex(Keys())
    private let tweakKey: [UInt8]

    /// Makes an engine without keys.
    ///
    /// - Parameter tweakKey: 16 bytes, the machine's own
    public init(tweakKey: [UInt8]) {
        precondition(tweakKey.count == 16, "AES-128")
        self.tweakKey = tweakKey
    }

    func checkpoint() -> Checkpoint {
        let saved = keys.withLock { $0 }
        var checkpoint = Checkpoint()
        checkpoint.add { [self] in
            keys.withLock { if $0.material.count != saved.material.count || $0.byASID != saved.byASID { $0 = saved } }
        }
        return checkpoint
    }

    /// Installs a guest's 16-byte key for an ASID and returns its name. An ASID that no RMP entry can hold gets a key that only
    /// its name leads to.
    @discardableResult
    public func installKey(_ key: [UInt8], for asid: ASID) -> KeyID {
        precondition(key.count == 16, "AES-128")
        return keys.withLock { keys in
            let id = KeyID(rawValue: UInt32(keys.material.count))
            keys.material.append(key)
            if asid <= .maximum { keys.byASID[Int(asid.rawValue)] = id }
            return id
        }
    }

    /// Uninstalls an ASID's key. Frames stored under it stay ciphertext to everybody.
    public func removeKey(of asid: ASID) {
        guard asid <= .maximum else { return }
        keys.withLock { $0.byASID[Int(asid.rawValue)] = nil }
    }

    /// The key of an ASID, or nil if none is installed.
    public func key(for asid: ASID) -> KeyID? {
        guard asid <= .maximum else { return nil }
        return keys.withLock { $0.byASID[Int(asid.rawValue)] }
    }

    /// Encrypts one frame's 4096 bytes in place, as the frame would stand in DRAM.
    public func encrypt(_ page: inout [UInt8], at pfn: PFN, key: KeyID) {
        transform(&page, at: pfn, key: key) { block, key in try AES.permute(&block, key: key) }
    }

    /// Decrypts one frame's 4096 bytes in place.
    public func decrypt(_ page: inout [UInt8], at pfn: PFN, key: KeyID) {
        transform(&page, at: pfn, key: key) { block, key in try AES.inversePermute(&block, key: key) }
    }

    private func transform(
        _ page: inout [UInt8], at pfn: PFN, key: KeyID, _ permute: (inout [UInt8], SymmetricKey) throws -> Void
    ) {
        precondition(page.count == 4096, "one frame")
        guard key != .plain else { return }
        let material = SymmetricKey(data: keys.withLock { $0.material[Int(key.rawValue)] })
        let tweaking = SymmetricKey(data: tweakKey)
        var block = [UInt8](repeating: 0, count: 16)
        var tweak = block
        for start in stride(from: 0, to: 4096, by: 16) {
            let address = pfn.address.rawValue + UInt64(start)
            for i in 0..<16 { tweak[i] = i < 8 ? UInt8(truncatingIfNeeded: address >> UInt64(i * 8)) : 0 }
            do {
                try AES.permute(&tweak, key: tweaking)
                for i in 0..<16 { block[i] = page[start + i] ^ tweak[i] }
                try permute(&block, material)
            } catch {
                preconditionFailure("AES refused a 16-byte block")
            }
            for i in 0..<16 { page[start + i] = block[i] ^ tweak[i] }
        }
    }
}
