// A launched guest whose code talks to firmware: it reads its own secrets page, seals requests into memory that it
// shares with the host, and opens the answers that come back.

internal import Hypervisor
internal import Machine
public import Monitor
public import SNPArchitecture
public import ScriptedGuest

/// A guest that asks firmware.
///
/// - Deviates: a call of the host stands for VMGEXIT with the event SNP_GUEST_REQUEST
public final class AttestedGuest {
    /// The guest.
    public let guest: LaunchedGuest
    /// What firmware gave the guest at launch, as the guest reads it.
    public let secrets: SecretsPage
    private let port: GuestPort
    private let pages: (request: GPA, response: GPA)
    private var channels: [Int: GuestMessageChannel] = [:]

    /// Launches a guest.
    ///
    /// - Throws: in check order: what the launch refuses, `.noSecrets`, `.noSharedMemory`, `.access`
    public init(
        _ plan: LaunchPlan, owner: OwnerRequest = OwnerRequest(), on host: EmulatedHost? = nil
    ) throws(GuestRequestFailure) {
        do throws(LaunchFailure) { guest = try LaunchedGuest(plan, owner: owner, on: host) } catch {
            throw .launch(error)
        }
        guard let page = plan.steps.first(where: { $0.kind == .secrets && $0.pageCount > 0 })?.gfn,
            let port = GuestPort(guest.machine)
        else { throw .noSecrets }
        self.port = port
        guard let pages = Self.sharedPages(guest.machine, below: plan.lowMemoryEnd) else { throw .noSharedMemory }
        self.pages = pages
        do throws(GuestPortError) {
            secrets = SecretsPage(decoding: try port.load(page.address, count: SecretsPage.byteCount, .private))
        } catch { throw .access(error.description) }
    }

    /// Two pages above the first that the guest shares with the host.
    private static func sharedPages(_ machine: VirtualMachine, below end: GPA) -> (request: GPA, response: GPA)? {
        let shared = machine.attributeRuns(in: GFN(1)..<max(GFN(1), end.frame))
            .filter { $0.attribute == .shared }.flatMap { $0.range.prefix(2) }
        guard shared.count >= 2 else { return nil }
        return (shared[0].address, shared[1].address)
    }

    /// Sends a request with one of the guest's keys and returns the answer's payload.
    ///
    /// - Throws: in check order: `.message` (no such key, the channel is closed, the payload), `.access`, `.host`,
    ///   `.access`, `.message` (the answer); the channel is closed from `.host` on
    public func ask(
        _ type: GuestMessageType, _ payload: [UInt8], vmpck: Int = 0
    ) throws(GuestRequestFailure) -> [UInt8] {
        var channel: GuestMessageChannel
        let page: [UInt8]
        do throws(GuestMessageError) {
            if let known = channels[vmpck] {
                channel = known
            } else {
                channel = try GuestMessageChannel(vmpck: vmpck, secrets: secrets)
            }
            page = try channel.seal(type, payload)
        } catch { throw .message(error) }
        defer { channels[vmpck] = channel }
        let answer: [UInt8]
        do throws(GuestRequestFailure) { answer = try exchange(page) } catch {
            channel.close()
            throw error
        }
        do throws(GuestMessageError) { return try channel.open(answer) } catch { throw .message(error) }
    }

    /// Puts a sealed page where the host finds it, exits to the host, and reads the page that comes back.
    ///
    /// - Throws: in check order: `.access`, `.host` (with the firmware's status if firmware refused), `.access`
    public func exchange(_ page: [UInt8]) throws(GuestRequestFailure) -> [UInt8] {
        do throws(GuestPortError) { try port.store(page, at: pages.request, .shared) } catch {
            throw .access(error.description)
        }
        do throws(SEVCommandError) {
            try guest.machine.snpGuestRequest(pages.request, response: pages.response)
        } catch { throw .host(error.firmware, error.description) }
        do throws(GuestPortError) {
            return try port.load(pages.response, count: GuestMessageChannel.pageByteCount, .shared)
        } catch { throw .access(error.description) }
    }

    /// Asks for an attestation report.
    ///
    /// - Returns: 1184 bytes
    /// - Throws: as `ask`, then `.message` (what firmware refuses inside the message)
    public func report(_ request: ReportRequestMessage, vmpck: Int = 0) throws(GuestRequestFailure) -> [UInt8] {
        let payload = try ask(.reportRequest, request.encoded, vmpck: vmpck)
        do throws(GuestMessageError) { return try ReportResponseMessage(decoding: payload).report } catch {
            throw .message(error)
        }
    }
}

/// Why a guest has no answer from firmware.
public enum GuestRequestFailure: Error, Hashable, Sendable, CustomStringConvertible {
    /// The guest was not launched.
    case launch(LaunchFailure)
    /// The image asks for no secrets page: the guest has no keys.
    case noSecrets
    /// The guest shares no two pages with the host.
    case noSharedMemory
    /// The guest cannot reach its memory.
    case access(String)
    /// The host or firmware refused to take the request.
    case host(FirmwareStatus?, String)
    /// The guest cannot send, or does not believe the answer.
    case message(GuestMessageError)

    /// One line for the user.
    public var description: String {
        switch self {
        case .launch(let failure): failure.description
        case .noSecrets: "the firmware image has no secrets page, so that the guest has no keys. Use another image."
        case .noSharedMemory: "the guest shares no memory with the host. Use another image."
        case .access(let reason): "\(reason)."
        case .host(_, let reason): "SNP_GUEST_REQUEST is refused: \(reason)."
        case .message(let error): "the guest's message failed: \(error)."
        }
    }
}
