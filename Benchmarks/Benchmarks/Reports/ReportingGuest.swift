import Attestation
import Crypto
import Machine
import SNPArchitecture
import SecureProcessor

/// A guest that runs and asks for reports, on a machine with the firmware alone: no hypervisor between them.
final class ReportingGuest {
    struct Refused: Error { var status: FirmwareStatus }

    let machine: Machine
    let firmware: SecureProcessor
    private var sequence: UInt64 = 1
    private let key: SymmetricKey

    private static let buffer = PFN(0x800)
    private static let context = PFN(0x801)
    private static let page = PFN(0x802)
    private static let request = PFN(0x803)
    private static let response = PFN(0x804)
    private static let asid = ASID(5)

    init() throws {
        let machine = try Machine(
            MachineConfiguration(product: .genoa, dramByteCount: 64 << 20, coreCount: 1, rmpBase: SPA(0x20_0000)))
        let firmware = SecureProcessor(
            machine: machine, configuration: FirmwareConfiguration(reportVersion: .version3))
        machine.mailbox.connect(firmware)
        machine.cores.updateAll {
            $0.syscfg |= CoreRegisters.SYSCFG.mfdm | CoreRegisters.SYSCFG.snpEnable | CoreRegisters.SYSCFG.vmplEnable
        }
        func run(_ command: FirmwareCommand, _ bytes: [UInt8] = []) throws {
            try Self.run(machine, command, bytes)
        }
        try run(.snpInit)
        machine.cores.writeBackAndInvalidate()
        try run(.snpDFFlush)
        let context = Self.context.address
        for pfn in [Self.context, Self.response] { try machine.rmp.rmpUpdate(pfn.address, to: .firmware) }
        try run(.snpGCTXCreate, GCTXCreateBuffer(context: context).encoded)
        try run(.snpLaunchStart, LaunchStartBuffer(context: context, policy: .standard).encoded)
        try run(.snpActivate, ActivateBuffer(context: context, asid: Self.asid).encoded)
        try machine.rmp.rmpUpdate(
            Self.page.address, to: .guest(Self.asid, at: GPA(0x1000), .size4K, immutable: true))
        try run(
            .snpLaunchUpdate,
            LaunchUpdateBuffer(context: context, page: Self.page.address, type: .secrets).encoded)
        try run(.snpLaunchFinish, LaunchFinishBuffer(context: context).encoded)
        // As the guest reads it: VMPCK0.
        let secrets = machine.memory.bytes(
            Self.page.address + 0x20, count: 32, key: machine.encryption.key(for: Self.asid) ?? .plain)
        key = SymmetricKey(data: secrets)
        self.machine = machine
        self.firmware = firmware
    }

    private static func run(_ machine: Machine, _ command: FirmwareCommand, _ bytes: [UInt8]) throws {
        machine.memory.store(bytes, at: buffer.address)
        machine.mailbox.writeAddress(buffer.address)
        machine.mailbox.writeCommand(UInt32(command.rawValue) << 16)
        let status = FirmwareStatus(rawValue: UInt16(truncatingIfNeeded: machine.mailbox.readResponse()))
        guard status == .success else { throw Refused(status: status) }
    }

    /// The next requests for a report, sealed by the guest.
    func seal(_ count: Int) throws -> [[UInt8]] {
        var requests: [[UInt8]] = []
        for _ in 0..<count {
            var header = GuestMessageHeader(
                type: .reportRequest, sequenceNumber: sequence, messageSize: 0x60, vmpck: 0)
            let box = try AES.GCM.seal(
                [UInt8](repeating: 0, count: 0x60), using: key, nonce: AES.GCM.Nonce(data: header.nonce),
                authenticating: header.encoded[GuestMessageHeader.authenticatedBytes])
            header.tag = Array(box.tag) + [UInt8](repeating: 0, count: 16)
            requests.append(header.encoded + Array(box.ciphertext))
            sequence += 2
        }
        return requests
    }

    /// SNP_GUEST_REQUEST: the firmware opens the request, makes and signs the report, and seals the answer.
    func send(_ request: [UInt8]) throws {
        machine.memory.store(request, at: Self.request.address)
        try Self.run(
            machine, .snpGuestRequest,
            GuestRequestBuffer(
                context: Self.context.address, request: Self.request.address, response: Self.response.address
            ).encoded)
    }

    /// Reports as the guest reads them.
    func reports(_ count: Int) throws -> [[UInt8]] {
        try seal(count).map { request in
            try send(request)
            let raw = machine.memory.bytes(Self.response.address, count: 0x60 + 0x4c0)
            let header = GuestMessageHeader(decoding: raw)
            let box = try AES.GCM.SealedBox(
                nonce: AES.GCM.Nonce(data: header.nonce), ciphertext: raw[0x60...], tag: raw[..<16])
            let plain = try AES.GCM.open(
                box, using: key, authenticating: raw[GuestMessageHeader.authenticatedBytes])
            return Array(plain[0x20...])
        }
    }

    /// A chip's certificates under the emulator's own root.
    struct Certificates {
        var ark: Certificate
        var ask: Certificate
        var vcek: Certificate
    }

    func certificates() throws -> Certificates {
        let authority = TestAuthority(product: .genoa)
        let vcek = try authority.vcek(
            publicKey: firmware.vcekPublicKey(), tcb: firmware.platformStatus.reportedTCB,
            chipIdentifier: firmware.chipIdentifier)
        return Certificates(ark: authority.ark, ask: authority.ask, vcek: vcek)
    }

    /// The chain that they make.
    static func verified(_ certificates: Certificates) throws -> EndorsementChain {
        let date = CertificateTime(year: 2026, month: 6, day: 1)
        let authority = try AuthorityChain(
            ark: certificates.ark, intermediate: certificates.ask, trust: .given, at: date)
        return try EndorsementChain(endorsement: certificates.vcek, under: authority, at: date)
    }
}
