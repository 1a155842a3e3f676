// What a malicious host does, attack by attack. Each stays within the machine's rules: the host executes no instruction and
// writes no memory that the RMP would refuse. What then comes of it in the guest is Spec/hostile-attacks.tsv's.

public import SNPArchitecture

/// One thing that a hostile host does.
///
/// - Deviates: injected #VC and other events are left out, as is what a host learns from ciphertext and page faults
public enum HostileAttack: String, CaseIterable, Sendable {
    /// Answers with another result: refusals for successes, successes for refusals, exceptions that no answer may ask for;
    /// other versions, features and registrations by the MSR.
    ///
    /// Cannot: change what the guest has checked by other means. Detected: only #GP and #UD make sense; C-bit, versions and
    /// registered frame are compared with what the guest knows.
    case lieInfo = "lie-info"
    /// Answers CPUID with wrong values. Cannot: touch the CPUID page that firmware has checked.
    case lieCPUID = "lie-cpuid"
    /// Returns wrong values in the registers that an event returns.
    case lieRegisters = "lie-registers"
    /// Fills and marks fields that the guest did not ask for, RIP and RSP among them. Cannot: reach the guest's registers,
    /// which only the guest loads.
    case strayFields = "stray-fields"
    /// Answers and marks no field of the answer as valid. Detected: a guest looks for the marks.
    case omitFields = "omit-fields"
    /// Says that pages have changed their state, and changes none. Cannot: make an access succeed. A private access finds the
    /// page not assigned, a shared one finds it assigned: both are #NPF, which only the host sees.
    case claimConversion = "claim-conversion"
    /// Changes the state of pages, and says that it failed.
    case denyConversion = "deny-conversion"
    /// Makes the list of a page state change longer, or goes back in it. Detected: the guest compares the header.
    case growList = "grow-list"
    /// Gives firmware's last answer once more instead of the new one. Detected: by the sequence number, then by the seal.
    case replayMessage = "replay-message"
    /// Puts an older GHCB in place of the answer.
    case replayGHCB = "replay-ghcb"
    /// Does nothing and lets the guest go on. Detected: the request's own bits are still set. Cannot: be prevented.
    case dropRequest = "drop-request"
    /// Says that a processor was started, and starts none.
    case loseProcessor = "lose-processor"
    /// Starts a processor with another page. Cannot: run what is no VMSA of this guest, nor one VMSA twice at a time.
    case wrongVMSA = "wrong-vmsa"
    /// Takes the frame of a private page back. Its next frame is not validated: #VC 404.
    case unassign
    /// Puts another frame under a validated page and keeps the first as it is. The new frame is not validated: #VC 404. A
    /// guest that validates it has accepted the page twice.
    case remap
    /// Puts the frame that `remap` has kept back. It holds what the guest left there, which is what the guest wrote last
    /// unless it accepted the page twice.
    case swapBack = "swap-back"
    /// Maps a private page to the frame of another. Cannot: succeed, as the RMP has the other page's address: #NPF.
    case alias
    /// Changes shared memory between two reads of the guest. Cannot: be prevented; a guest copies, then looks.
    case changeShared = "change-shared"

    /// One line for people.
    public var summary: String {
        switch self {
        case .lieInfo: "answers with another result than the true one"
        case .lieCPUID: "answers CPUID with wrong values"
        case .lieRegisters: "returns wrong values in registers"
        case .strayFields: "fills and marks fields that the guest did not ask for"
        case .omitFields: "marks no field of its answer as valid"
        case .claimConversion: "says that pages changed their state when they did not"
        case .denyConversion: "changes the state of pages and says that it failed"
        case .growList: "makes the guest's list of page state changes longer"
        case .replayMessage: "gives an old answer of firmware again"
        case .replayGHCB: "puts an old GHCB in place of the answer"
        case .dropRequest: "ignores a request"
        case .loseProcessor: "says that a processor was started when it was not"
        case .wrongVMSA: "starts a processor with another page than the VMSA it was given"
        case .unassign: "takes the frame of a private page away"
        case .remap: "puts another frame under a private page"
        case .swapBack: "puts the first frame back under a page that was remapped"
        case .alias: "maps a private page to another page's frame"
        case .changeShared: "changes shared memory between two reads"
        }
    }
}

/// How a host is hostile.
public struct Hostility: Hashable, Sendable {
    /// What it does.
    public var attacks: Set<HostileAttack>
    /// What it draws its numbers from: one seed, one behaviour.
    public var seed: UInt64
    /// How many opportunities it lets pass for one that it takes, on average, itself included; 1 for none.
    public var interval: UInt64
    /// The only guest frame whose memory it attacks, and there the first bytes; nil for any.
    public var target: GFN?

    /// Makes a description.
    ///
    /// - Parameter interval: 0 counts as 1; without one, the fewer attacks there are the more often each is made, so that a
    ///   guest gets somewhere before it meets the first
    public init(
        _ attacks: Set<HostileAttack> = Set(HostileAttack.allCases), seed: UInt64 = 0, interval: UInt64? = nil,
        target: GFN? = nil
    ) {
        self.attacks = attacks
        self.seed = seed
        self.interval = max(interval ?? 4 * UInt64(attacks.count), 1)
        self.target = target
    }
}
