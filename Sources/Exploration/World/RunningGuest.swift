// A launched guest whose virtual CPUs run scripts, and the VMM's threads that serve them.

public import Hypervisor
internal import Machine
public import SNPArchitecture
public import ScriptedGuest

/// A guest with private pages at the start of its slot, and then a page shared with the host for each virtual CPU: its GHCB.
///
/// The private pages are validated, and every GHCB is registered, before the world is sealed.
public final class RunningGuest {
    /// The guest's memory.
    public let guest: Guest
    /// The virtual CPUs.
    public let cpus: [VirtualCPU]
    /// What the virtual CPUs execute; new in each run.
    public private(set) var processors: [ScriptedProcessor] = []
    /// How many pages are private.
    public let privatePageCount: UInt64
    private unowned let world: World

    /// Launches a guest. Every virtual CPU is runnable.
    ///
    /// - Throws: what the host refuses
    init(_ world: World, cpuCount: UInt64, privatePages: UInt64, policy: any ConversionPolicy) throws {
        self.world = world
        privatePageCount = privatePages
        guest = try world.addGuest(pages: privatePages + cpuCount, policy: policy)
        let vm = guest.vm
        try vm.enableHypercallExits()
        var cpus: [VirtualCPU] = []
        for id in 0..<UInt32(cpuCount) { cpus.append(try vm.createVirtualCPU(id: id, initialState: .scripted())) }
        self.cpus = cpus
        try guest.launch()
        try guest.allocate(0..<privatePages)
        try guest.convert(0..<privatePages, to: .private)
        for index in cpus.indices {
            var script = GuestScript()
            if index == 0 { try script.pvalidate(gpa(0), count: UInt32(privatePages)) }
            let registration = GHCBMSRRequest.registerGHCB(ghcb(index).frame)
            try script.msr(registration.rawValue, expecting: nil)
            try script.touch(ghcb(index), .shared, .write)
            cpus[index].setState(.runnable)
            try prepare(index, script)
        }
    }

    /// The guest address of a page.
    public func gpa(_ page: UInt64) -> GPA { guest.gfn(page).address }

    /// The guest address of a virtual CPU's GHCB.
    public func ghcb(_ index: Int) -> GPA { gpa(privatePageCount + UInt64(index)) }

    /// A script that uses the GHCB of a virtual CPU.
    ///
    /// - Throws: what is wrong with a step
    public func script(_ index: Int, _ body: (inout GuestScript) throws -> Void) throws -> GuestScript {
        var script = GuestScript()
        try script.useGHCB(ghcb(index))
        try body(&script)
        return script
    }

    /// Runs a script to its end while the world is built.
    ///
    /// - Throws: `.ioError` if it does not come to its end as expected
    public func prepare(_ index: Int, _ script: GuestScript) throws {
        let processor = ScriptedProcessor(script)
        cpus[index].attach(processor)
        while case .mapRange(let call) = cpus[index].run() {
            try guest.vm.setMemoryAttributes(call.gpa, byteCount: call.pageCount << 12, to: call.attribute)
        }
        guard processor.isFinished, processor.transcript.failures.isEmpty else { throw Errno.ioError }
    }

    /// Gives each virtual CPU a script, which each run starts anew.
    public func run(_ scripts: GuestScript...) {
        world.atStart { [self] in
            processors = scripts.map { ScriptedProcessor($0) }
            for (cpu, processor) in zip(cpus, processors) { cpu.attach(processor) }
        }
    }

    /// Adds the thread of a virtual CPU: runs it until it halts. Exits that `answer` does not know are as the defaults say:
    /// what the guest asks to convert becomes so.
    public func thread(_ index: Int, answer: ((UserExit) throws -> Answer)? = nil) {
        world.thread("vCPU \(index)") { [self] in
            while true {
                let exit = cpus[index].run()
                switch try answer?(exit) ?? .usual {
                case .stop: return
                case .goOn: continue
                case .usual: if try !serve(exit, of: index) { return }
                }
            }
        }
    }

    /// What a scenario does about an exit.
    public enum Answer: Hashable, Sendable {
        /// What every VMM does.
        case usual
        /// Nothing more: the virtual CPU goes on.
        case goOn
        /// The virtual CPU runs no more.
        case stop
    }

    /// Serves an exit; false at the end.
    private func serve(_ exit: UserExit, of index: Int) throws -> Bool {
        switch exit {
        case .mapRange(let call):
            try guest.vm.setMemoryAttributes(call.gpa, byteCount: call.pageCount << 12, to: call.attribute)
            return true
        case .interrupted: return true
        case .halted: return false
        default:
            world.fail("virtual CPU \(index) exits with \(exit)")
            return false
        }
    }

    /// Reports a script that did not come to its end, or not as it says.
    public func expectFinished(_ index: Int) {
        let processor = processors[index]
        if let failure = processor.transcript.failures.first {
            world.fail("virtual CPU \(index), \(processor.script.text(of: failure))")
        }
        let total = processor.script.steps.count
        world.expect(
            processor.isFinished, "virtual CPU \(index) stops for good before step \(processor.position) of \(total)")
    }
}

extension World {
    /// Adds a launched guest that runs scripts.
    ///
    /// - Throws: what the host refuses
    public func addRunningGuest(
        cpus: UInt64, privatePages: UInt64 = 4, policy: any ConversionPolicy = EagerPolicy()
    ) throws -> RunningGuest {
        try RunningGuest(self, cpuCount: cpus, privatePages: privatePages, policy: policy)
    }
}
