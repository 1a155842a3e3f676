// How many page-state steps a scripted guest takes in a second of processor time, and what a page state change costs by its
// number of entries. One step takes one page through page state change, RMPUPDATE and PVALIDATE.
//
//   swift run -c release scripted-benchmark [pages [entries [merged|apart]]]
//
// Without entries it measures requests of 1, 8, 64 and 253 entries, merged by the host and not.

import Glibc
import Hypervisor
import Machine
import Rampart
import SNPArchitecture
import ScriptedGuest

/// Processor time of this process in user mode, in seconds.
func userTime() -> Double {
    var usage = rusage()
    getrusage(Int32(truncatingIfNeeded: RUSAGE_SELF.rawValue), &usage)
    return Double(usage.ru_utime.tv_sec) + Double(usage.ru_utime.tv_usec) / 1e6
}

/// One measured shape: so many entries in each request, in a row or each with a gap behind it.
struct Shape {
    var entryCount: UInt64
    var isMerged: Bool

    static let base = GPA(0x1000_0000)
    static let ghcb = GPA(0xfff_0000)

    /// Private and validated, and back, as often as asked.
    func script(rounds: Int) throws -> GuestScript {
        let stride: UInt64 = isMerged ? 1 : 2
        let frames = (0..<entryCount).map { Self.base.frame + $0 * stride }
        var script = GuestScript()
        try script.msr(Self.ghcb.rawValue | 0x012, expecting: Self.ghcb.rawValue | 0x013)
        try script.useGHCB(Self.ghcb)
        for _ in 0..<rounds {
            try script.changePageStates(frames.map { PageStateChangeEntry($0, .makePrivate) })
            try validate(.validate, &script)
            try validate(.rescind, &script)
            try script.changePageStates(frames.map { PageStateChangeEntry($0, .makeShared) })
        }
        return script
    }

    private func validate(_ validation: Validation, _ script: inout GuestScript) throws {
        if isMerged {
            try script.pvalidate(Self.base, count: UInt32(entryCount), .size4K, validation)
        } else {
            for entry in 0..<entryCount { try script.pvalidate(Self.base + entry * 8192, .size4K, validation) }
        }
    }

    /// Runs the script, and gives the seconds of user time.
    func run(rounds: Int) throws -> Double {
        let host = try EmulatedHost(MachineConfiguration(dramByteCount: 64 << 20))
        let machine = try VirtualMachine(host: host.host)
        try machine.sevInit2()
        try machine.enableHypercallExits()
        let file = try machine.createGuestMemory(byteCount: 4 << 20, folioOrder: 0)
        let user = try UserMemory(host: host.host, byteCount: 4 << 20)
        try machine.setMemoryRegion(
            MemoryRegion(slot: 0, gpa: Self.base, byteCount: 4 << 20, userMemory: user, guestMemory: file))
        let shared = try UserMemory(host: host.host, byteCount: 4096)
        try machine.setMemoryRegion(
            MemoryRegion(slot: 1, gpa: Self.ghcb, byteCount: 4096, userMemory: shared, guestMemory: nil))
        try machine.allocate(file, offset: 0, byteCount: 4 << 20)
        let processor = ScriptedProcessor(try script(rounds: rounds), keepsResults: false)
        let cpu = try machine.createVirtualCPU(id: 0, initialState: .scripted(), processor: processor)
        try machine.snpLaunchStart(policy: .standard)
        try machine.snpLaunchFinish()
        let start = userTime()
        loop: while true {
            switch cpu.run() {
            case .mapRange(let call):
                try machine.setMemoryAttributes(call.gpa, byteCount: call.pageCount << 12, to: call.attribute)
            case .halted: break loop
            case let exit: fatalError("\(exit)")
            }
        }
        let taken = userTime() - start
        guard processor.isFinished, processor.transcript.failures.isEmpty else {
            fatalError("\(processor.transcript.failures)")
        }
        machine.destroy()
        return taken
    }
}

let arguments = CommandLine.arguments.dropFirst()
let pages = arguments.first.flatMap { UInt64($0) } ?? 400_000
let entryCounts: [UInt64] = arguments.dropFirst().first.flatMap { UInt64($0) }.map { [$0] } ?? [1, 8, 64, 253]
let shapes = arguments.dropFirst(2).first.map { [$0 == "merged"] } ?? [true, false]
print("entries  merged  page steps     ns a step   M steps/s   us a request")
for isMerged in shapes {
    for entryCount in entryCounts {
        let shape = Shape(entryCount: entryCount, isMerged: isMerged)
        let rounds = max(1, Int(pages / entryCount / 2))
        let steps = Double(rounds) * Double(entryCount) * 2
        let seconds = try (0..<3).map { _ in try shape.run(rounds: rounds) }.min() ?? 0
        func padded(_ text: String, _ width: Int) -> String {
            String(repeating: " ", count: max(0, width - text.utf8.count)) + text
        }
        func number(_ value: Double, _ digits: Double) -> String { "\((value * digits).rounded() / digits)" }
        print(
            padded("\(entryCount)", 7), padded(isMerged ? "yes" : "no", 7), padded("\(Int(steps))", 11),
            padded(number(seconds / steps * 1e9, 1), 13), padded(number(steps / seconds / 1e6, 1000), 11),
            padded(number(seconds / Double(rounds) / 2 * 1e6, 100), 14))
    }
}
