// Which local APICs an interrupt command is for.

extension LocalAPIC {
    /// Whether a command from a sender is for this APIC.
    ///
    /// - Parameter sendsAsX2APIC: the sender's mode, which says how wide a destination is
    /// - Spec: APM2 16.6 (interrupt destinations), 16.14 (x2APIC)
    func isAddressed(by command: InterruptCommand, from sender: LocalAPIC, sendsAsX2APIC: Bool) -> Bool {
        switch command.shorthand {
        case 1: return self === sender
        case 2: return true
        case 3: return self !== sender
        default: break
        }
        if command.destination == (sendsAsX2APIC ? .max : 0xff) { return true }
        guard command.isLogical else { return command.destination == identifier }
        guard !isX2APIC else {
            let own: UInt32 = (identifier >> 4) << 16 | 1 << (identifier & 0xf)
            return own >> 16 == command.destination >> 16 && own & command.destination & 0xffff != 0
        }
        let own = logicalDestination >> 24
        // Flat, or clusters of four.
        if destinationFormat >> 28 == 0xf { return own & command.destination != 0 }
        return own >> 4 == command.destination >> 4 & 0xf && own & command.destination & 0xf != 0
    }
}
