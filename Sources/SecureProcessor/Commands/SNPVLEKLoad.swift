// SNP_VLEK_LOAD: the host's owner brings a key of its own to sign reports with, wrapped for this chip at this TCB.

internal import Crypto
internal import Machine
internal import SNPArchitecture

extension Firmware {
    /// SNP_VLEK_LOAD: unwraps a VLEK and keeps it until SNP_SHUTDOWN.
    ///
    /// - Spec: FWABI 56860, SNP_VLEK_LOAD
    /// - Throws: in check order: INVALID_PARAM (length, version, reserved bits), the rules of copy-in, BAD_SVN (wrapped for
    ///   another TCB than the reported one), BAD_MEASUREMENT (tag)
    mutating func snpVLEKLoad(_ buffer: VLEKLoadBuffer) throws(FirmwareStatus) {
        guard buffer.length == VLEKLoadBuffer.byteCount else { throw .invalidParam }
        guard buffer.version == 0, buffer.reservedIsZero else { throw .invalidParam }
        let start = try checkRange(buffer.wrapped, byteCount: WrappedVLEK.byteCount)
        let wrapped = memory.bytes(start, count: WrappedVLEK.byteCount)
        guard wrapped.integer(at: WrappedVLEK.tcb) == reportedTCB.rawValue else { throw .badSVN }
        guard let sticks = WrappedVLEK.open(wrapped, vcekHash: vcek().hash) else { throw .badMeasurement }
        vlek = LoadedVLEK(sticks: sticks)
        vlekOrigin = nil
    }

    /// The values of a VLEK of the emulator's own.
    static func vlekSticks(_ origin: VLEKOrigin, _ product: Product) -> [[UInt8]] {
        ChipSecret(seed: origin.seed ^ 0x564c_454b, product: product).sticks(origin.tcb)
    }
}

/// A VLEK as it travels: 8 values of 48 bytes under AES-256-GCM, by a key that follows from the chip's VCEK.
///
/// - Spec: FWABI 56860, VLEK_WRAPPED
enum WrappedVLEK {
    static let byteCount = 0x1b0
    private static let ciphertext = 0x10..<0x190
    static let tcb = 0x190
    private static let authenticated = 0x190..<0x1a0

    private static func key(_ vcekHash: [UInt8]) -> SymmetricKey {
        SymmetricKey(data: KeyDerivation.derive(vcekHash, label: "vlek-wrapping-key"))
    }

    /// The eight values, or nil if the tag does not fit.
    static func open(_ wrapped: [UInt8], vcekHash: [UInt8]) -> [[UInt8]]? {
        guard let nonce = try? AES.GCM.Nonce(data: wrapped[..<12]),
            let box = try? AES.GCM.SealedBox(nonce: nonce, ciphertext: wrapped[ciphertext], tag: wrapped[0x1a0...]),
            let plain = try? AES.GCM.open(box, using: key(vcekHash), authenticating: wrapped[authenticated])
        else { return nil }
        let bytes = Array(plain)
        return (0..<8).map { bytes.field(at: $0 * 48, byteCount: 48) }
    }

    /// Wraps eight values, as the manufacturer's server does for a chip and a TCB.
    static func seal(_ sticks: [[UInt8]], tcb: TCBVersion, nonce: [UInt8], vcekHash: [UInt8]) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: byteCount)
        bytes.store(nonce, at: 0, limit: 12)
        bytes.store(tcb.rawValue, at: Self.tcb)
        do {
            let box = try AES.GCM.seal(
                sticks.flatMap { $0 }, using: key(vcekHash), nonce: AES.GCM.Nonce(data: nonce),
                authenticating: bytes[authenticated])
            bytes.store(Array(box.ciphertext), at: ciphertext.lowerBound, limit: ciphertext.count)
            bytes.store(Array(box.tag), at: 0x1a0, limit: 16)
        } catch {
            preconditionFailure("AES-GCM refused to seal")
        }
        return bytes
    }
}

extension SecureProcessor {
    /// A VLEK made from a seed and wrapped for this chip at its reported TCB: what the manufacturer's server would send.
    /// Hardware cannot do this itself.
    public func wrappedVLEK(seed: UInt64) -> [UInt8] {
        withFirmware { firmware in
            let sticks = Firmware.vlekSticks(
                VLEKOrigin(seed: seed, tcb: firmware.reportedTCB), firmware.machine.product)
            var nonce = [UInt8](repeating: 0, count: 12)
            nonce.store(seed, at: 0)
            return WrappedVLEK.seal(
                sticks, tcb: firmware.reportedTCB, nonce: nonce, vcekHash: firmware.vcek().hash)
        }
    }
}
