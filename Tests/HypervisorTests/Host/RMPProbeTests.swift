// What the host makes of the RMP's registers, of memory and of the IOMMUs before it turns SNP on.

import Machine
import Rampart
import SNPArchitecture
import SecureProcessor
import Testing

@testable import Hypervisor

@Suite("Conditions of SNP")
struct RMPProbeTests {
    /// One thing wrong, and what the host says of it.
    struct Wrong: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var error: SNPInitializationError
        var errno: Errno
        var parameters = HostParameters()
        var configure: @Sendable (inout MachineConfiguration) -> Void = { _ in }
        var spoil: @Sendable (Cores) -> Void = { _ in }

        init(
            _ name: String, _ error: SNPInitializationError, _ errno: Errno,
            configure: @escaping @Sendable (inout MachineConfiguration) -> Void = { _ in },
            parameters: HostParameters = HostParameters(), spoil: @escaping @Sendable (Cores) -> Void = { _ in }
        ) {
            (testDescription, self.error, self.errno) = (name, error, errno)
            (self.configure, self.parameters, self.spoil) = (configure, parameters, spoil)
        }
    }

    static let passthrough: HostParameters = {
        var parameters = HostParameters()
        parameters.iommuMode = .passthrough
        return parameters
    }()

    static let table: [Wrong] = [
        Wrong("no SEV-SNP in CPUID", .noFeature, .noDevice, configure: { $0.features.remove(.sevSNP) }),
        Wrong("no IOMMU", .iommu(.absent, .translated), .notImplemented, configure: { $0.iommuKind = .absent }),
        Wrong(
            "an IOMMU without SNP", .iommu(.withoutSNP, .translated), .notImplemented,
            configure: { $0.iommuKind = .withoutSNP }),
        Wrong(
            "iommu=pt", .iommu(.checksRMP, .passthrough), .notImplemented, parameters: passthrough),
        Wrong(
            "RMP_BASE is zero", .rmp(.notReserved), .notImplemented,
            spoil: { $0.updateAll { $0.rmpBase = 0 } }),
        Wrong(
            "RMP_END has no address bits", .rmp(.notReserved), .notImplemented,
            spoil: { $0.updateAll { $0.rmpEnd = 0x1fff } }),
        Wrong(
            "the end before the base", .rmp(.endBeforeBase), .notImplemented,
            spoil: { $0.updateAll { $0.rmpEnd = $0.rmpBase - 1 } }),
        Wrong(
            "the base not on 1 MiB", .rmp(.notAligned), .notImplemented,
            spoil: { $0.updateAll { $0.rmpBase += 0x2000 } }),
        Wrong(
            "the end not on 1 MiB", .rmp(.notAligned), .notImplemented,
            spoil: { $0.updateAll { $0.rmpEnd -= 0x2000 } }),
        Wrong(
            "another core disagrees", .rmp(.differsBetweenCores(core: 2)), .notImplemented,
            spoil: { $0.update(2) { $0.rmpEnd += 0x10_0000 } }),
        Wrong(
            "an RMP that covers half of memory",
            .rmp(.tooSmall(needed: 0x4000 + 16 * (1 << 18), found: 3 << 20)), .notImplemented,
            configure: { $0.rmpCoveredByteCount = 600 << 20 }),
        Wrong(
            "a core that is not online", .coresOffline(1), .notSupported,
            spoil: { $0.update(3) { $0.isOnline = false } }),
        Wrong(
            "256 reserved ranges", .tooManyRanges(256), .argumentsTooLong,
            configure: {
                $0.reservedMemory = (0..<255).map { MemoryMapEntry(PFN(0x4000 + $0 * 2)..<PFN(0x4001 + $0 * 2), .acpi) }
            }),
    ]

    @Test("Each leaves SNP off and the cores as they were, and the helpers say ENODEV", arguments: table)
    func refused(_ wrong: Wrong) throws {
        var configuration = MachineConfiguration()
        wrong.configure(&configuration)
        let machine = try Machine(configuration)
        machine.mailbox.connect(SecureProcessor(machine: machine))
        wrong.spoil(machine.cores)
        let host = try Host(machine: machine, parameters: wrong.parameters)
        let (cores, free) = (machine.cores.all, host.allocator.freeFrameCount)
        #expect(throws: wrong.error) { try host.initializeSNP() }
        #expect(wrong.error.errno == wrong.errno && !wrong.error.description.isEmpty)
        #expect(!host.snpIsOn && !host.snpIsInitialized && machine.cores.all == cores)
        #expect(host.allocator.freeFrameCount == free)
        #expect(throws: Errno.noDevice) { try host.rmp.entry(of: PFN(0x1000)) }
        #expect(throws: Errno.noDevice) { try host.rmp.assign(PFN(0x1000), .size4K, gfn: GFN(1), asid: ASID(1)) }
        #expect(throws: Errno.noDevice) { try host.rmp.takeBack(PFN(0x1000), .size4K) }
        #expect(throws: Errno.noDevice) { try host.rmp.split(PFN(0x1000)) }
        #expect(throws: Errno.noDevice) { try host.rmp.dump(PFN(0x1000)) }
        #expect(throws: Errno.invalidArgument) { try VirtualMachine(host: host) }
        #expect(throws: Never.self) { try VirtualMachine(host: host, kind: .standard) }
    }

    @Test("A request with several faults gets the first one's error")
    func order() throws {
        // From the last condition to the first: each new fault hides those before it.
        var configuration = MachineConfiguration()
        let faults = Self.table.filter { !$0.testDescription.contains("IOMMU") }
        var applied: [Wrong] = []
        for wrong in faults.reversed() {
            applied.append(wrong)
            wrong.configure(&configuration)
            let machine = try Machine(configuration)
            machine.mailbox.connect(SecureProcessor(machine: machine))
            for fault in applied { fault.spoil(machine.cores) }
            let parameters = applied.contains { $0.testDescription == "iommu=pt" } ? Self.passthrough : HostParameters()
            let host = try Host(machine: machine, parameters: parameters)
            // What a later fault does to the same registers is the same kind of fault.
            #expect { try host.initializeSNP() } throws: { error in
                guard let error = error as? SNPInitializationError else { return false }
                return Self.rank(error) <= Self.rank(wrong.error)
            }
        }
    }

    /// The place of a condition in the order of checks.
    private static func rank(_ error: SNPInitializationError) -> Int {
        switch error {
        case .noFeature: 0
        case .iommu: 1
        case .rmp(.notReserved): 2
        case .rmp(.endBeforeBase): 3
        case .rmp(.notAligned): 4
        case .rmp(.differsBetweenCores): 5
        case .rmp(.tooSmall): 6
        case .rmp: preconditionFailure("this RMP has no segments")
        case .coresOffline: 7
        case .firmwareTooOld: 8
        case .tooManyRanges: 9
        case .noMemory: 10
        case .firmware: 11
        }
    }

    @Test("An RMP that covers memory but not its own end is too small by itself")
    func coversItself() throws {
        var core = try Machine(MachineConfiguration(dramByteCount: 48 << 20)).cores.all[0]
        // 256 MiB of memory need 1 MiB and 16 KiB of table; this one lies at 1 GiB, past all of memory.
        (core.rmpBase, core.rmpEnd) = (0x4000_0000, 0x401f_ffff)
        let failure = RMPProbeFailure.tooSmall(needed: 0x4000 + 0x4_0200 * 16, found: 0x20_0000)
        #expect(throws: failure) { try RMPProbe([core], frameCount: 0x1_0000) }
        core.rmpEnd = 0x404f_ffff
        let probe = try RMPProbe([core], frameCount: 0x1_0000)
        #expect(probe.base == SPA(0x4000_0000) && probe.end == SPA(0x404f_ffff))
    }

    @Test("The parameters of patch 51: without any one of them KVM offers no SNP machine, and SNP itself is on")
    func parameters() throws {
        let changes: [(String, @Sendable (inout HostParameters) -> Void)] = [
            ("sev", { $0.sev = false }), ("sev_es", { $0.sevES = false }), ("npt", { $0.nestedPaging = false }),
            ("nrips", { $0.nextRIP = false }), ("lbrv", { $0.branchRecordVirtualization = false }),
            ("mmio_caching", { $0.mmioCaching = false }),
        ]
        for (name, change) in changes {
            var parameters = HostParameters()
            change(&parameters)
            let emulated = try EmulatedHost(MachineConfiguration(dramByteCount: 48 << 20), parameters: parameters)
            #expect(emulated.host.snpIsOn && !emulated.host.allowsSNPMachines, "\(name)")
            #expect(throws: Errno.invalidArgument) { try VirtualMachine(host: emulated.host) }
        }
        var off = HostParameters()
        off.sevSNP = false
        #expect(try !EmulatedHost(MachineConfiguration(dramByteCount: 48 << 20), parameters: off).host.snpIsOn)
        let noASIDs = try EmulatedHost(MachineConfiguration(dramByteCount: 48 << 20, minimumSEVASID: 1))
        #expect(!noASIDs.host.allowsSNPMachines, "no ASID is left for SEV-ES")
        let usual = try EmulatedHost(MachineConfiguration(dramByteCount: 48 << 20))
        #expect(usual.host.allowsSNPMachines)
        #expect(throws: Never.self) { try VirtualMachine(host: usual.host) }
    }
}
