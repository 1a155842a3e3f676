// SNP on and off: versions of firmware, reserved ranges, the IOMMUs' pages, a second kernel, a panic, cores that come late.

import Machine
import Rampart
import SNPArchitecture
import Scheduling
import SecureProcessor
import Synchronization
import Testing

@testable import Hypervisor

@Suite("SNP on and off")
struct InitializationTests {
    /// A machine whose firmware writes down which commands it gets.
    final class Recorder: MailboxFirmware {
        private let firmware: SecureProcessor
        private let list = Mutex<[FirmwareCommand]>([])
        init(_ firmware: SecureProcessor) { self.firmware = firmware }
        func execute(_ command: FirmwareCommand, buffer: SPA) -> FirmwareStatus {
            list.withLock { $0.append(command) }
            return firmware.execute(command, buffer: buffer)
        }
        func take() -> [FirmwareCommand] {
            list.withLock { list in
                defer { list = [] }
                return list
            }
        }
    }

    /// Firmware that is initialised writes its status to a page of its own alone, and so does not even tell its version.
    static let unanswered = SNPInitializationError.firmware(.status(FirmwareStatus(rawValue: 0x5a)))

    struct Platform {
        let machine: Machine
        let firmware: SecureProcessor
        let recorder: Recorder
        let host: Host

        init(
            version: UInt8 = 55, parameters: HostParameters = HostParameters(),
            _ change: (inout MachineConfiguration) -> Void = { _ in }
        ) throws {
            var configuration = MachineConfiguration(dramByteCount: 48 << 20)
            change(&configuration)
            machine = try Machine(configuration)
            firmware = SecureProcessor(
                machine: machine,
                configuration: FirmwareConfiguration(version: FirmwareVersion(major: 1, minor: version, build: 1)))
            recorder = Recorder(firmware)
            machine.mailbox.connect(recorder)
            host = try Host(machine: machine, parameters: parameters)
        }
    }

    @Test("Firmware before 1.51 is refused, 1.51 gets SNP_INIT, later ones SNP_INIT_EX; then SNP_DF_FLUSH")
    func versions() throws {
        for version in [49, 50] as [UInt8] {
            let old = try Platform(version: version)
            let error = SNPInitializationError.firmwareTooOld(major: 1, minor: version)
            #expect(throws: error) { try old.host.initializeSNP() }
            #expect(error.errno == .notSupported)
            #expect(old.recorder.take() == [.sevPlatformStatus] && !old.machine.cores.snpEnabled)
        }
        for (version, command) in [(51, .snpInit), (52, .snpInitEx), (55, .snpInitEx)] as [(UInt8, FirmwareCommand)] {
            let platform = try Platform(version: version)
            try platform.host.initializeSNP()
            #expect(platform.recorder.take() == [.sevPlatformStatus, command, .snpDFFlush])
            #expect(platform.host.snpIsOn && platform.host.snpIsInitialized && platform.machine.cores.snpEnabled)
            try platform.host.initializeSNP()
            #expect(platform.recorder.take() == [], "once is enough")
        }
    }

    @Test("What BIOS reserves is HV-Fixed, never handed out, and no guest's")
    func reservedRanges() throws {
        let ranges = [PFN(0x400)..<PFN(0x403), PFN(0x800)..<PFN(0xa10), PFN(0x5)..<PFN(0x7)]
        let platform = try Platform { $0.reservedMemory = ranges.map { MemoryMapEntry($0, .persistent) } }
        try platform.host.initializeSNP()
        let rmp = platform.machine.rmp
        for pfn in ranges.joined() {
            #expect(rmp.state(of: pfn) == .hypervisorFixed)
            #expect(!platform.host.allocator.isFree(pfn))
        }
        for pfn in [PFN(0x403), PFN(0x7ff), PFN(0xa10), PFN(0x7)] { #expect(rmp.state(of: pfn) == .hypervisor) }
        for pfn in rmp.tableFrames.joined() {
            #expect(rmp.state(of: pfn) == .firmware, "the RMP itself is cut out of the list")
        }
        var seen: Set<PFN> = []
        while let block = platform.host.allocator.allocate(order: 0) { seen.insert(block.pfn) }
        #expect(ranges.joined().allSatisfy { !seen.contains($0) } && seen.contains(PFN(0x403)))
        #expect(platform.host.allocator.freeFrameCount == 0)
        #expect(throws: RMPStatus.failPermission) { try rmp.rmpUpdate(PFN(0x401).address, to: .firmware) }
    }

    @Test("SYSCFG is set on every core and VM_HSAVE_PA cleared before firmware looks")
    func cores() throws {
        let platform = try Platform()
        platform.machine.cores.updateAll { $0.hostSaveArea = 0x1000 }
        try platform.host.initializeSNP()
        typealias SYSCFG = CoreRegisters.SYSCFG
        for core in platform.machine.cores.all {
            #expect(core.hostSaveArea == 0)
            for bit in [SYSCFG.mfdm, SYSCFG.snpEnable, SYSCFG.vmplEnable] { #expect(core.syscfg & bit != 0) }
        }
    }

    @Test(
        "A refusal of firmware leaves SNP off for the kernel, and it may try again",
        arguments: [
            FirmwareStatus.invalidConfig, .rmpInitializationFailed, .hardwareErrorPlatform,
        ])
    func refused(status: FirmwareStatus) throws {
        let platform = try Platform { $0.iommuBuffers = [PFN(0x401)..<PFN(0x403)] }
        let level = platform.host.directMap.level(of: PFN(0x400))
        platform.machine.mailbox.injection.fail(.snpInitEx, with: .status(status))
        #expect(throws: SNPInitializationError.firmware(.status(status))) { try platform.host.initializeSNP() }
        platform.machine.mailbox.injection.set(nil)
        #expect(!platform.host.snpIsOn && !platform.host.allowsSNPMachines)
        #expect(platform.host.directMap.level(of: PFN(0x400)) == level, "the direct map is whole again")
        #expect(throws: Errno.noDevice) { try platform.host.rmp.entry(of: PFN(0x400)) }
        try platform.host.initializeSNP()
        #expect(platform.host.snpIsOn && platform.host.checkInvariants(of: []) == [])
    }

    @Test("Firmware that does not answer SNP_INIT_EX is ETIMEDOUT at first, and EBUSY from then on")
    func silence() throws {
        let explorer = Explorer(seed: 1)
        explorer.spawn("host") {
            let platform = try? Platform()
            guard let platform else { return }
            platform.machine.mailbox.injection.fail(.snpInitEx, with: .silence)
            for (expected, errno) in [(FirmwareError.timedOut, Errno.timedOut), (.dead, .busy)] {
                #expect(throws: SNPInitializationError.firmware(expected)) { try platform.host.initializeSNP() }
                #expect(SNPInitializationError.firmware(expected).errno == errno)
            }
            #expect(!platform.host.snpIsOn && !platform.host.firmware.isResponding)
        }
        #expect(explorer.run() == .completed)
    }

    @Test("The IOMMUs' pages are firmware's while SNP is on; their neighbours stay writable; all come back at shutdown")
    func iommuPages() throws {
        let buffers = [PFN(0x401)..<PFN(0x403), PFN(0x7ff)..<PFN(0x801)]
        let platform = try Platform { $0.iommuBuffers = buffers }
        let (host, rmp) = (platform.host, platform.machine.rmp)
        try host.initializeSNP()
        for pfn in buffers.joined() { #expect(rmp.state(of: pfn) == .firmwareIOMMU && !host.allocator.isFree(pfn)) }
        for neighbour in [PFN(0x400), PFN(0x403), PFN(0x600), PFN(0x9ff)] {
            #expect(throws: Never.self) { try host.write([1], at: neighbour.address) }
        }
        #expect(throws: Errno.badAddress) { try host.write([1], at: PFN(0x401).address) }
        #expect(host.checkInvariants(of: []) == [])
        try host.shutdownSNP()
        for pfn in buffers.joined() {
            #expect(rmp.state(of: pfn) == .hypervisor)
            #expect(throws: Never.self) { try host.write([1], at: pfn.address) }
        }
        #expect(rmp.findViolations() == [] && host.leaked.count == 0)
        #expect(host.directMap.level(of: PFN(0x401)) != .level4K)
        #expect(host.snpIsOn && !host.snpIsInitialized, "the cores still enforce the RMP")
        try host.initializeSNP()
        #expect(rmp.state(of: PFN(0x401)) == .firmwareIOMMU)
    }

    @Test("An IOMMU's page that RMPUPDATE refuses is leaked; the others come back")
    func iommuPageLost() throws {
        let platform = try Platform { $0.iommuBuffers = [PFN(0x401)..<PFN(0x404)] }
        try platform.host.initializeSNP()
        platform.machine.rmp.injection.set { instruction, pfn in
            instruction == .rmpUpdate && pfn == PFN(0x402) ? .failInUse : nil
        }
        try platform.host.shutdownSNP()
        platform.machine.rmp.injection.set(nil)
        #expect(platform.host.leaked.all.map(\.frames) == [PFN(0x402)..<PFN(0x403)])
        #expect(platform.machine.rmp.state(of: PFN(0x402)) == .reclaim)
        for pfn in [PFN(0x401), PFN(0x403)] { #expect(platform.machine.rmp.state(of: pfn) == .hypervisor) }
    }

    @Test("Shutdown when SNP is off is success without a command; DF_FLUSH is sent when firmware asks for it")
    func shutdown() throws {
        let platform = try Platform()
        try platform.host.shutdownSNP()
        #expect(platform.recorder.take() == [])
        try platform.host.initializeSNP()
        let vm = try VirtualMachine(host: platform.host)
        try vm.sevInit2()
        try vm.snpLaunchStart(policy: .standard)
        _ = platform.recorder.take()
        #expect(throws: FirmwareError.status(.dfFlushRequired)) { try platform.host.shutdownSNP() }
        #expect(platform.recorder.take() == [.snpShutdownEx, .snpDFFlush, .snpShutdownEx])
        #expect(platform.host.snpIsInitialized, "a guest lives")
        vm.destroy()
        _ = platform.recorder.take()
        try platform.host.shutdownSNP()
        #expect(platform.recorder.take() == [.snpShutdownEx], "the guest has not run, and its ASID is clean")
        #expect(!platform.host.snpIsInitialized && platform.firmware.platformState == .uninitialized)
        try platform.host.shutdownSNP()
        #expect(platform.recorder.take() == [])
    }

    @Test("Shut down with the cores, the RMP is cleared; the next initialisation starts from nothing, and cores may go")
    func coresOff() throws {
        let platform = try Platform()
        let host = platform.host
        try host.setCore(2, online: false)
        #expect(throws: SNPInitializationError.coresOffline(1)) { try host.initializeSNP() }
        try host.setCore(2, online: true)
        try host.initializeSNP()
        #expect(throws: Errno.busy) { try host.setCore(2, online: false) }
        #expect(throws: Errno.invalidArgument) { try host.setCore(0, online: false) }
        #expect(throws: Errno.invalidArgument) { try host.setCore(4, online: false) }
        try host.shutdownSNP()
        #expect(throws: Errno.busy) { try host.setCore(2, online: false) }
        try host.initializeSNP()
        try host.shutdownSNP(.firmwareAndCores)
        #expect(!host.snpIsOn && !platform.machine.cores.snpEnabled)
        for pfn in platform.machine.rmp.tableFrames.joined() {
            #expect(platform.machine.rmp.state(of: pfn) == .hypervisor)
        }
        try host.setCore(2, online: false)
        try host.setCore(2, online: true)
        try host.initializeSNP()
        #expect(host.snpIsOn && platform.machine.rmp.state(of: platform.machine.rmp.base.frame) == .firmware)
    }

    @Test("A kexec'ed kernel finds SNP on, keeps the RMP, keeps off what the first left assigned, and runs guests")
    func kexec() throws {
        let platform = try Platform()
        try platform.host.initializeSNP()
        // The first kernel loses a page: it stays Firmware through the shutdown.
        let lost = try platform.host.firmware.allocatePage()
        try platform.host.shutdownSNP()
        #expect(platform.machine.rmp.state(of: lost) == .firmware)
        let second = try Host(machine: platform.machine)
        var seen: Set<PFN> = []
        while let block = second.allocator.allocate(order: 0) {
            seen.insert(block.pfn)
            #expect(!block.isFresh, "an earlier kernel has used the memory")
        }
        #expect(!seen.contains(lost) && !seen.contains(lost.aligned(down: .size2M)) && !seen.isEmpty)
        for pfn in seen { second.allocator.free(pfn, order: 0) }
        try second.initializeSNP()
        #expect(platform.machine.rmp.state(of: lost) == .hypervisor, "firmware has built the table anew")
        let vm = try VirtualMachine(host: second)
        try vm.sevInit2()
        try vm.snpLaunchStart(policy: .standard)
        try vm.snpLaunchFinish()
        #expect(second.checkInvariants(of: [vm]) == [])
    }

    @Test("With SNP on a host that writes to the RMP faults: a second clearing cannot be")
    func tableIsWriteProtected() throws {
        let platform = try Platform()
        try platform.host.initializeSNP()
        for pfn in platform.machine.rmp.tableFrames.joined() {
            #expect(throws: Errno.badAddress) { try platform.host.write([0], at: pfn.address) }
        }
        let second = try Host(machine: platform.machine)
        #expect(throws: Self.unanswered) { try second.initializeSNP() }
        #expect(platform.machine.rmp.findViolations() == [])
        #expect(platform.machine.rmp.state(of: platform.machine.rmp.base.frame) == .firmware, "the table is as it was")
    }

    @Test("A panic shuts firmware down; with live guests that fails, and the next kernel lives without SNP")
    func panic() throws {
        let platform = try Platform { $0.iommuBuffers = [PFN(0x401)..<PFN(0x403)] }
        let host = platform.host
        #expect(host.shutdownSNPInPanic() == nil)
        try host.initializeSNP()
        let vm = try VirtualMachine(host: host)
        try vm.sevInit2()
        try vm.snpLaunchStart(policy: .standard)
        platform.machine.cores.updateAll { $0.writtenBack = false }
        _ = platform.recorder.take()
        #expect(host.shutdownSNPInPanic() == .status(.dfFlushRequired))
        #expect(platform.recorder.take() == [.snpShutdownEx, .snpDFFlush, .snpShutdownEx])
        #expect(platform.machine.cores.all.count { $0.writtenBack } == 4)
        let second = try Host(machine: platform.machine)
        #expect(throws: Self.unanswered) { try second.initializeSNP() }
        #expect(!second.snpIsOn)
        let plain = try VirtualMachine(host: second, kind: .standard)
        plain.destroy()
        // The first kernel comes to its senses: its guest goes, and the panic that follows succeeds.
        vm.destroy()
        #expect(host.shutdownSNPInPanic() == nil && !host.snpIsInitialized)
        #expect(platform.machine.rmp.state(of: PFN(0x401)) == .hypervisor)
        #expect(platform.firmware.platformState == .uninitialized)
    }

    @Test("A panic under a held mailbox lock, or with a command under way, ends all the same")
    func panicWhileBusy() throws {
        let platform = try Platform()
        try platform.host.initializeSNP()
        platform.machine.mailbox.injection.fail(.snpPlatformStatus, with: .silence)
        // A processor has rung the mailbox and was stopped before it saw an answer.
        platform.machine.mailbox.writeCommand(UInt32(FirmwareCommand.snpPlatformStatus.rawValue) << 16)
        #expect(platform.host.shutdownSNPInPanic() == .timedOut)
        #expect(platform.host.shutdownSNPInPanic() == .dead)
        platform.machine.mailbox.injection.set(nil)
    }
}
