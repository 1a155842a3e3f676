// For each command a scenario in which every precondition holds, and for each precondition a way to break it.

import Machine
import SNPArchitecture

@testable import SecureProcessor

/// A platform, a command and its buffer, ready to run.
final class CommandScenario {
    let platform: TestPlatform
    let command: FirmwareCommand
    var buffer = CommandBytes()
    var idBlock: IDBlock?
    var idAuthentication: IDAuthentication?
    var message: TestMessage?
    var rangeList: RangeList?
    /// APIC identifiers.
    var coreList: [UInt32]?
    var wrappedKey: [UInt8]?
    /// An image to download, and whether a byte of it is wrong.
    var image: FirmwareImage?
    var imageIsSpoiled = false
    /// Where the command's buffer lies.
    var bufferPage = TestPage.command
    /// What the command returns when every precondition holds.
    var expected = FirmwareStatus.success

    init(_ name: String) throws {
        let named = (FirmwareCommand.named + FirmwareCommand.legacyNamed).first { $0.name == name }
        command = named?.command ?? FirmwareCommand(rawValue: 0)
        let isNewest = command == .snpInitEx || command == .snpVerifyMitigation
        let startsShutDown: [FirmwareCommand] = [.snpInit, .sevDownloadFirmware]
        platform = try TestPlatform(
            product: isNewest ? .turin : .genoa,
            configuration: FirmwareConfiguration(version: isNewest ? .minor(58) : .minor(55)),
            initialized: !startsShutDown.contains(command))
        switch command {
        case .snpInit, .snpInitEx: try prepareInit()
        case _ where command.rawValue < 0x80: try prepareLegacy()
        default: try prepare()
        }
    }

    /// Writes what the buffer points to and runs the command.
    func run() -> FirmwareStatus {
        if let idBlock { platform.machine.memory.store(idBlock.encoded, at: TestPage.idBlock.address) }
        if let idAuthentication {
            platform.machine.memory.store(idAuthentication.encoded, at: TestPage.idAuthentication.address)
        }
        let lists = rangeList?.encoded ?? coreList?.flatMap { [UInt8(truncatingIfNeeded: $0), 0, 0, 0] } ?? wrappedKey
        if let image {
            var bytes = image.signed()
            if imageIsSpoiled { bytes[bytes.count - 1] ^= 1 }
            platform.machine.memory.store(bytes, at: TestPage.idBlock.address)
        }
        if let lists { platform.machine.memory.store(lists, at: TestPage.idBlock.address) }
        writeMessage()
        return platform.run(command, buffer.prefix(CommandBytes.maximumByteCount), at: bufferPage)
    }

    /// Leaves the guest's message where the buffer says it is, if DRAM is there.
    private func writeMessage() {
        let spa = GuestRequestBuffer(bytes: buffer).request
        guard let message, platform.machine.memory.contains(spa, count: 0x2000) else { return }
        let keys = platform.messageKeys()
        guard keys.count == 4, let sealed = try? message.sealed(keys[Int(min(message.header.vmpck, 3))]) else { return }
        let region = spa.frame.aligned(down: .size2M)
        if [TestPage.request.aligned(down: .size2M), TestPage.uncovered, TestPage.operand].contains(region) {
            platform.machine.memory.store(sealed, at: spa)
        }
    }

    /// Changes the buffer as one of its type.
    func edit<Buffer: CommandBuffer>(_ type: Buffer.Type, _ change: (inout Buffer) -> Void) {
        var typed = Buffer(bytes: buffer)
        change(&typed)
        buffer = typed.bytes
    }

    func changeGuest(_ pfn: PFN = TestPage.context, _ change: @Sendable (inout GuestRecord) -> Void) {
        platform.firmware.withFirmware { firmware in
            guard var guest = firmware.guests[pfn] else { return }
            change(&guest)
            firmware.guests[pfn] = guest
        }
    }

    /// The page that the command works on: PAGE_PADDR.
    var page: PFN {
        switch command {
        case .snpLaunchUpdate: LaunchUpdateBuffer(bytes: buffer).page.frame
        default: PageReclaimBuffer(bytes: buffer).page.frame
        }
    }

    private func prepareInit() throws {
        guard command == .snpInitEx else { return }
        try platform.require(platform.run(.snpShutdown))
        var initEx = InitExBuffer(initializeRMP: false)
        initEx.ciphertextIsHidden = true
        initEx.maximumSNPASID = 50
        buffer = initEx.bytes
        platform.machine.iommu.buffers = [TestPage.page..<(TestPage.page + 1)]
    }

    /// The size of the image to download.
    var imageByteCount: UInt32 { UInt32(image?.signed().count ?? 0) }

    private func prepare() throws {
        let context = TestPage.context.address
        switch command {
        case .snpShutdownEx:
            buffer = ShutdownExBuffer(iommuShutdown: true, x86Shutdown: true).bytes
            platform.firmware.withFirmware { $0.iommuPages = [TestPage.page] }
        case .snpDownloadFirmwareEx:
            image = FirmwareImage(product: .genoa, version: .minor(57), securityVersion: 24)
            buffer = DownloadFirmwareExBuffer(image: TestPage.idBlock.address, imageByteCount: imageByteCount).bytes
        case .snpVerifyMitigation:
            try platform.makeFirmware(TestPage.status)
            var verify = VerifyMitigationBuffer(
                subcommand: VerifyMitigationBuffer.verify, vector: 1, destination: TestPage.status.address)
            verify.sourceIsEnabled = true
            verify.source = TestPage.page.address
            buffer = verify.bytes
        case .snpPlatformStatus:
            try platform.makeFirmware(TestPage.status)
            buffer = PlatformStatusBuffer(status: TestPage.status.address).bytes
        case .snpGCTXCreate:
            try platform.makeFirmware(TestPage.context)
            buffer = GCTXCreateBuffer(context: context).bytes
        case .snpDecommission:
            try platform.makeGuest()
            buffer = DecommissionBuffer(context: context).bytes
        case .snpActivate:
            try platform.makeGuest(asid: nil)
            buffer = ActivateBuffer(context: context, asid: ASID(5)).bytes
        case .snpGuestStatus:
            try platform.makeGuest()
            try platform.makeFirmware(TestPage.status)
            buffer = GuestStatusBuffer(context: context, status: TestPage.status.address).bytes
        case .snpLaunchStart:
            let policy: GuestPolicy = [.standard, .migrationAgentAllowed, .singleSocket]
            try platform.makeGuest(TestPage.agent, policy: policy, asid: nil)
            try platform.makeFirmware(TestPage.context)
            try platform.require(platform.run(GCTXCreateBuffer(context: context)))
            var start = LaunchStartBuffer(context: context, policy: policy)
            start.migrationAgentIsEnabled = true
            start.migrationAgentContext = TestPage.agent.address
            buffer = start.bytes
        case .snpLaunchUpdate:
            try platform.makeGuest()
            platform.machine.memory.store(patternPage, at: TestPage.page.address)
            try platform.assign(TestPage.page, ASID(5), at: GPA(0x1000))
            buffer = LaunchUpdateBuffer(context: context, page: TestPage.page.address, type: .normal).bytes
        case .snpLaunchFinish: try prepareFinish()
        case .snpGuestRequest:
            try platform.makeRunningGuest()
            try platform.makeFirmware(TestPage.response)
            message = TestMessage(.reportRequest, [UInt8](repeating: 0, count: 0x60), vmpck: 0)
            buffer =
                GuestRequestBuffer(
                    context: context, request: TestPage.request.address, response: TestPage.response.address
                ).bytes
        case .snpDbgDecrypt, .snpDbgEncrypt:
            try platform.makeGuest(policy: [.standard, .debugAllowed])
            try platform.assign(TestPage.page, ASID(5), at: GPA(0x1000))
            try platform.makeFirmware(TestPage.status)
            let (page, own) = (TestPage.page.address, TestPage.status.address)
            buffer =
                command == .snpDbgDecrypt
                ? DebugDecryptBuffer(context: context, source: page, destination: own).bytes
                : DebugEncryptBuffer(context: context, source: own, destination: page).bytes
        case .snpPageSetState:
            for index in 0..<4 as Range<UInt64> { try platform.makeFirmware(TestPage.large + index) }
            rangeList = RangeList([PageRange(base: TestPage.large.address, pageCount: 4)])
            buffer = PageSetStateBuffer(list: TestPage.idBlock.address).bytes
        case .snpActivateEx:
            try platform.makeGuest(asid: nil)
            coreList = [0, 3]
            buffer = ActivateExBuffer(context: context, asid: ASID(5), count: 2, list: TestPage.idBlock.address).bytes
        case .snpVLEKLoad:
            wrappedKey = platform.firmware.wrappedVLEK(seed: 1)
            buffer = VLEKLoadBuffer(wrapped: TestPage.idBlock.address).bytes
        case .snpPageMDInit, .snpPageMove, .snpPageSwapOut, .snpPageSwapIn: try preparePaging()
        case .snpPageReclaim:
            try platform.makeFirmware(TestPage.page)
            buffer = PageReclaimBuffer(page: TestPage.page.address).bytes
        case .snpPageUnsmash:
            for index in 0..<512 as Range<UInt64> {
                try platform.assign(TestPage.large + index, ASID(5), at: (GFN(0x4_0000) + index).address)
            }
            buffer = PageUnsmashBuffer(page: TestPage.large.address).bytes
        case .snpConfig:
            buffer = ConfigBuffer(reportedTCB: platform.firmware.platformStatus.currentTCB, maskChipID: true).bytes
        case .snpCommit: buffer = CommitBuffer(length: 4).bytes
        case .snpFeatureInfo:
            try platform.makeFirmware(TestPage.status)
            buffer = FeatureInfoBuffer(subleaf: 1, output: TestPage.status.address).bytes
        default: break
        }
    }

    /// A guest with a page that firmware holds, and a page of metadata where a migration agent would be.
    private func preparePaging() throws {
        let (context, page) = (TestPage.context.address, TestPage.page.address)
        let (other, metadata) = (TestPage.status.address, TestPage.agent.address + 0x40)
        try platform.makeGuest()
        try platform.assign(TestPage.page, ASID(5), at: GPA(0x1000))
        try platform.makeFirmware(TestPage.status)
        try platform.makeFirmware(TestPage.agent)
        try platform.assign(TestPage.large, ASID(5), at: GPA(0x5000))
        if command == .snpPageMDInit {
            buffer = PageMDInitBuffer(context: context, page: other).bytes
            return
        }
        try platform.require(platform.run(PageMDInitBuffer(context: context, page: TestPage.agent.address)))
        let out = PageSwapOutBuffer(context: context, source: page, destination: other, metadata: metadata)
        switch command {
        case .snpPageMove:
            buffer = PageMoveBuffer(context: context, source: page, destination: TestPage.large.address).bytes
        case .snpPageSwapOut: buffer = out.bytes
        default:
            try platform.require(platform.run(out))
            buffer = PageSwapInBuffer(context: context, source: other, destination: page, metadata: metadata).bytes
        }
    }

    private func prepareFinish() throws {
        let identity = try TestIdentity()
        try platform.makeGuest()
        try platform.require(platform.load(.normal, patternPage, at: GPA(0x1000)))
        let block = IDBlock(launchDigest: platform.guest?.launchDigest ?? [], guestSVN: 7, policy: .standard)
        idBlock = block
        idAuthentication = try identity.authenticate(block)
        var finish = LaunchFinishBuffer(context: TestPage.context.address, hostData: [1, 2, 3])
        finish.idBlockIsEnabled = true
        finish.authorKeyIsEnabled = true
        finish.idBlock = TestPage.idBlock.address
        finish.idAuthentication = TestPage.idAuthentication.address
        buffer = finish.bytes
    }
}
