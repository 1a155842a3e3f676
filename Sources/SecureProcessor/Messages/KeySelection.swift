// KEY_SEL of a report or key request: which of the platform's keys a guest wants.

internal import SNPArchitecture

/// KEY_SEL.
enum KeySelection: UInt32 {
    /// The VLEK if there is one, else the VCEK.
    case vlekOrVCEK = 0
    /// The VCEK.
    case vcek = 1
    /// The VLEK.
    case vlek = 2
}

extension Firmware {
    /// Checks a selection against what is loaded and what the guest's owner allows.
    ///
    /// - Throws: INVALID_KEY: 3, no VLEK, or a VCEK that LAUNCH_FINISH disabled
    func keySelection(_ bits: UInt32, for guest: GuestRecord) throws(FirmwareStatus) -> KeySelection {
        guard let selection = KeySelection(rawValue: bits) else { throw .invalidKey }
        switch selection {
        case .vlek: guard vlek != nil else { throw .invalidKey }
        case .vcek: guard !guest.vcekIsDisabled else { throw .invalidKey }
        case .vlekOrVCEK: guard !guest.vcekIsDisabled || vlek != nil else { throw .invalidKey }
        }
        return selection
    }

    /// The key that signs a report, or nil for none: MASK_CHIP_KEY hides the VCEK, not the VLEK.
    mutating func signer(_ selection: KeySelection) -> EndorsementKey? {
        if selection != .vcek, let vlek { return vlek.key }
        return selection == .vlek || maskChipKey ? nil : vcek()
    }
}
