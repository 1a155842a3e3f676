// What makes a chip this chip: one secret, from which its identifier and its versioned keys follow.

internal import Crypto
internal import Machine
internal import SNPArchitecture

/// The secret of a chip, derived from a seed so that runs repeat. Chips of two products are two chips, also if their seeds are
/// equal: a report of version 2 says its product by its chip alone.
///
/// - Deviates: the identifier is a hash of the seed, not a point of secp256k1
struct ChipSecret: Sendable {
    private let root: [UInt8]
    /// CHIP_ID, 64 bytes; on Turin 8 bytes and zeros.
    let identifier: [UInt8]

    init(seed: UInt64, product: Product) {
        var bytes = [UInt8](repeating: 0, count: 8)
        bytes.store(seed, at: 0)
        bytes += Array(product.rawValue.utf8)
        root = Array(SHA384.hash(data: Array("rampart chip secret ".utf8) + bytes))
        let name = Array(SHA512.hash(data: Array("rampart chip identifier ".utf8) + bytes))
        identifier = product == .turin ? Array(name[..<8]) + [UInt8](repeating: 0, count: 56) : name
    }

    /// The chain's eight values for a TCB, one for each byte of the version in order.
    ///
    /// A value is its base hashed 255 - SVN times, so that a lower version can be made from a higher one and not the other
    /// way round; the next base is the hash of eight zero bytes and the value before.
    ///
    /// - Spec: FWABI 56860, "VCEK"
    func sticks(_ tcb: TCBVersion) -> [[UInt8]] {
        var base = root
        return (0..<8 as Range<UInt64>).map { index in
            var stick = base
            for _ in 0..<(255 - tcb.rawValue >> (8 * index) & 0xff) { stick = Array(SHA384.hash(data: stick)) }
            base = Array(SHA384.hash(data: [UInt8](repeating: 0, count: 8) + stick))
            return stick
        }
    }

    /// The chip's key at a TCB: the last value of the chain.
    func vcek(_ tcb: TCBVersion) -> EndorsementKey { EndorsementKey(.vcek, hash: sticks(tcb)[7]) }
}

/// The VLEK that a host has loaded.
struct LoadedVLEK: Sendable {
    /// Eight values of 48 bytes.
    let sticks: [[UInt8]]
    let key: EndorsementKey

    init(sticks: [[UInt8]]) {
        self.sticks = sticks
        key = EndorsementKey(.vlek, hash: sticks[7])
    }
}

extension Firmware {
    /// The chip's key at the reported TCB. Made once for each TCB that is reported.
    mutating func vcek() -> EndorsementKey {
        let tcb = reportedTCB
        if let known = knownVCEK, known.tcb == tcb { return known.key }
        let key = chip.vcek(tcb)
        knownVCEK = (tcb, key)
        return key
    }
}
