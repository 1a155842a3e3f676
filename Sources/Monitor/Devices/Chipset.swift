// The devices of a machine and the wires between them: who interrupts whom, and when something happens next.

/// The devices that every machine has, wired as in a PC without an I/O APIC.
///
/// - Spec: APM2 chapter 16; the interrupt requests of a PC/AT
/// - Deviates: no I/O APIC, and nothing at LINT1; the controllers' output goes to the first processor only, as KVM has it
public final class Chipset {
    /// The machine's time.
    public let clock: VirtualClock
    /// The ports.
    public let bus = PortBus()
    /// The local APICs, by their identifiers.
    public let localControllers: [LocalAPIC]
    /// The first serial line.
    public let serial = SerialPort()
    /// Requests 0 to 15.
    public let controllers = InterruptControllerPair()
    private let timer: IntervalTimer
    private let realTimeClock: RealTimeClock

    /// An NMI for a processor.
    public var onNonMaskable: ((Int) -> Void)?
    /// INIT for a processor.
    public var onInit: ((Int) -> Void)?
    /// SIPI for a processor.
    public var onStartUp: ((Int) -> Void)?

    private enum Request {
        static let timer = 0
        static let serial = 4
        static let realTimeClock = 8
    }

    /// Makes the devices of a machine with so many processors.
    public init(processorCount: Int, clock: VirtualClock = VirtualClock()) {
        self.clock = clock
        localControllers = (0..<processorCount).map {
            LocalAPIC(
                identifier: UInt32($0), clock: clock, lint0: $0 == 0 ? LocalAPIC.externalLINT0 : 0x1_0000)
        }
        timer = IntervalTimer(clock: clock)
        realTimeClock = RealTimeClock(clock: clock)
        for device in [serial, timer, controllers, realTimeClock] as [any PortDevice] { bus.connect(device) }
        timer.interrupt.onChange = { [controllers] in controllers.drive(Request.timer, $0) }
        serial.interrupt.onChange = { [controllers] in controllers.drive(Request.serial, $0) }
        realTimeClock.interrupt.onChange = { [controllers] in controllers.drive(Request.realTimeClock, $0) }
        if let first = localControllers.first {
            first.external = controllers
            controllers.interrupt.onChange = { [unowned first] in first.driveLINT0($0) }
        }
        for (index, local) in localControllers.enumerated() {
            local.onCommand = { [unowned self, unowned local] in send($0, from: local) }
            local.onNonMaskable = { [unowned self] in onNonMaskable?(index) }
        }
    }

    // MARK: Time

    /// Makes everything that is due.
    public func poll() {
        timer.poll()
        realTimeClock.poll()
        for local in localControllers { local.poll() }
    }

    /// When something next happens that a processor could notice, in the clock's ticks; nil for never.
    public var nextDeadline: UInt64? {
        var deadlines = localControllers.compactMap(\.nextDeadline)
        if !controllers.isMasked(Request.timer), let next = timer.nextDeadline { deadlines.append(next) }
        if !controllers.isMasked(Request.realTimeClock), let next = realTimeClock.nextDeadline {
            deadlines.append(next)
        }
        return deadlines.min()
    }

    // MARK: Accesses

    /// A read of a device's memory by a processor; nil where there is no device.
    public func readMemory(_ address: UInt64, byteCount: Int, by processor: Int) -> [UInt8]? {
        guard localControllers.indices.contains(processor) else { return nil }
        let local = localControllers[processor]
        return local.covers(address) ? local.readMemory(address, byteCount: byteCount) : nil
    }

    /// A write to a device's memory by a processor; false where there is no device.
    public func writeMemory(_ address: UInt64, _ bytes: [UInt8], by processor: Int) -> Bool {
        guard localControllers.indices.contains(processor) else { return false }
        let local = localControllers[processor]
        guard local.covers(address) else { return false }
        local.writeMemory(address, bytes)
        return true
    }

    // MARK: Interrupts between processors

    /// - Deviates: lowest priority goes to the first processor that is addressed
    private func send(_ command: InterruptCommand, from sender: LocalAPIC) {
        let targets = localControllers.indices.filter {
            localControllers[$0].isAddressed(by: command, from: sender, sendsAsX2APIC: sender.isX2APIC)
        }
        switch command.deliveryMode {
        case 0: for target in targets { localControllers[target].accept(command.vector) }
        case 1: if let target = targets.first { localControllers[target].accept(command.vector) }
        case 4: for target in targets { onNonMaskable?(target) }
        case 5 where command.isAsserted:
            for target in targets {
                localControllers[target].reset()
                onInit?(target)
            }
        case 6: for target in targets { onStartUp?(target) }
        default: break
        }
    }
}
