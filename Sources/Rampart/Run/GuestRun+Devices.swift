// A guest's devices and its virtual CPUs: the wires between them, and time.

internal import Hypervisor
internal import Monitor
internal import Processor
internal import SNPArchitecture

extension Chipset {
    /// Connects each virtual CPU with its local APIC.
    func connect(_ virtualCPUs: [VirtualCPU]) {
        for (cpu, local) in zip(virtualCPUs, localControllers) {
            cpu.attach(interrupts: local)
            local.interrupt.onChange = { [unowned cpu] in if $0 { cpu.notice() } }
            // A turn may be too long now.
            local.onTimerChange = { [unowned cpu] in cpu.interruptRun() }
        }
        onNonMaskable = { virtualCPUs[$0].queueNonMaskable() }
        onInit = { virtualCPUs[$0].deliverInit() }
        onStartUp = { virtualCPUs[$0].deliverSIPI() }
    }

    /// Answers an access to ports or to a device's memory; false for one that concerns no device.
    func answer(_ exit: UserExit, of cpu: VirtualCPU) -> Bool {
        switch exit {
        case .io(let access):
            poll()
            if access.isWrite {
                bus.writeString(access.port, byteCount: Int(access.size), access.data)
            } else {
                let bytes = bus.readString(access.port, byteCount: Int(access.size), count: Int(access.count))
                cpu.reply(.data(bytes))
            }
            return true
        case .mmio(let access):
            poll()
            if access.isWrite { return writeMemory(access.gpa.rawValue, access.data, by: Int(cpu.id)) }
            guard let bytes = readMemory(access.gpa.rawValue, byteCount: access.byteCount, by: Int(cpu.id)) else {
                return false
            }
            cpu.reply(.data(bytes))
            return true
        default: return false
        }
    }

    /// Lets time pass without instructions, but not past the next thing that happens.
    func pass(_ turn: UInt64) {
        let end = clock.ticks &+ turn
        clock.advance(to: nextDeadline.map { min($0, end) } ?? end)
    }

    /// Runs a virtual CPU until its turn is over, something is due or it asks for something. Time is its instructions: it
    /// stands still for the others meanwhile, as if all shared one processor.
    ///
    /// - Returns: the exit, and how many instructions ran
    func run(_ cpu: VirtualCPU, _ processor: X86Processor, turn: UInt64) -> (exit: UserExit, done: UInt64) {
        let now = clock.ticks
        let before = processor.counts.instructions
        let budget = nextDeadline.map { max(1, min(turn, $0 > now ? $0 - now : 0)) } ?? turn
        cpu.setTimeStampOffset(now &- before)
        clock.progress = { processor.counts.instructions - before }
        let exit = cpu.run(budget: budget)
        clock.progress = nil
        let done = processor.counts.instructions - before
        clock.advance(by: done)
        return (exit, done)
    }
}
