// What every guest does first: agrees on the protocol, and gets a GHCB.

import Hardware

/// What host and guest have agreed on.
struct Session {
    let ghcb: GHCB
    let maximumVersion: UInt64
    let features: UInt64

    static let snpFeature: UInt64 = 1
    static let processorCreationFeature: UInt64 = 2

    /// Negotiates by the MSR protocol and makes the image's page this processor's GHCB.
    static func open() -> Session {
        guard let information = MSRProtocol.information(), information.minimum <= 2, information.maximum >= 2 else {
            MSRProtocol.terminate(.protocolRange)
        }
        guard information.cBit == boot.cBitPosition else { MSRProtocol.terminate(.general) }
        guard sev_status() & 7 == 7, let features = MSRProtocol.features(), features & snpFeature != 0 else {
            MSRProtocol.terminate(.noSNP)
        }
        let ghcb = GHCB.establish(at: boot_ghcb())
        return Session(ghcb: ghcb, maximumVersion: information.maximum, features: features)
    }
}
