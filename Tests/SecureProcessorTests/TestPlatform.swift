// A machine with firmware on it, and the host's part in few words: pages for firmware, buffers, commands.

import Machine
import SNPArchitecture
import Testing

@testable import SecureProcessor

/// The pages that tests use. The first 252 MiB of the machine's 512 MiB have RMP entries.
enum TestPage {
    static let command = PFN(0x800)
    static let context = PFN(0x801)
    static let agent = PFN(0x802)
    static let status = PFN(0x803)
    static let idBlock = PFN(0x804)
    static let idAuthentication = PFN(0x805)
    /// A guest's request; the page after it is nobody's, and neither is watched.
    static let request = PFN(0x806)
    static let response = PFN(0x808)
    /// A page of 4K, not 2M aligned.
    static let page = PFN(0xa01)
    /// The first of 512 pages.
    static let large = PFN(0xc00)
    /// Pages for the operands of any command, each the first of 512 that nothing else uses.
    static let operand = PFN(0x1000)
    static let second = PFN(0x1200)
    static let third = PFN(0x1400)
    /// A frame without an RMP entry.
    static let uncovered = PFN(0x1_8000)
    static let watched: [PFN] = [
        command, context, agent, status, response, PFN(0xa00), page, large, large + 1, large + 511,
    ]
}

final class TestPlatform {
    let machine: Machine
    let firmware: SecureProcessor

    init(
        product: Product = .genoa, coreCount: Int = 4, configuration: FirmwareConfiguration = FirmwareConfiguration(),
        rmpBase: SPA? = SPA(0x20_0000), initialized: Bool = true
    ) throws {
        var machineConfiguration = MachineConfiguration(
            product: product, dramByteCount: 512 << 20, coreCount: coreCount, rmpBase: rmpBase)
        machineConfiguration.rmpCoveredByteCount = 252 << 20
        machine = try Machine(machineConfiguration)
        firmware = SecureProcessor(machine: machine, configuration: configuration)
        machine.mailbox.connect(firmware)
        machine.cores.updateAll {
            $0.syscfg |= CoreRegisters.SYSCFG.mfdm | CoreRegisters.SYSCFG.snpEnable | CoreRegisters.SYSCFG.vmplEnable
        }
        if initialized {
            try require(run(.snpInit))
            try flush()
        }
    }

    struct Refused: Error { var status: FirmwareStatus }

    func require(_ status: FirmwareStatus) throws {
        if status != .success { throw Refused(status: status) }
    }

    /// Sends a command through the mailbox.
    func run(
        _ command: FirmwareCommand, _ bytes: [UInt8] = [], at page: PFN = TestPage.command
    ) -> FirmwareStatus {
        if !bytes.isEmpty { machine.memory.store(bytes, at: page.address) }
        machine.mailbox.writeAddress(page.address)
        machine.mailbox.writeCommand(UInt32(command.rawValue) << 16)
        let response = machine.mailbox.readResponse()
        precondition(response >> 31 == 1, "the mailbox completes")
        return FirmwareStatus(rawValue: UInt16(truncatingIfNeeded: response))
    }

    func run<Buffer: CommandBuffer>(_ buffer: Buffer) -> FirmwareStatus { run(Buffer.command, buffer.encoded) }

    func flush() throws {
        machine.cores.writeBackAndInvalidate()
        try require(run(.snpDFFlush))
    }

    /// Writes an entry as firmware could.
    func setEntry(_ pfn: PFN, _ change: (inout RMPEntry) -> Void) {
        var entry = machine.rmp.entry(pfn)
        change(&entry)
        machine.rmp.firmwareWrite(pfn, entry)
    }

    func makeFirmware(_ pfn: PFN) throws {
        try machine.rmp.rmpUpdate(pfn.address, to: .firmware)
    }

    /// Assigns a page to a guest as the hypervisor does before LAUNCH_UPDATE.
    func assign(_ pfn: PFN, _ asid: ASID, at gpa: GPA, _ size: PageSize = .size4K) throws {
        try machine.rmp.rmpUpdate(pfn.address, to: .guest(asid, at: gpa, size, immutable: true))
    }

    /// A guest up to a point of its launch.
    func makeGuest(
        _ context: PFN = TestPage.context, policy: GuestPolicy = .standard, asid: ASID? = ASID(5),
        _ change: (inout LaunchStartBuffer) -> Void = { _ in }
    ) throws {
        try makeFirmware(context)
        try require(run(GCTXCreateBuffer(context: context.address)))
        var start = LaunchStartBuffer(context: context.address, policy: policy)
        change(&start)
        try require(run(start))
        if let asid { try require(run(ActivateBuffer(context: context.address, asid: asid))) }
    }

    /// Loads one page of 4K of the given bytes at a guest address.
    func load(
        _ type: PageType, _ bytes: [UInt8] = [], at gpa: GPA, page: PFN = TestPage.page, asid: ASID = ASID(5),
        _ change: (inout LaunchUpdateBuffer) -> Void = { _ in }
    ) throws -> FirmwareStatus {
        if !bytes.isEmpty { machine.memory.store(bytes, at: page.address) }
        try assign(page, asid, at: gpa)
        var buffer = LaunchUpdateBuffer(context: TestPage.context.address, page: page.address, type: type)
        change(&buffer)
        return run(buffer)
    }

    var guest: GuestInspection? { firmware.inspectGuest(context: TestPage.context.address) }

    /// What a refused command must leave as it was.
    func snapshot() -> PlatformSnapshot {
        let memory = machine.memory
        return PlatformSnapshot(
            entries: (TestPage.watched + (0..<512).map { TestPage.large + $0 }).map { machine.rmp.rawEntry($0) },
            guests: [TestPage.context, TestPage.agent].map { firmware.inspectGuest(context: $0.address) },
            status: firmware.platformStatus, asids: firmware.withFirmware { $0.asids },
            keys: TestPage.watched.map { memory.key(of: $0) },
            bytes: TestPage.watched.dropFirst().map { memory.bytes($0.address, count: 4096, key: memory.key(of: $0)) },
            cores: machine.cores.all, legacy: firmware.withFirmware { $0.legacy },
            versions: firmware.withFirmware { [$0.version, $0.committedVersion] },
            mitigations: firmware.withFirmware { $0.verifiedMitigations })
    }
}

struct PlatformSnapshot: Equatable, CustomTestStringConvertible {
    /// A failed comparison would print megabytes.
    var testDescription: String { "\(status) \(legacy) \(versions)" }
    var entries: [RMPEntryRaw]
    var guests: [GuestInspection?]
    var status: PlatformStatus
    var asids: ASIDTable
    var keys: [KeyID]
    /// The command page aside.
    var bytes: [[UInt8]]
    var cores: [CoreRegisters]
    var legacy: LegacyPlatform
    var versions: [FirmwareVersion]
    var mitigations: UInt64
}

extension FirmwareVersion {
    /// A version whose build does not matter.
    static func minor(_ minor: UInt8) -> Self { Self(major: 1, minor: minor, build: 4) }
}

/// Hexadecimal digits of bytes, and back.
func hex(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}
func bytes(hex: String) -> [UInt8] {
    let digits = Array(hex)
    return stride(from: 0, to: digits.count, by: 2).map { UInt8(String(digits[$0..<$0 + 2]), radix: 16) ?? 0 }
}

/// The page P of the known answers: bytes 00 to FF, 16 times.
let patternPage: [UInt8] = (0..<4096).map { UInt8(truncatingIfNeeded: $0) }
