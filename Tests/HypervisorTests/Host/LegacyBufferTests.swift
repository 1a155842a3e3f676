// Legacy commands and the calls of /dev/sev while SNP is on: what firmware writes goes through pages of its own.

import Machine
import Rampart
import SNPArchitecture
import SecureProcessor
import Synchronization
import Testing

@testable import Hypervisor

/// Frames that an instruction was about.
private final class FrameList: Sendable {
    private let list = Mutex<Set<PFN>>([])
    func insert(_ pfn: PFN) { list.withLock { _ = $0.insert(pfn) } }
    var frames: Set<PFN> { list.withLock { $0 } }
}

@Suite("Legacy commands of a host with SNP")
struct LegacyBufferTests {
    private func emulated() throws -> EmulatedHost {
        try EmulatedHost(MachineConfiguration(dramByteCount: 48 << 20))
    }

    /// No frame is firmware's but the RMP's own.
    private func firmwarePages(_ emulated: EmulatedHost) -> [PFN] {
        let rmp = emulated.machine.rmp
        return (PFN(0)..<rmp.tableFrames[0].lowerBound).filter { rmp.entry($0).assigned }
    }

    @Test("The region of SEV-ES is 2 MiB of Firmware pages with SNP, and comes back; without SNP 1 MiB of any")
    func region() throws {
        var parameters = HostParameters()
        parameters.initializesLegacySEV = true
        let emulated = try EmulatedHost(MachineConfiguration(dramByteCount: 48 << 20), parameters: parameters)
        let host = emulated.host
        #expect(firmwarePages(emulated).count == 512 && firmwarePages(emulated)[0].isAligned(to: .size2M))
        #expect(try PlatformDevice(host: host).legacyStatus().state == .initialized)
        #expect(host.checkInvariants(of: []) == [])
        let free = host.allocator.freeFrameCount
        try host.shutdownLegacySEV()
        #expect(firmwarePages(emulated) == [])
        #expect(host.allocator.freeFrameCount == free + 513, "and a table of the direct map")
        #expect(try PlatformDevice(host: host).legacyStatus().state == .uninitialized)
        try host.initializeLegacySEV()
        try host.shutdownSNP()
        #expect(firmwarePages(emulated) == [] && host.leaked.count == 0)
        let machine = try Machine(MachineConfiguration(dramByteCount: 48 << 20))
        machine.mailbox.connect(SecureProcessor(machine: machine))
        let plain = try Host(machine: machine)
        let before = plain.allocator.freeFrameCount
        try plain.initializeLegacySEV()
        #expect(plain.allocator.freeFrameCount == before - 256)
        try plain.shutdownLegacySEV()
        #expect(plain.allocator.freeFrameCount == before)
    }

    @Test("INIT that firmware refuses leaves no region behind")
    func regionRefused() throws {
        let emulated = try emulated()
        let free = emulated.host.allocator.freeFrameCount
        emulated.machine.mailbox.injection.fail(.sevInit, with: .status(.invalidConfig))
        #expect(throws: FirmwareError.status(.invalidConfig)) { try emulated.host.initializeLegacySEV() }
        emulated.machine.mailbox.injection.set(nil)
        #expect(firmwarePages(emulated) == [] && emulated.host.allocator.freeFrameCount == free)
        try emulated.host.initializeLegacySEV()
    }

    @Test("GET_ID arrives in the caller's page, which stays the host's; the same with and without SNP")
    func chipIdentifier() throws {
        let emulated = try emulated()
        let free = emulated.host.allocator.freeFrameCount
        let identifier = try PlatformDevice(host: emulated.host).chipIdentifier()
        #expect(identifier == emulated.secureProcessor.chipIdentifier && identifier.count == 64)
        #expect(firmwarePages(emulated) == [] && emulated.host.allocator.freeFrameCount == free)
        try emulated.host.shutdownSNP()
        #expect(try PlatformDevice(host: emulated.host).chipIdentifier() == identifier)
    }

    @Test("INVALID_LENGTH comes with the length that is needed, and the caller's address stands in the buffer")
    func length() throws {
        let emulated = try emulated()
        let page = try #require(emulated.host.allocator.allocate(order: 0)).pfn
        let (status, buffer) = try emulated.host.firmware.exchangeLegacy(
            SEVGetIDBuffer(address: page.address, length: 10))
        #expect(status == .invalidLength && buffer.length == 64 && buffer.address == page.address)
        #expect(firmwarePages(emulated) == [])
        #expect(throws: SEVCommandError(.ioError, .invalidLength)) {
            try PlatformDevice(host: emulated.host).chipIdentifier(capacity: 10)
        }
    }

    @Test("Two places of two sizes: each in pages of its own, none 2 MiB aligned, all back afterwards")
    func twoPlaces() throws {
        let emulated = try emulated()
        let host = emulated.host
        try host.initializeLegacySEV()
        let own = firmwarePages(emulated)
        // The next frame for firmware is the first of a 2 MiB region.
        while let block = host.allocator.allocate(order: 0, for: .firmware) {
            guard block.pfn.isAligned(to: .size2M) else { continue }
            host.allocator.free(block.pfn, order: 0)
            break
        }
        let target = try #require(host.allocator.allocate(order: 2)).pfn
        let noted = FrameList()
        emulated.machine.rmp.injection.set { instruction, pfn in
            if instruction == .rmpUpdate { noted.insert(pfn) }
            return nil
        }
        defer { emulated.machine.rmp.injection.set(nil) }
        let free = host.allocator.freeFrameCount
        let (status, buffer) = try host.firmware.exchangeLegacy(
            SEVCertificateExportBuffer(
                certificate: target.address, length: 0x824, chain: (target + 1).address, chainLength: 0x186c))
        #expect(status == .unsupported, "as far as the emulated firmware goes, past its checks of the pages")
        #expect(buffer.certificate == target.address && buffer.chain == (target + 1).address)
        let made = noted.frames
        #expect(made.count == 4 && made.allSatisfy { !$0.isAligned(to: .size2M) })
        #expect(firmwarePages(emulated) == own && host.allocator.freeFrameCount == free && host.leaked.count == 0)
    }

    @Test(
        "Bug 21 to 23: a page that the RMP refuses, at any place, gives all others back and the next command runs",
        arguments: 1...5)
    func refusedPage(call: Int) throws {
        let emulated = try emulated()
        let host = emulated.host
        try host.initializeLegacySEV()
        let own = firmwarePages(emulated)
        let target = try #require(host.allocator.allocate(order: 2)).pfn
        let free = host.allocator.freeFrameCount
        let commands = host.firmware.commandCount
        let buffer = SEVCertificateExportBuffer(
            certificate: target.address, length: 0x824, chain: (target + 1).address, chainLength: 0x186c)
        emulated.machine.rmp.fail(.rmpUpdate, calls: call...call, with: .failPermission)
        // The fourth page is the command's own; the fifth RMPUPDATE takes the first page back.
        let error = FirmwareError.pageState(.failPermission)
        #expect(throws: error) { try host.firmware.exchangeLegacy(buffer) }
        #expect(error.errno == .badAddress)
        emulated.machine.rmp.injection.set(nil)
        let lost = call == 5 ? 1 : 0
        #expect(host.leaked.count == lost)
        #expect(Set(firmwarePages(emulated)).subtracting(own).count == lost)
        // Around a page that is lost the direct map keeps a table.
        #expect(Int(host.allocator.freeFrameCount) + 2 * lost == Int(free))
        if call < 5 {
            #expect(host.firmware.commandCount - commands == UInt64(call - 1), "a PAGE_RECLAIM for each page")
        }
        #expect(try host.firmware.exchangeLegacy(buffer).status == .unsupported)
        #expect(host.checkInvariants(of: []) == [])
    }

    @Test("Firmware that keeps a page: EFAULT, that page and those after it leak, the rest comes back")
    func keptPage() throws {
        let emulated = try emulated()
        let host = emulated.host
        try host.initializeLegacySEV()
        let own = firmwarePages(emulated)
        let target = try #require(host.allocator.allocate(order: 2)).pfn
        let buffer = SEVCertificateExportBuffer(
            certificate: target.address, length: 0x824, chain: (target + 1).address, chainLength: 0x186c)
        // The buffer's page and the certificate's come back; of the chain's two neither.
        emulated.machine.mailbox.injection.fail(.snpPageReclaim, calls: 3...3, with: .status(.invalidPageState))
        let error = FirmwareError.notReclaimed(.invalidPageState)
        #expect(throws: error) { try host.firmware.exchangeLegacy(buffer) }
        emulated.machine.mailbox.injection.set(nil)
        #expect(error.errno == .badAddress && host.leaked.count == 2)
        #expect(Set(firmwarePages(emulated)).subtracting(own).count == 2)
        #expect(host.checkInvariants(of: []) == [])
    }

    @Test("A place of more than 2 MiB, or one that the host may not write, is refused and nothing is lost")
    func hostileLengths() throws {
        let emulated = try emulated()
        let free = emulated.host.allocator.freeFrameCount
        for length in [0x20_0001, .max] as [UInt32] {
            #expect(throws: FirmwareError.noMemory) {
                try emulated.host.firmware.exchangeLegacy(SEVGetIDBuffer(address: SPA(0x50_0000), length: length))
            }
        }
        for address in [emulated.machine.rmp.base, SPA(1 << 50), SPA(UInt64.max - 10)] {
            #expect(throws: FirmwareError.pageState(.failPermission)) {
                try emulated.host.firmware.exchangeLegacy(SEVGetIDBuffer(address: address, length: 64))
            }
        }
        #expect(firmwarePages(emulated) == [] && emulated.host.allocator.freeFrameCount == free)
    }

    // MARK: /dev/sev

    @Test("SNP_PLATFORM_STATUS, SET_CONFIG, COMMIT and VLEK_LOAD reach firmware")
    func platformCalls() throws {
        let emulated = try emulated()
        let device = PlatformDevice(host: emulated.host)
        let free = emulated.host.allocator.freeFrameCount
        #expect(try device.platformStatus() == emulated.secureProcessor.platformStatus)
        try device.setConfiguration(reportedTCB: TCBVersion(rawValue: 0), maskChipID: true)
        #expect(try device.platformStatus().features.contains(.maskChipID))
        try device.commit()
        try device.loadVLEK(emulated.secureProcessor.wrappedVLEK(seed: 7))
        #expect(try device.platformStatus().features.contains(.vlekEnabled))
        #expect(emulated.host.allocator.freeFrameCount == free && firmwarePages(emulated) == [])
        var wrapped = emulated.secureProcessor.wrappedVLEK(seed: 7)
        wrapped[0x20] ^= 1
        #expect(throws: SEVCommandError(.ioError, .badMeasurement)) { try device.loadVLEK(wrapped) }
        #expect(throws: SEVCommandError(.ioError, .invalidParam)) {
            try device.setConfiguration(reportedTCB: TCBVersion(rawValue: .max))
        }
        #expect(throws: SEVCommandError(.ioError, .invalidPlatformState)) {
            try device.certificateRequest(capacity: 0x824)
        }
    }

    @Test("Errnos in order: EBADF, EPERM, EINVAL without SNP, EINVAL of the arguments")
    func errnos() throws {
        let emulated = try emulated()
        let (host, good) = (emulated.host, emulated.secureProcessor.wrappedVLEK(seed: 1))
        let tcb = TCBVersion(rawValue: 0)
        let reader = PlatformDevice(host: host, .read)
        #expect(throws: SEVCommandError(.notPermitted)) { try reader.setConfiguration(reportedTCB: tcb) }
        #expect(throws: SEVCommandError(.notPermitted)) { try reader.loadVLEK([]) }
        #expect(throws: SEVCommandError(.notPermitted)) { try reader.certificateRequest(capacity: .max) }
        #expect(throws: Never.self) { try reader.platformStatus() }
        let device = PlatformDevice(host: host)
        #expect(throws: SEVCommandError(.invalidArgument)) { try device.loadVLEK(good, version: 1) }
        #expect(throws: SEVCommandError(.invalidArgument)) { try device.loadVLEK(good + [0]) }
        #expect(throws: SEVCommandError(.invalidArgument)) { try device.chipIdentifier(capacity: .max) }
        try host.shutdownSNP()
        #expect(throws: SEVCommandError(.invalidArgument)) { try device.platformStatus() }
        #expect(throws: SEVCommandError(.invalidArgument)) { try device.setConfiguration(reportedTCB: tcb) }
        #expect(throws: SEVCommandError(.invalidArgument)) { try device.commit() }
        #expect(throws: SEVCommandError(.invalidArgument)) { try device.loadVLEK(good) }
        #expect(throws: SEVCommandError(.notPermitted)) { try reader.loadVLEK(good) }
        device.close()
        reader.close()
        #expect(throws: SEVCommandError(.badFile)) { try device.commit() }
        #expect(throws: SEVCommandError(.badFile)) { try reader.loadVLEK(good) }
        #expect(throws: SEVCommandError(.badFile)) { try device.legacyStatus() }
    }

    @Test("A status page that firmware keeps is leaked and EFAULT; firmware's own refusal comes before")
    func keptStatusPage() throws {
        let emulated = try emulated()
        let device = PlatformDevice(host: emulated.host)
        emulated.machine.mailbox.injection.fail(.snpPageReclaim, with: .status(.invalidPageState))
        #expect(throws: SEVCommandError(.badAddress)) { try device.platformStatus() }
        #expect(emulated.host.leaked.count == 1)
        emulated.machine.mailbox.injection.set { command, _ in
            [.snpPageReclaim, .snpPlatformStatus].contains(command) ? .status(.hardwareErrorPlatform) : nil
        }
        #expect(throws: SEVCommandError(.ioError, .hardwareErrorPlatform)) { try device.platformStatus() }
        emulated.machine.mailbox.injection.set(nil)
        #expect(emulated.host.leaked.count == 2)
    }
}
