// The content work of SNP_LAUNCH_UPDATE for one 4 KiB page: what is measured, and what the guest finds in the page.

internal import Crypto
internal import Machine
internal import SNPArchitecture
internal import Scheduling

extension Firmware {
    /// Brings the bytes in a frame to what the host sees there: they may be another key's ciphertext.
    func bringToPlain(_ pfn: PFN) {
        guard memory.key(of: pfn) != .plain else { return }
        let seen = memory.bytes(pfn.address, count: 4096)
        memory.store(seen, at: pfn.address)
    }

    /// The content digest of a page, straight from DRAM; zeros for a type whose content is not measured.
    func contents(of pfn: PFN, type: PageType) -> LaunchDigest {
        var hash = SHA384()
        switch type {
        case .normal:
            unsafe memory.withFrameBytes(pfn, writing: 0..<0) { bytes in
                unsafe hash.update(bufferPointer: UnsafeRawBufferPointer(bytes))
            }
        case .vmsa:
            unsafe memory.withFrameBytes(pfn, writing: 0..<0) { bytes in
                let zeros: InlineArray<2, UInt64> = [0, 0]
                unsafe hash.update(bufferPointer: UnsafeRawBufferPointer(rebasing: bytes[..<VMSAFixUp.tscScale]))
                unsafe withUnsafeBytes(of: zeros) { unsafe hash.update(bufferPointer: $0) }
                unsafe hash.update(
                    bufferPointer: UnsafeRawBufferPointer(rebasing: bytes[(VMSAFixUp.tscOffset + 8)...]))
            }
        default: return LaunchDigest()
        }
        return LaunchDigest(hash.finalize())
    }

    /// Leaves in a frame what the guest is to find there, stored under the guest's key.
    mutating func install(_ pfn: PFN, type: PageType, guest: Dictionary<PFN, GuestRecord>.Index, key: KeyID) {
        switch type {
        case .zero: memory.zero(pfn, key: key)
        case .secrets: memory.store(secretsPage(guests.values[guest]).encoded, at: pfn.address, key: key)
        case .vmsa:
            let nonce = entropy.next()
            let frequency = guests.values[guest].desiredTSCKilohertz
            unsafe memory.withFrameBytes(pfn) { bytes in
                unsafe VMSAFixUp.apply(to: bytes, desiredTSCKilohertz: frequency, nonce: nonce)
            }
            memory.setKey(key, of: pfn)
        default: memory.setKey(key, of: pfn)
        }
    }

    /// The secrets page of a guest.
    func secretsPage(_ guest: GuestRecord) -> SecretsPage {
        SecretsPage(
            initialMigrationImage: guest.initialMigrationImage, fms: machine.product.signature, gosvw: guest.gosvw,
            vmpck: guest.vmpck, vmsaTweakBitmap: VMSAFixUp.tweakBitmap, tscFactor: TSC.factor)
    }
}

/// The time-stamp counter that firmware promises to a guest.
///
/// - Spec: FWABI 56860, "Secure TSC"
enum TSC {
    /// By how much the mean frequency may be off, in 1/100000.
    static let factor: UInt32 = 200
    /// The platform's frequency in kHz, after that tolerance.
    static let platformKilohertz: UInt64 = 99_800

    /// The factor from the platform's to the wanted frequency: 8.32 fixed point, rounded up.
    static func scale(desiredKilohertz: UInt32) -> UInt64 {
        (UInt64(desiredKilohertz) << 32 + (platformKilohertz - 1)) / platformKilohertz
    }
}
