// Which host answers a guest, as data: Linux of two ages, one that promises no more than the GHCB specification, or one that
// attacks its guest. What the last does beside answering is in Hostile/.

/// How a host treats what the GHCB specification leaves open, or what hosts in use do not check.
///
/// The tables Spec/ghcb-*.tsv have a column for each named personality. What no member here decides, all hosts do alike.
public struct GHCBPersonality: Hashable, Sendable {
    /// Who is told of a request that a host refuses.
    public enum Refusal: Hashable, Sendable {
        /// The guest, as malformed input.
        case guest
        /// User space: the run fails.
        case run
        /// Nobody: the guest goes on and finds its page as it was.
        case nobody
    }

    /// The name, as the tables and the command line write it.
    public var name: String
    /// A GHCB page that is not in a memory slot.
    public var missingPage: Refusal
    /// A GHCB page other than the registered one.
    public var unregisteredPage: Refusal
    /// Only frames in a memory slot can be registered.
    public var checksRegistration: Bool
    /// The page's protocol version has to be 1 or 2.
    public var checksVersion: Bool
    /// The scratch area may lie outside the GHCB: up to 16 pages, copied.
    public var allowsScratchAnywhere: Bool
    /// CPUID 0xd subfunction 1 needs XSS.
    public var requiresXSS: Bool
    /// An extended guest request needs RAX and RBX whatever the message; else only one for a report does.
    public var requiresCertificateBuffer: Bool
    /// Pages of messages that are not in a memory slot.
    public var unreadableMessage: Refusal
    /// Sizes and operations without meaning are invalid input; else they pass for what the bits say, or for nothing.
    public var checksOperands: Bool
    /// Reserved bits of a page state change must be zero.
    public var checksReservedBits: Bool
    /// RAX, RBX, RCX and RDX go back marked valid after every event; else only what the event returns.
    public var returnsAllRegisters: Bool
    /// RDTSC, RDTSCP and DR7 are emulated; else RDTSC ends the run, RDTSCP is #UD and DR7 is nothing.
    public var emulatesRareEvents: Bool
    /// User space may answer a page state change only with 0, EINVAL or EAGAIN.
    public var checksHypercallResult: Bool
    /// How the host attacks its guest; nil for a host that does not.
    public var hostility: Hostility?

    /// Linux 6.18 to 7.x.
    public static let kvm = GHCBPersonality(
        name: "kvm", missingPage: .nobody, unregisteredPage: .run, checksRegistration: false, checksVersion: false,
        allowsScratchAnywhere: true, requiresXSS: false, requiresCertificateBuffer: false, unreadableMessage: .run,
        checksOperands: false, checksReservedBits: false, returnsAllRegisters: true, emulatesRareEvents: false,
        checksHypercallResult: false)

    /// Linux with the hardening of 2026.
    public static let kvm2026: GHCBPersonality = {
        var host = GHCBPersonality.kvm
        host.name = "kvm2026"
        host.unregisteredPage = .guest
        host.allowsScratchAnywhere = false
        host.checksHypercallResult = true
        return host
    }()

    /// A host that promises no more than the GHCB specification does.
    ///
    /// - Spec: GHCB 56421
    /// - Deviates: where the specification names no answer, this host chooses the strictest that it has; that a wrong version
    ///   is invalid usage is unconfirmed
    public static let strict = GHCBPersonality(
        name: "strict", missingPage: .run, unregisteredPage: .guest, checksRegistration: true, checksVersion: true,
        allowsScratchAnywhere: false, requiresXSS: true, requiresCertificateBuffer: true, unreadableMessage: .guest,
        checksOperands: true, checksReservedBits: true, returnsAllRegisters: false, emulatesRareEvents: true,
        checksHypercallResult: true)

    /// Every named personality that answers the same to the same request.
    public static let all = [kvm, kvm2026, strict]
}
