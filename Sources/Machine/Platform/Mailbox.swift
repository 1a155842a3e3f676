// The mailbox of the AMD Secure Processor: three registers that x86 writes and firmware answers in.

public import SNPArchitecture
internal import Scheduling
internal import Synchronization

/// What answers the mailbox: the firmware of the AMD Secure Processor.
public protocol MailboxFirmware: AnyObject, Sendable {
    /// Runs one command to its end and returns its status.
    func execute(_ command: FirmwareCommand, buffer: SPA) -> FirmwareStatus
}

/// The command/response register and the two address registers.
///
/// - Spec: FWABI 56860, "Mailbox register mode"; C2PMSG_32, C2PMSG_56, C2PMSG_57
/// - Deviates: no ring-buffer mode; the extended error word is always zero
public final class Mailbox: Sendable {
    private struct Registers {
        var commandResponse: UInt32 = 1 << 31
        var addressLow: UInt32 = 0
        var addressHigh: UInt32 = 0
        var firmware: (any MailboxFirmware)?
    }
    private let registers = Mutex(Registers())

    /// Makes a mailbox that nothing answers.
    public init() {}

    /// Connects the firmware.
    public func connect(_ firmware: any MailboxFirmware) { registers.withLock { $0.firmware = firmware } }

    /// Writes the address registers, C2PMSG_56 and C2PMSG_57.
    public func writeAddress(_ spa: SPA) {
        registers.withLock {
            $0.addressLow = UInt32(truncatingIfNeeded: spa.rawValue)
            $0.addressHigh = UInt32(truncatingIfNeeded: spa.rawValue >> 32)
        }
    }

    /// Writes the command register, C2PMSG_32: the identifier in bits 23:16. The firmware runs the command; afterwards bit 31
    /// is set and bits 15:0 hold the status. With no firmware connected the register never completes.
    public func writeCommand(_ value: UInt32) {
        schedulePoint(.mailbox)
        let (firmware, buffer) = registers.withLock { registers in
            registers.commandResponse = value & ~(1 << 31)
            return (
                registers.firmware,
                SPA(UInt64(registers.addressHigh) << 32 | UInt64(registers.addressLow))
            )
        }
        guard let firmware else { return }
        let command = FirmwareCommand(rawValue: UInt16(truncatingIfNeeded: value >> 16 & 0xff))
        let status = firmware.execute(command, buffer: buffer)
        registers.withLock {
            $0.addressLow = 0
            $0.addressHigh = 0
            $0.commandResponse = 1 << 31 | UInt32(status.rawValue)
        }
        schedulePoint(.mailbox)
    }

    /// Reads the command/response register.
    public func readResponse() -> UInt32 { registers.withLock { $0.commandResponse } }
}
