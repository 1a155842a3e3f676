// A local APIC: registers as memory (xAPIC) and as MSRs (x2APIC), interrupts by priority, a timer on virtual time.
// Sending interrupts to other processors is the machine's work: the command register is handed out.

/// An interrupt command, as the ICR has it.
public struct InterruptCommand: Hashable, Sendable {
    /// The destination: an APIC identifier of 8 bits, or of 32 in x2APIC mode.
    public var destination: UInt32
    /// The low 32 bits: vector, delivery mode, level, shorthand.
    public var low: UInt32

    /// Makes a command.
    public init(destination: UInt32, low: UInt32) {
        self.destination = destination
        self.low = low
    }

    /// Bits 7:0.
    public var vector: UInt8 { UInt8(truncatingIfNeeded: low) }
    /// Bits 10:8: 0 fixed, 4 NMI, 5 INIT, 6 SIPI.
    public var deliveryMode: UInt8 { UInt8(low >> 8 & 7) }
    /// Bit 11.
    public var isLogical: Bool { low >> 11 & 1 != 0 }
    /// Bit 14.
    public var isAsserted: Bool { low >> 14 & 1 != 0 }
    /// Bits 19:18: 0 none, 1 self, 2 all, 3 all but self.
    public var shorthand: UInt8 { UInt8(low >> 18 & 3) }
}

/// 256 bits, one for each vector.
struct VectorSet: Hashable {
    private var words = [UInt32](repeating: 0, count: 8)

    subscript(_ vector: UInt8) -> Bool {
        get { words[Int(vector >> 5)] >> UInt32(vector & 31) & 1 != 0 }
        set {
            let bit: UInt32 = 1 << UInt32(vector & 31)
            if newValue { words[Int(vector >> 5)] |= bit } else { words[Int(vector >> 5)] &= ~bit }
        }
    }

    func word(_ index: Int) -> UInt32 { words[index] }

    /// The highest vector, or nil.
    var highest: UInt8? {
        words.lastIndex { $0 != 0 }.map { UInt8($0 * 32 + 31 - words[$0].leadingZeroBitCount) }
    }
}

/// The local APIC of one virtual CPU.
///
/// - Spec: APM2 chapter 16
/// - Deviates: no extended interrupt registers, no TSC-deadline timer, no SMI; a level at LINT0 does not stay as a remote
///   request; errors are counted for illegal vectors only
public final class LocalAPIC {
    /// The identifier.
    public let identifier: UInt32
    /// The processor's interrupt pin: an interrupt with enough priority waits.
    public let interrupt = OutputLine()
    /// What takes the commands that this APIC sends.
    public var onCommand: ((InterruptCommand) -> Void)?
    /// What hears of the end of a level-triggered interrupt.
    public var onEndOfInterrupt: ((UInt8) -> Void)?

    /// What hears of an NMI for the processor.
    public var onNonMaskable: (() -> Void)?
    /// What hears that `nextDeadline` may be earlier now.
    public var onTimerChange: (() -> Void)?
    /// The controllers whose output is at LINT0.
    public var external: InterruptControllerPair?

    private(set) var requests = VectorSet()
    private(set) var inService = VectorSet()
    private(set) var levelTriggered = VectorSet()
    private(set) var base: UInt64
    private var taskPriority: UInt8 = 0
    private(set) var logicalDestination: UInt32 = 0
    private(set) var destinationFormat: UInt32 = .max
    private var spurious: UInt32 = 0xff
    private var errors: UInt32 = 0
    private var reportedErrors: UInt32 = 0
    private var command = InterruptCommand(destination: 0, low: 0)
    /// Timer, thermal sensor, performance counters, LINT0, LINT1, errors.
    private var localVectors = [UInt32](repeating: 0x1_0000, count: 6)
    private var timer: APICTimer
    let clock: VirtualClock
    private let resetLINT0: UInt32
    private var isLINT0High = false

    /// LINT0 as ExtINT and open: what firmware, or KVM in its place, leaves on the bootstrap processor.
    public static let externalLINT0: UInt32 = 0x700

    /// Makes an APIC that is enabled in its MSR and disabled in its spurious-interrupt register.
    ///
    /// - Parameter lint0: the local vector of LINT0 at reset; masked, unless somebody has set it up for the guest
    public init(identifier: UInt32, clock: VirtualClock, lint0: UInt32 = 0x1_0000) {
        self.identifier = identifier
        self.clock = clock
        resetLINT0 = lint0
        base = 0xfee0_0000 | 1 << 11 | (identifier == 0 ? 1 << 8 : 0)
        timer = APICTimer(clock: clock)
        localVectors[3] = lint0
    }

    /// INIT: every register but the base is as at power-on.
    public func reset() {
        requests = VectorSet()
        inService = VectorSet()
        levelTriggered = VectorSet()
        taskPriority = 0
        logicalDestination = 0
        destinationFormat = .max
        spurious = 0xff
        errors = 0
        reportedErrors = 0
        command = InterruptCommand(destination: 0, low: 0)
        localVectors = [UInt32](repeating: 0x1_0000, count: 6)
        localVectors[3] = resetLINT0
        timer = APICTimer(clock: clock)
        update()
    }

    // MARK: Mode

    /// Whether the registers are MSRs.
    public var isX2APIC: Bool { base & 0xc00 == 0xc00 }
    /// Where the registers are in memory, or nil when they are not.
    public var memoryBase: UInt64? { base & 0xc00 == 0x800 ? base & 0xf_ffff_ffff_f000 : nil }
    private var isSoftwareEnabled: Bool { spurious & 0x100 != 0 }

    /// MSR 0x1b. False for #GP: reserved bits, or a change of mode that does not exist.
    public func setBase(_ value: UInt64) -> Bool {
        guard value & ~0xf_ffff_ffff_fd00 == 0 else { return false }
        let (old, new) = (base >> 10 & 3, value >> 10 & 3)
        // x2APIC without APIC does not exist; x2APIC is left by way of disabling, and entered from xAPIC only.
        guard new != 1, !(old == 3 && new == 2), !(old == 0 && new == 3) else { return false }
        base = value
        update()
        return true
    }

    /// MSR 0x1b.
    public var baseRegister: UInt64 { base }

    // MARK: Interrupts

    /// Takes an interrupt. Vectors under 16 do not exist.
    public func accept(_ vector: UInt8, isLevel: Bool = false) {
        guard base & 0x800 != 0, isSoftwareEnabled else { return }
        guard vector >= 16 else { return report(1 << 6) }
        requests[vector] = true
        levelTriggered[vector] = isLevel
        update()
    }

    /// The vector that the processor would get now, or nil.
    public var pending: UInt8? {
        guard base & 0x800 != 0, isSoftwareEnabled, let vector = requests.highest, vector >> 4 > processorPriority >> 4
        else { return nil }
        return vector
    }

    /// Takes the interrupt into service. Without one it is the spurious vector.
    public func acknowledge() -> UInt8 {
        guard let vector = pending else { return UInt8(truncatingIfNeeded: spurious) }
        requests[vector] = false
        inService[vector] = true
        update()
        return vector
    }

    // MARK: LINT0

    /// The output of the controllers at LINT0 changes.
    public func driveLINT0(_ level: Bool) {
        let rises = level && !isLINT0High
        isLINT0High = level
        let entry = localVectors[3]
        if rises, base & 0x800 != 0, entry & 0x1_0000 == 0 {
            switch entry >> 8 & 7 {
            case 0: accept(UInt8(truncatingIfNeeded: entry))
            case 4: onNonMaskable?()
            default: break
            }
        }
        update()
    }

    /// The controllers have an interrupt for this processor: as ExtINT, or directly while the APIC is disabled.
    private var hasExternal: Bool {
        guard isLINT0High, external != nil else { return false }
        guard base & 0x800 != 0 else { return identifier == 0 }
        return localVectors[3] & 0x1_0000 == 0 && localVectors[3] >> 8 & 7 == 7
    }

    /// An interrupt waits that the task's priority lets pass. ExtINT knows no priority.
    public var hasInterrupt: Bool { hasExternal || pending != nil }

    /// Takes what `hasInterrupt` told of: ExtINT first.
    public func takeInterrupt() -> UInt8 {
        guard hasExternal, let external else { return acknowledge() }
        return external.acknowledge()
    }

    /// PPR: the higher of the task's priority and that of the interrupt in service.
    var processorPriority: UInt8 {
        let service = inService.highest ?? 0
        return taskPriority >> 4 >= service >> 4 ? taskPriority : service & 0xf0
    }

    /// CR8: bits 7:4 of the task priority.
    public var cr8: UInt8 {
        get { taskPriority >> 4 }
        set {
            taskPriority = newValue << 4
            update()
        }
    }

    private func endInterrupt() {
        guard let vector = inService.highest else { return }
        inService[vector] = false
        if levelTriggered[vector] { onEndOfInterrupt?(vector) }
        update()
    }

    private func report(_ error: UInt32) {
        errors |= error
        let entry = localVectors[5]
        if entry & 0x1_0000 == 0, entry & 0xff >= 16 { accept(UInt8(truncatingIfNeeded: entry)) }
    }

    private func update() { interrupt.drive(hasInterrupt) }

    // MARK: Timer

    /// Makes the timer interrupts that are due; several that were missed are one.
    public func poll() {
        guard timer.takeCompletions(isPeriodic: localVectors[0] >> 17 & 1 != 0) else { return }
        if localVectors[0] & 0x1_0000 == 0 { accept(UInt8(truncatingIfNeeded: localVectors[0])) }
    }

    /// When `poll` next has something to do, in the clock's ticks; nil for never.
    public var nextDeadline: UInt64? { localVectors[0] & 0x1_0000 == 0 ? timer.deadline : nil }

    // MARK: Registers

    /// Reads a register of 32 bits by its offset in memory. What does not exist is zero and an error.
    public func read(_ offset: UInt32) -> UInt32 {
        poll()
        switch offset {
        case 0x020: return isX2APIC ? identifier : identifier << 24
        // Six local vectors, integrated.
        case 0x030: return 0x5_0010
        case 0x080: return UInt32(taskPriority)
        case 0x0a0: return UInt32(processorPriority)
        case 0x0b0: return 0
        case 0x0d0: return isX2APIC ? (identifier >> 4) << 16 | 1 << (identifier & 0xf) : logicalDestination
        case 0x0e0: return destinationFormat
        case 0x0f0: return spurious
        case 0x100...0x170 where offset & 0xf == 0: return inService.word(Int(offset - 0x100) >> 4)
        case 0x180...0x1f0 where offset & 0xf == 0: return levelTriggered.word(Int(offset - 0x180) >> 4)
        case 0x200...0x270 where offset & 0xf == 0: return requests.word(Int(offset - 0x200) >> 4)
        case 0x280: return reportedErrors
        case 0x300: return command.low
        case 0x310: return isX2APIC ? command.destination : command.destination << 24
        case 0x320...0x370 where offset & 0xf == 0: return localVectors[Int(offset - 0x320) >> 4]
        case 0x380: return timer.initialCount
        case 0x390: return timer.currentCount
        case 0x3e0: return timer.divideConfiguration
        default:
            report(1 << 7)
            return 0
        }
    }

    /// Writes a register of 32 bits by its offset in memory. What does not exist, or cannot be written, is an error.
    public func write(_ offset: UInt32, _ value: UInt32) {
        poll()
        switch offset {
        case 0x020, 0x030, 0x0a0: break
        case 0x080:
            taskPriority = UInt8(truncatingIfNeeded: value)
            update()
        case 0x0b0: endInterrupt()
        case 0x0d0: logicalDestination = value & 0xff00_0000
        case 0x0e0: destinationFormat = value | 0x0fff_ffff
        case 0x0f0: setSpurious(value)
        case 0x280:
            reportedErrors = errors
            errors = 0
        case 0x300: send(InterruptCommand(destination: command.destination, low: value))
        case 0x310: command.destination = value >> 24
        case 0x320...0x370 where offset & 0xf == 0: setLocalVector(Int(offset - 0x320) >> 4, value)
        case 0x380: timer.start(value)
        case 0x3e0: timer.setDivide(value)
        default: report(1 << 7)
        }
        if offset == 0x320 || offset == 0x380 || offset == 0x3e0 { onTimerChange?() }
    }

    private func setSpurious(_ value: UInt32) {
        spurious = value & 0x3ff
        // Disabling by software masks every local vector.
        if !isSoftwareEnabled { for index in localVectors.indices { localVectors[index] |= 0x1_0000 } }
        update()
    }

    private func setLocalVector(_ index: Int, _ value: UInt32) {
        let writable: UInt32 = index == 0 ? 0x3_00ff : index == 5 ? 0x1_00ff : 0x1_a7ff
        localVectors[index] = value & writable | (isSoftwareEnabled ? 0 : 0x1_0000)
        if index == 3 { update() }
    }

    private func send(_ command: InterruptCommand) {
        // The command is delivered at once: the status bit never shows.
        var command = command
        command.low &= ~0x1000
        self.command = command
        if command.deliveryMode == 0, command.shorthand == 1 { return accept(command.vector) }
        onCommand?(command)
    }

    /// RDMSR of 0x800 to 0x8ff. Nil for #GP.
    public func readMSR(_ index: UInt32) -> UInt64? {
        guard isX2APIC, let offset = Self.offset(ofMSR: index) else { return nil }
        switch offset {
        case 0x300: return UInt64(command.destination) << 32 | UInt64(command.low)
        case 0x0b0, 0x0e0, 0x310, 0x3f0: return nil
        default: return Self.exists(offset) ? UInt64(read(offset)) : nil
        }
    }

    /// WRMSR of 0x800 to 0x8ff. False for #GP.
    public func writeMSR(_ index: UInt32, _ value: UInt64) -> Bool {
        guard isX2APIC, let offset = Self.offset(ofMSR: index) else { return false }
        let low = UInt32(truncatingIfNeeded: value)
        switch offset {
        case 0x300:
            send(InterruptCommand(destination: UInt32(value >> 32), low: low))
            return true
        case _ where value >> 32 != 0: return false
        case 0x0b0, 0x280:
            guard value == 0 else { return false }
        case 0x3f0:
            send(InterruptCommand(destination: identifier, low: low & 0xff | 1 << 18))
            return true
        case 0x080, 0x0f0, 0x320, 0x330, 0x340, 0x350, 0x360, 0x370, 0x380, 0x3e0: break
        default: return false
        }
        write(offset, low)
        return true
    }

    private static func offset(ofMSR index: UInt32) -> UInt32? {
        0x800...0x83f ~= index ? (index - 0x800) << 4 : nil
    }

    private static func exists(_ offset: UInt32) -> Bool {
        switch offset {
        case 0x020, 0x030, 0x080, 0x0a0, 0x0d0, 0x0f0, 0x100...0x280, 0x300, 0x320...0x390, 0x3e0: true
        default: false
        }
    }
}
