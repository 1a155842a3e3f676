// The mailbox of the AMD Secure Processor: three registers that x86 writes and firmware answers in.

public import SNPArchitecture
public import Scheduling
internal import Synchronization

/// What answers the mailbox: the firmware of the AMD Secure Processor.
public protocol MailboxFirmware: AnyObject, Sendable {
    /// Runs one command to its end and returns its status.
    func execute(_ command: FirmwareCommand, buffer: SPA) -> FirmwareStatus
}

/// The command/response register and the two address registers.
///
/// - Spec: FWABI 56860, "Mailbox register mode"; C2PMSG_32, C2PMSG_56, C2PMSG_57
/// - Deviates: no ring-buffer mode; the extended error word is always zero. A command written before the last one has
///   completed is lost
public final class Mailbox: Sendable {
    private struct Registers {
        var commandResponse: UInt32 = 1 << 31
        var addressLow: UInt32 = 0
        var addressHigh: UInt32 = 0
        var firmware: (any MailboxFirmware)?
        /// An answer that has not come yet, and when it comes.
        var late: (response: UInt32, at: HostInstant)?
        /// Nothing is answered any more.
        var isSilent = false
    }
    private let registers = Mutex(Registers())
    /// Failures on request.
    public let injection = MailboxInjection()
    /// Traces' way to hear of commands.
    public let watch = MailboxWatch()

    /// Makes a mailbox that nothing answers.
    public init() {}

    /// Connects the firmware.
    public func connect(_ firmware: any MailboxFirmware) { registers.withLock { $0.firmware = firmware } }

    func checkpoint() -> Checkpoint {
        let saved = registers.withLock { $0 }
        var checkpoint = Checkpoint()
        checkpoint.add { [self] in registers.withLock { $0 = saved } }
        return checkpoint
    }

    /// Writes the address registers, C2PMSG_56 and C2PMSG_57.
    public func writeAddress(_ spa: SPA) {
        registers.withLock {
            $0.addressLow = UInt32(truncatingIfNeeded: spa.rawValue)
            $0.addressHigh = UInt32(truncatingIfNeeded: spa.rawValue >> 32)
        }
    }

    /// Writes the command register, C2PMSG_32: the identifier in bits 23:16. The firmware runs the command; afterwards
    /// bit 31 is set and bits 15:0 hold the status. With no firmware connected the register never completes.
    ///
    /// Interrupts are left out: `waitForResponse` stands for waiting for one.
    public func writeCommand(_ value: UInt32) {
        schedulePoint(.mailbox)
        let (firmware, buffer) = registers.withLock { registers -> ((any MailboxFirmware)?, SPA) in
            guard !registers.isSilent, registers.late == nil else { return (nil, SPA(0)) }
            registers.commandResponse = value & ~(1 << 31)
            return (
                registers.firmware,
                SPA(UInt64(registers.addressHigh) << 32 | UInt64(registers.addressLow))
            )
        }
        guard let firmware else { return }
        let command = FirmwareCommand(rawValue: UInt16(truncatingIfNeeded: value >> 16 & 0xff))
        watch.tell(.begins(command, buffer: buffer))
        switch injection.fault(command) {
        case nil:
            let status = firmware.execute(command, buffer: buffer)
            watch.tell(.ends(command, status))
            complete(status)
        case .status(let status):
            watch.tell(.ends(command, status))
            complete(status)
        case .late(let delay):
            let status = firmware.execute(command, buffer: buffer)
            watch.tell(.ends(command, status))
            let moment = HostClock.now.advanced(byNanoseconds: delay)
            registers.withLock { $0.late = (Self.response(status), moment) }
        case .silence:
            watch.tell(.silence(command))
            registers.withLock { $0.isSilent = true }
        }
        schedulePoint(.mailbox)
    }

    private static func response(_ status: FirmwareStatus) -> UInt32 { 1 << 31 | UInt32(status.rawValue) }

    private func complete(_ status: FirmwareStatus) {
        registers.withLock {
            $0.addressLow = 0
            $0.addressHigh = 0
            $0.commandResponse = Self.response(status)
        }
    }

    /// Reads the command/response register.
    public func readResponse() -> UInt32 {
        registers.withLock { registers in
            if let late = registers.late, late.at <= HostClock.now {
                registers.late = nil
                registers.addressLow = 0
                registers.addressHigh = 0
                registers.commandResponse = late.response
            }
            return registers.commandResponse
        }
    }

    /// Waits until the command is complete or the moment has come; returns the command/response register.
    public func waitForResponse(until deadline: HostInstant) -> UInt32 {
        let answer = registers.withLock { $0.late?.at ?? deadline }
        HostClock.sleep(until: min(answer, deadline))
        return readResponse()
    }

    /// Resets the processor's side of the mailbox: what was not answered never will be, and the next command is.
    ///
    /// - Deviates: hardware does not offer it short of a reboot; firmware keeps its state here
    public func reset() {
        registers.withLock {
            $0.late = nil
            $0.isSilent = false
            $0.commandResponse = 1 << 31
        }
    }
}
