// The RMP that SNP_INIT builds, what the status commands report, and the rest of the mailbox.

import Machine
import SNPArchitecture
import Testing

@testable import SecureProcessor

@Suite("Platform")
struct PlatformTests {
    @Test("SNP_INIT makes the RMP's own pages Firmware, ASEG HV-Fixed and the rest Hypervisor, with right counts")
    func initialRMP() throws {
        let platform = try TestPlatform()
        let rmp = platform.machine.rmp
        var counts: [PageState: Int] = [:]
        for number in 0..<rmp.coveredFrameCount { counts[rmp.entry(PFN(number)).state, default: 0] += 1 }
        #expect(counts[.firmware] == 256 && counts[.hypervisorFixed] == 32)
        #expect(counts[.hypervisor] == Int(rmp.coveredFrameCount) - 288)
        for pfn in rmp.tableFrames.joined() { #expect(rmp.entry(pfn).state == .firmware) }
        #expect(rmp.rawEntry(PFN(0xa0)) == RMPEntryRaw(low: 4, high: 0))
        #expect(rmp.rawEntry(PFN(0x201)).low == 0x8000_0000_0000_0005)
        // Of the 256 pages the first is the region's own entry: 255 sub-pages.
        #expect(rmp.entry(PFN(0x200)).subpageCount == 255 && rmp.entry(PFN(0)).subpageCount == 0)
        #expect(throws: RMPStatus.failPermission) { try rmp.rmpUpdate(rmp.base, to: .shared(.size4K)) }
    }

    @Test("a second INIT starts from an empty RMP: entries, counters and sub-page counts")
    func rebuild() throws {
        let platform = try TestPlatform()
        let rmp = platform.machine.rmp
        try platform.assign(TestPage.page, ASID(5), at: GPA(0x1000))
        try platform.assign(TestPage.large, ASID(6), at: GPA(0x20_0000), .size2M)
        #expect(rmp.assignedPageCount(of: ASID(5)) == 1)
        try platform.require(platform.run(ShutdownExBuffer(iommuShutdown: true)))
        try platform.require(platform.run(.snpInit))
        #expect(rmp.assignedPageCount(of: ASID(5)) == 0 && rmp.assignedPageCount(of: ASID(6)) == 0)
        #expect(rmp.rawEntry(TestPage.page) == RMPEntryRaw(low: 0, high: 0))
        #expect(rmp.rawEntry(PFN(0xa00)) == RMPEntryRaw(low: 0, high: 0))
        #expect(rmp.entry(PFN(0x200)).subpageCount == 255)
    }

    @Test("ranges of the list are HV-Fixed, cut short at the first bad one, and never the RMP's own pages")
    func rangeList() throws {
        let platform = try TestPlatform(initialized: false)
        let list = RangeList([
            PageRange(base: SPA(0x100_0000), pageCount: 3), PageRange(base: SPA(0x1f_f000), pageCount: 3),
            PageRange(base: SPA(0x200_0001), pageCount: 1), PageRange(base: SPA(0x300_0000), pageCount: 1),
        ])
        platform.machine.memory.store(list.encoded, at: TestPage.idBlock.address)
        #expect(platform.run(InitExBuffer(initializeRMP: true, rangeList: TestPage.idBlock.address)) == .success)
        let rmp = platform.machine.rmp
        for frame in [0x1000, 0x1002, 0x1ff] as [UInt64] { #expect(rmp.entry(PFN(frame)).state == .hypervisorFixed) }
        for frame in [0x1003, 0x2000, 0x3000] as [UInt64] { #expect(rmp.entry(PFN(frame)).state == .hypervisor) }
        #expect(rmp.entry(PFN(0x200)).state == .firmware && rmp.entry(PFN(0x201)).state == .firmware)
        #expect(throws: RMPStatus.failPermission) { try rmp.rmpUpdate(SPA(0x100_0000), to: .firmware) }
    }

    @Test("a range list of hostile sizes ends early and harms nothing")
    func hostileRangeList() throws {
        let platform = try TestPlatform(initialized: false)
        let list = RangeList([
            PageRange(base: SPA(0x800_0000), pageCount: .max),
            PageRange(base: SPA(0xffff_ffff_ffff_f000), pageCount: .max),
        ])
        platform.machine.memory.store(list.encoded, at: TestPage.idBlock.address)
        #expect(platform.run(InitExBuffer(initializeRMP: true, rangeList: TestPage.idBlock.address)) == .success)
        #expect(platform.machine.rmp.entry(PFN(0x8000)).state == .hypervisorFixed)
        #expect(platform.machine.rmp.entry(PFN(0x7fff)).state == .hypervisor)
    }

    @Test("an RMP over ASEG, or without entries of its own, is RMP_INITIALIZATION_FAILED")
    func misplacedRMP() throws {
        #expect(try TestPlatform(rmpBase: SPA(0), initialized: false).run(.snpInit) == .rmpInitializationFailed)
        let platform = try TestPlatform(rmpBase: SPA(300 << 20), initialized: false)
        #expect(platform.run(.snpInit) == .rmpInitializationFailed)
        #expect(platform.firmware.platformState == .uninitialized && platform.firmware.platformStatus.rmpFlags == [])
    }

    @Test("UNSMASH of a range that runs into the RMP is INVALID_ADDRESS")
    func unsmashOverRMP() throws {
        let platform = try TestPlatform(rmpBase: SPA(0x30_0000))
        #expect(platform.run(PageUnsmashBuffer(page: SPA(0x20_0000))) == .invalidAddress)
    }

    @Test("UNSMASH gives one 2M page in the same state, which can be launched and reclaimed as such")
    func unsmash() throws {
        let scenario = try CommandScenario("SNP_PAGE_UNSMASH")
        #expect(scenario.run() == .success)
        let rmp = scenario.platform.machine.rmp
        let entry = rmp.entry(TestPage.large)
        #expect(entry.pageSize == .size2M && entry.subpageCount == 0 && entry.state == .preGuest)
        #expect(entry.gfn == GFN(0x4_0000) && rmp.assignedPageCount(of: ASID(5)) == 512)
        #expect(rmp.effectiveEntry(TestPage.large + 5)?.gfn == GFN(0x4_0005))
        #expect(scenario.platform.run(PageReclaimBuffer(page: TestPage.large.address, size: .size2M)) == .success)
        #expect(rmp.entry(TestPage.large).state == .guestInvalid)
        try rmp.rmpUpdate(TestPage.large.address, to: .shared(.size2M))
        #expect(rmp.assignedPageCount(of: ASID(5)) == 0)
    }

    @Test("PLATFORM_STATUS and GUEST_STATUS write what they know, at any offset that stays in the page")
    func statuses() throws {
        let platform = try TestPlatform()
        try platform.makeGuest()
        try platform.makeFirmware(TestPage.status)
        let place = TestPage.status.address + 0xfe0
        #expect(platform.run(PlatformStatusBuffer(status: place)) == .success)
        let status = PlatformStatus(decoding: platform.machine.memory.bytes(place, count: 0x20))
        #expect(status == platform.firmware.platformStatus)
        #expect(status.apiMajor == 1 && status.apiMinor == 55 && status.state == .initialized && status.guestCount == 1)
        #expect(status.rmpFlags == .rmpIsInitialized && status.features == .featureInfo)
        #expect(platform.run(GuestStatusBuffer(context: TestPage.context.address, status: place)) == .success)
        let guest = GuestStatus(decoding: platform.machine.memory.bytes(place, count: 0x20))
        #expect(guest == GuestStatus(policy: .standard, asid: ASID(5), state: .launching, vcekIsDisabled: false))
        #expect(platform.machine.rmp.entry(TestPage.status).state == .firmware, "output pages are not reclaimed")
    }

    @Test("before INIT the page of PLATFORM_STATUS may be any")
    func statusBeforeInit() throws {
        let platform = try TestPlatform(initialized: false)
        #expect(platform.run(PlatformStatusBuffer(status: TestPage.status.address)) == .success)
        let bytes = platform.machine.memory.bytes(TestPage.status.address, count: 0x20)
        #expect(PlatformStatus(decoding: bytes).state == .uninitialized && bytes[0] == 1)
    }

    @Test("CONFIG compares TCBs as one number; COMMIT drops what CONFIG set")
    func configuration() throws {
        let parts = TCBComponents(bootLoader: 3, tee: 2, snp: 8, microcode: 10)
        let platform = try TestPlatform(
            configuration: FirmwareConfiguration(currentTCB: TCBVersion(parts, layout: .milanGenoa)))
        func config(_ bootLoader: UInt8, _ tee: UInt8, _ snp: UInt8, _ microcode: UInt8) -> FirmwareStatus {
            let tcb = TCBComponents(bootLoader: bootLoader, tee: tee, snp: snp, microcode: microcode)
            return platform.run(ConfigBuffer(reportedTCB: TCBVersion(tcb, layout: .milanGenoa), maskChipID: true))
        }
        #expect(config(2, 99, 99, 99) == .success, "a smaller boot loader outweighs greater parts")
        #expect(platform.firmware.platformStatus.features == [.featureInfo, .maskChipID])
        #expect(platform.firmware.platformStatus.reportedTCB.components(.milanGenoa).tee == 99)
        #expect(config(3, 2, 8, 11) == .invalidParam && config(4, 0, 0, 0) == .invalidParam)
        #expect(platform.run(CommitBuffer(length: 4)) == .success)
        #expect(platform.firmware.platformStatus.reportedTCB == TCBVersion(parts, layout: .milanGenoa))
        #expect(config(0, 0, 0, 0) == .success, "zero means the committed one")
        #expect(platform.firmware.platformStatus.reportedTCB == TCBVersion(parts, layout: .milanGenoa))
    }

    @Test("unknown commands and those that are not implemented are INVALID_COMMAND, whatever their buffer")
    func unknownCommands() throws {
        let platform = try TestPlatform()
        let lacking = platform.firmware.withFirmware { firmware in
            CommandTable.rows.filter { !firmware.features.isSuperset(of: $0.requires) }.map(\.command)
        }
        #expect(lacking == [.snpVerifyMitigation])
        let implemented = Set(
            (CommandTable.rows.map(\.command) + LegacyCommandTable.rows.map(\.command)).map(\.rawValue)
        ).subtracting(lacking.map(\.rawValue))
        #expect(implemented.count == 29 + 39)
        for identifier in 0..<256 as Range<UInt16> where !implemented.contains(identifier) {
            platform.machine.mailbox.writeAddress(SPA(.max))
            platform.machine.mailbox.writeCommand(UInt32(identifier) << 16)
            #expect(platform.machine.mailbox.readResponse() == 1 << 31 | 0x11, "\(identifier)")
        }
        #expect(platform.firmware.execute(FirmwareCommand(rawValue: 0x181), buffer: SPA(0)) == .invalidCommand)
    }

    @Test("the table of commands agrees with the vocabulary: identifiers once, sizes of buffers")
    func commandTable() {
        #expect(Set(CommandTable.rows.map(\.command)).count == CommandTable.rows.count)
        let table = Dictionary(uniqueKeysWithValues: CommandTable.rows.map { ($0.command, $0.bufferSize) })
        let named = Dictionary(uniqueKeysWithValues: FirmwareCommand.named.map { ($0.command, $0.bufferSize) })
        #expect(table == named)
    }

    static let bufferAddresses: [(address: UInt64, status: FirmwareStatus)] = [
        (0x1000_0000_0000_0000, .invalidAddress), (0x3ffd_0000_0000 - 4, .invalidAddress), (0xa_0000, .invalidAddress),
        (0xb_fffc, .invalidAddress), (0x20_0000, .invalidAddress), (0x1f_fffc, .invalidAddress),
        (0x2000_0000, .invalidConfig), (0x1fff_fffc, .invalidConfig), (0x3ffc_ffff_fff8, .invalidConfig),
    ]

    @Test(
        "a command buffer outside DRAM, in ASEG or in the RMP is refused before anything else",
        arguments: bufferAddresses)
    func bufferAddress(_ address: UInt64, _ status: FirmwareStatus) throws {
        let platform = try TestPlatform()
        #expect(platform.firmware.execute(.snpDecommission, buffer: SPA(address)) == status)
    }

    @Test("the C-bit of addresses is ignored, of the buffer and in it")
    func cBit() throws {
        let platform = try TestPlatform()
        try platform.makeFirmware(TestPage.context)
        let buffer = GCTXCreateBuffer(context: SPA(TestPage.context.address.rawValue | 1 << 51))
        platform.machine.memory.store(buffer.encoded, at: TestPage.command.address)
        let address = SPA(TestPage.command.address.rawValue | 1 << 51)
        #expect(platform.firmware.execute(.snpGCTXCreate, buffer: address) == .success)
        #expect(platform.guest != nil)
    }
}
