// The legacy SEV commands on a host that runs SNP guests.

import Machine
import SNPArchitecture
import Testing

@testable import SecureProcessor

@Suite("Legacy SEV commands")
struct LegacyTests {
    @Test("SNP first, then SEV; SEV down, then SNP")
    func order() throws {
        let platform = try TestPlatform(initialized: false)
        let sev = SEVInitBuffer(tmr: nil, tmrByteCount: 0)
        #expect(platform.run(sev) == .invalidPlatformState, "SNPEn is set and the RMP was never built")
        try platform.require(platform.run(.snpInit))
        #expect(platform.run(sev) == .success && platform.run(sev) == .invalidPlatformState)
        try platform.flush()
        for command in [.snpShutdown, .snpInit] as [FirmwareCommand] {
            #expect(platform.run(command) == .invalidPlatformState)
        }
        #expect(platform.run(ShutdownExBuffer(iommuShutdown: true)) == .invalidPlatformState)
        #expect(platform.run(.sevShutdown) == .success && platform.run(.sevShutdown) == .success)
        #expect(platform.run(.snpShutdown) == .success)
        try platform.require(platform.run(sev))
        #expect(platform.run(.snpInit) == .invalidPlatformState, "SEV first is too late for SNP")
        #expect(platform.run(.snpShutdown) == .invalidPlatformState)
    }

    @Test("without SNPEn SEV alone may be initialised, and all ASIDs need a flush")
    func alone() throws {
        let platform = try TestPlatform(initialized: false)
        platform.machine.cores.updateAll { $0.syscfg &= ~CoreRegisters.SYSCFG.snpEnable }
        #expect(platform.run(.sevDFFlush) == .invalidPlatformState)
        #expect(platform.run(SEVInitBuffer(tmr: PFN(0xc00).address, tmrByteCount: 2 << 20)) == .invalidLength)
        try platform.require(platform.run(SEVInitBuffer(tmr: PFN(0xb00).address, tmrByteCount: 1 << 20)))
        #expect(platform.run(.sevDFFlush) == .wbinvdRequired)
        platform.machine.cores.writeBackAndInvalidate()
        #expect(platform.run(.sevDFFlush) == .success)
    }

    @Test("SEV shut down and started again leaves SNP, its guests and their ASIDs alone")
    func independence() throws {
        let platform = try TestPlatform()
        try platform.makeRunningGuest()
        let before = platform.snapshot()
        try platform.require(platform.run(SEVInitBuffer(tmr: nil, tmrByteCount: 0)))
        try platform.require(platform.run(.sevShutdown))
        #expect(platform.snapshot() == before)
    }

    @Test("firmware's region is nobody else's from INIT to SHUTDOWN")
    func region() throws {
        let platform = try TestPlatform()
        for index in 0..<512 as Range<UInt64> { try platform.makeFirmware(TestPage.large + index) }
        try platform.require(platform.run(SEVInitBuffer(tmr: TestPage.large.address, tmrByteCount: 2 << 20)))
        let status = PlatformStatusBuffer(status: (TestPage.large + 511).address)
        #expect(platform.run(status) == .invalidAddress)
        #expect(
            platform.run(.snpConfig, ConfigBuffer(reportedTCB: TCBVersion(rawValue: 0)).encoded, at: TestPage.large)
                == .invalidAddress)
        #expect(platform.run(PageReclaimBuffer(page: TestPage.large.address)) == .invalidAddress)
        try platform.require(platform.run(.sevShutdown))
        #expect(platform.run(status) == .success)
        #expect(platform.run(PageReclaimBuffer(page: TestPage.large.address)) == .success)
    }

    @Test("PLATFORM_STATUS reports legacy state and no SNP guest, in its own buffer, whose page is Reclaim afterwards")
    func status() throws {
        let platform = try TestPlatform()
        try platform.makeRunningGuest()
        try platform.require(platform.run(SEVInitBuffer(tmr: nil, tmrByteCount: 0)))
        try platform.makeFirmware(TestPage.command)
        try platform.require(platform.run(.sevPlatformStatus))
        let bytes = platform.machine.memory.bytes(TestPage.command.address, count: 12)
        #expect(bytes == [1, 55, 1, 0, 0, 0, 0, 21, 0, 0, 0, 0])
        #expect(platform.machine.rmp.entry(TestPage.command).state == .reclaim)
        try platform.machine.rmp.rmpUpdate(TestPage.command.address, to: .shared(.size4K))
    }

    @Test("GET_ID tells the room it needs, in a buffer that is Reclaim either way, and gives the chip's identifier")
    func identifier() throws {
        let platform = try TestPlatform()
        let output = TestPage.uncovered.address
        for (room, status) in [(0, FirmwareStatus.invalidLength), (63, .invalidLength), (64, .success), (99, .success)]
        {
            try platform.makeFirmware(TestPage.command)
            #expect(platform.run(SEVGetIDBuffer(address: output, length: UInt32(room))) == status)
            let bytes = platform.machine.memory.bytes(TestPage.command.address, count: 12)
            #expect(SEVGetIDBuffer(decoding: bytes).length == 64)
            #expect(platform.machine.rmp.entry(TestPage.command).state == .reclaim)
            try platform.machine.rmp.rmpUpdate(TestPage.command.address, to: .shared(.size4K))
        }
        #expect(platform.machine.memory.bytes(output, count: 64) == platform.firmware.chipIdentifier)
    }

    @Test("certificates tell the room they need")
    func certificates() throws {
        let platform = try TestPlatform()
        try platform.require(platform.run(SEVInitBuffer(tmr: nil, tmrByteCount: 0)))
        try platform.makeFirmware(TestPage.command)
        #expect(platform.run(SEVCertificateRequestBuffer(address: SPA(0), length: 0)) == .invalidLength)
        let request = platform.machine.memory.bytes(TestPage.command.address, count: 12)
        #expect(SEVCertificateRequestBuffer(decoding: request).length == 0x824)
        try platform.machine.rmp.rmpUpdate(TestPage.command.address, to: .shared(.size4K))
        try platform.makeFirmware(TestPage.command)
        let buffer = SEVCertificateExportBuffer(certificate: SPA(0), length: 0x824, chain: SPA(0), chainLength: 5)
        #expect(platform.run(buffer) == .invalidLength)
        let export = SEVCertificateExportBuffer(
            decoding: platform.machine.memory.bytes(TestPage.command.address, count: 0x1c))
        #expect(export.length == 0x824 && export.chainLength == 3 * 0x824)
    }

    @Test("a buffer in the last bytes of a page is checked page by page, and only its first page is released")
    func twoPages() throws {
        let platform = try TestPlatform()
        let place = SPA((TestPage.page + 1).address.rawValue - 8)
        #expect(platform.firmware.execute(.sevPlatformStatus, buffer: place).rawValue == 0x5a)
        try platform.makeFirmware(TestPage.page)
        #expect(platform.firmware.execute(.sevPlatformStatus, buffer: place).rawValue == 0x5a)
        try platform.makeFirmware(TestPage.page + 1)
        #expect(platform.firmware.execute(.sevPlatformStatus, buffer: place) == .success)
        #expect(platform.machine.rmp.entry(TestPage.page).state == .reclaim)
        #expect(platform.machine.rmp.entry(TestPage.page + 1).state == .firmware)
        #expect(platform.firmware.execute(.sevPlatformStatus, buffer: SPA(1 << 60)) == .invalidAddress)
        #expect(platform.firmware.execute(.sevPlatformStatus, buffer: SPA(512 << 20)) == .invalidAddress)
        #expect(platform.firmware.execute(.sevPlatformStatus, buffer: platform.machine.rmp.base) == .invalidAddress)
    }

    @Test("while SNP is UNINIT any page is good for a buffer, and stays what it is")
    func withoutSNP() throws {
        let platform = try TestPlatform(initialized: false)
        #expect(platform.run(.sevPlatformStatus) == .success)
        #expect(platform.machine.memory.bytes(TestPage.command.address, count: 3) == [1, 55, 0])
    }

    @Test("a command that names a legacy guest finds none; the state comes first; written buffers are firmware's")
    func guests() throws {
        let platform = try TestPlatform()
        let written: Set<UInt16> = [0x23, 0x30, 0x33, 0x40, 0x41, 0x42, 0x50, 0x70]
        let commands = FirmwareCommand.legacyNamed.map(\.command).filter { $0.rawValue >= 0x20 }
        #expect(commands.count == 26)
        for command in commands {
            let isWritten = written.contains(command.rawValue)
            #expect(platform.run(command).rawValue == (isWritten ? 0x5a : 0x01), "\(command)")
        }
        try platform.require(platform.run(SEVInitBuffer(tmr: nil, tmrByteCount: 0)))
        for command in commands where !written.contains(command.rawValue) {
            #expect(platform.run(command) == .invalidGuest, "\(command)")
        }
        for command in commands where written.contains(command.rawValue) {
            try platform.makeFirmware(TestPage.command)
            let makesGuest = command == .sevLaunchStart || command == .sevReceiveStart
            #expect(platform.run(command) == (makesGuest ? .unsupported : .invalidGuest), "\(command)")
            try platform.machine.rmp.rmpUpdate(TestPage.command.address, to: .shared(.size4K))
        }
    }

    @Test("legacy DOWNLOAD_FIRMWARE needs both shut down, and commits")
    func download() throws {
        let platform = try TestPlatform(initialized: false)
        let image = FirmwareImage(product: .genoa, version: .minor(58), securityVersion: 25).signed()
        platform.machine.memory.store(image, at: TestPage.idBlock.address)
        let buffer = SEVDownloadFirmwareBuffer(
            image: TestPage.idBlock.address, imageByteCount: UInt32(image.count))
        try platform.require(platform.run(buffer))
        #expect(platform.firmware.withFirmware { [$0.version.minor, $0.committedVersion.minor] } == [58, 58])
        try platform.require(platform.run(.snpInit))
        #expect(platform.run(buffer) == .invalidPlatformState)
    }
}
