// A launched SNP guest of 32 MiB, all of it private and validated in pages of 4 KiB, with page tables of 4 KiB pages that
// map it one to one, and machine code at 1 MiB. It runs as every guest does: KVM_RUN, VMRUN, and the virtual CPU's turns.

import Foundation
import Hypervisor
import Machine
import Processor
import Rampart
import SNPArchitecture

/// Why a benchmark could not be run.
struct Refusal: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

/// A processor whose registers can be looked at after an exit. VMRUN calls it once for each entry.
final class Probe: GuestProcessor {
    let processor = X86Processor(seed: 1)
    private(set) var rax: UInt64 = 0
    private(set) var rip: UInt64 = 0

    func run(
        _ state: inout VirtualCPUState, _ memory: GuestAccess, interruptedBy interrupt: InterruptLine
    ) -> GuestExit {
        let exit = processor.run(&state, memory, interruptedBy: interrupt)
        rax = state.registers.rax
        rip = state.registers.rip
        return exit
    }
}

/// A guest that runs machine code.
final class BenchmarkGuest {
    static let byteCount: UInt64 = 32 << 20
    static let code: UInt64 = 0x10_0000
    private static let tables: UInt64 = 0x1f0_0000
    private static let cBit: UInt64 = 1 << 51

    private let emulated: EmulatedHost
    let machine: VirtualMachine
    private let cpu: VirtualCPU
    let probe = Probe()

    /// Launches a guest with this code.
    init(_ code: [UInt8]) throws {
        emulated = try EmulatedHost(forGuestsOf: Self.byteCount)
        machine = try VirtualMachine(host: emulated.host)
        try machine.sevInit2()
        cpu = try machine.createVirtualCPU(id: 0, initialState: Self.registers, processor: probe)
        try machine.snpLaunchStart(policy: .standard)
        let user = try UserMemory(host: emulated.host, byteCount: Self.byteCount)
        let file = try machine.createGuestMemory(byteCount: Self.byteCount, folioOrder: 0)
        try machine.setMemoryRegion(
            MemoryRegion(slot: 0, gpa: GPA(0), byteCount: Self.byteCount, userMemory: user, guestMemory: file))
        try machine.setMemoryAttributes(GPA(0), byteCount: Self.byteCount, to: .private)
        var image = [UInt8](repeating: 0, count: Int(Self.byteCount))
        image.replaceSubrange(Int(Self.code)..<Int(Self.code) + code.count, with: code)
        func put(_ address: UInt64, _ value: UInt64) {
            for index in 0..<8 { image[Int(address) + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index)) }
        }
        put(Self.tables, Self.tables + 0x1000 | Self.cBit | 7)
        put(Self.tables + 0x1000, Self.tables + 0x2000 | Self.cBit | 7)
        for table in 0..<Self.byteCount >> 21 {
            let leaves = Self.tables + 0x3000 + table << 12
            put(Self.tables + 0x2000 + table * 8, leaves | Self.cBit | 7)
            for page in 0..<512 as Range<UInt64> {
                put(leaves + page * 8, (table << 21 | page << 12) | Self.cBit | 7)
            }
        }
        var request = LaunchUpdateRequest(
            gfn: GFN(0), source: image[...], byteCount: Self.byteCount, type: .normal)
        while request.byteCount > 0 { try machine.snpLaunchUpdate(&request) }
        try machine.snpLaunchFinish()
    }

    deinit { machine.destroy() }

    /// 64-bit code at CPL 0 with flat segments.
    private static var registers: VMSA {
        var r = VMSA()
        r.cs = SegmentRegister(selector: 8, attributes: 0xa9b, limit: ~0)
        for path in [\VMSA.ds, \VMSA.es, \VMSA.ss, \VMSA.fs, \VMSA.gs] {
            r[keyPath: path] = SegmentRegister(selector: 16, attributes: 0xc93, limit: ~0)
        }
        r.efer = 0x1d01
        r.cr0 = 0x8001_0031
        r.cr4 = 0x6a0
        r.cr3 = tables | cBit
        r.rflags = 2
        r.rip = code
        r.rsp = 0x3f_f000
        r.mxcsr = 0x1f80
        r.x87FCW = 0x37f
        r.sevFeatures = [.snpActive]
        return r
    }

    /// Runs in turns of so many instructions, as `rampart run` gives them, until the guest halts. Returns RAX.
    func runToHalt(turn: UInt64 = 100_000, onPort: (VirtualCPU) -> Void = { _ in }) throws -> UInt64 {
        while true {
            switch cpu.run(budget: turn) {
            case .interrupted: continue
            case .io: onPort(cpu)
            case .halted: return probe.rax
            case let exit: throw Refusal("the guest stopped at 0x\(String(probe.rip, radix: 16)): \(exit)")
            }
        }
    }
}

/// The processor time of this process so far, in seconds.
func processorTime() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}
