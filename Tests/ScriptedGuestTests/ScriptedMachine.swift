// A launched guest whose virtual CPUs run scripts, and the user space that serves them.

import Machine
import Rampart
import SNPArchitecture
import ScriptedGuest
import Testing

@testable import Hypervisor

/// A guest of 8 MiB at 16 MiB: the first 4 MiB private, in 2M pages where nothing splits them, the rest shared.
final class ScriptedMachine {
    static let base = GPA(0x100_0000)
    static let privatePages: UInt64 = 1024
    /// A page of firmware's secrets, in a slot of its own.
    static let secrets = GPA(0x200_0000)

    let emulated: EmulatedHost
    let vm: VirtualMachine
    let file: GuestMemory
    let processors: [ScriptedProcessor]
    let cpus: [VirtualCPU]
    private let convertsOnFault: Bool

    var host: Host { emulated.host }
    var rmp: ReverseMapTable { emulated.machine.rmp }

    init(
        _ scripts: GuestScript..., continuesAfterFailure: Bool = false, folioOrder: UInt8 = 9,
        policy: any ConversionPolicy = EagerPolicy(), personality: GHCBPersonality = .kvm2026,
        convertsOnFault: Bool = true
    ) throws {
        self.convertsOnFault = convertsOnFault
        emulated = try EmulatedHost(MachineConfiguration(dramByteCount: 48 << 20))
        vm = try VirtualMachine(host: emulated.host, policy: policy)
        try vm.sevInit2()
        try vm.enableHypercallExits()
        vm.setPersonality(personality)
        file = try vm.createGuestMemory(byteCount: 8 << 20, folioOrder: folioOrder)
        let user = try UserMemory(host: emulated.host, byteCount: 8 << 20)
        try vm.setMemoryRegion(
            MemoryRegion(slot: 0, gpa: Self.base, byteCount: 8 << 20, userMemory: user, guestMemory: file))
        try vm.allocate(file, offset: 0, byteCount: 8 << 20)
        processors = scripts.map { ScriptedProcessor($0, continuesAfterFailure: continuesAfterFailure) }
        var cpus: [VirtualCPU] = []
        for (index, processor) in processors.enumerated() {
            cpus.append(try vm.createVirtualCPU(id: UInt32(index), initialState: .scripted(), processor: processor))
        }
        self.cpus = cpus
        try vm.snpLaunchStart(policy: .standard)
        try launchSecrets()
        try vm.snpLaunchFinish()
        try vm.setMemoryAttributes(Self.base, byteCount: Self.privatePages << 12, to: .private)
    }

    private func launchSecrets() throws {
        let user = try UserMemory(host: host, byteCount: 4096)
        let file = try vm.createGuestMemory(byteCount: 4096, folioOrder: 0)
        try vm.setMemoryRegion(
            MemoryRegion(slot: 2, gpa: Self.secrets, byteCount: 4096, userMemory: user, guestMemory: file))
        try vm.setMemoryAttributes(Self.secrets, byteCount: 4096, to: .private)
        var request = LaunchUpdateRequest(
            gfn: Self.secrets.frame, source: [UInt8](repeating: 0, count: 4096)[...], byteCount: 4096, type: .secrets)
        try vm.snpLaunchUpdate(&request)
    }

    static func gpa(_ page: UInt64) -> GPA { base + page << 12 }

    /// Runs a virtual CPU until it halts or an exit comes that user space has no answer for; returns the exits.
    ///
    /// What the guest wants private or shared becomes so, by a hypercall or by a fault.
    @discardableResult
    func drive(_ index: Int = 0, budget: UInt64 = .max, limit: Int = 10_000) -> [UserExit] {
        var exits: [UserExit] = []
        while exits.count < limit {
            let exit = cpus[index].run(budget: budget)
            exits.append(exit)
            switch exit {
            case .mapRange(let call):
                let done = convert(call.gpa, call.pageCount << 12, call.attribute)
                cpus[index].reply(.result(done ? 0 : 22))
            case .memoryFault(let gpa, let byteCount, let isPrivate, _):
                guard convertsOnFault, convert(gpa, byteCount, isPrivate ? .private : .shared) else { return exits }
            case .interrupted: continue
            case _: return exits
            }
        }
        return exits
    }

    /// Runs all virtual CPUs in turns until all scripts have ended, or none of them goes on.
    func driveAll() {
        var positions: [Int] = []
        while positions != processors.map(\.position) {
            positions = processors.map(\.position)
            for index in cpus.indices { drive(index) }
        }
    }

    private func convert(_ gpa: GPA, _ byteCount: UInt64, _ attribute: MemoryAttribute) -> Bool {
        (try? vm.setMemoryAttributes(gpa, byteCount: byteCount, to: attribute)) != nil
    }

    /// What was not as expected, in words.
    var failures: [String] {
        processors.flatMap { processor in processor.transcript.failures.map { processor.script.text(of: $0) } }
    }

    func outcomes(_ index: Int = 0) -> [StepOutcome] { processors[index].transcript.results.map(\.outcome) }

    /// The RMP entry behind a page of the private part.
    func entry(_ page: UInt64) throws -> RMPEntry {
        let pfn = try #require(vm.backingFrame(of: Self.gpa(page).frame, in: vm.memorySlots[0]))
        return try #require(rmp.effectiveEntry(pfn))
    }

    var violations: [InvariantViolation] {
        vm.endHostilities()
        return host.checkInvariants(of: [vm])
    }
}

extension GuestScript {
    /// A script from lines of text, for tests.
    init(_ lines: String...) throws { try self.init(text: lines.joined(separator: "\n")) }
}
