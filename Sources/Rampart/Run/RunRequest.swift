// What `rampart run` is asked, and what became of the guest.

internal import Hypervisor
public import Monitor
public import Processor
public import SNPArchitecture

/// Which host kernel answers the guest's requests.
public enum PersonalityName: String, CaseIterable, Sendable {
    /// As Linux behaves, leniency included.
    case kvm
    /// As Linux behaves after its hardening of 2026.
    case kvm2026
    /// Only what the GHCB specification promises.
    case strict
    /// As kvm2026, and attacks the guest.
    case hostile

    /// The host.
    ///
    /// - Parameters:
    ///   - attacks: what a hostile one does; empty for everything
    ///   - seed: what a hostile one draws its numbers from
    func personality(attacks: [String], seed: UInt64) -> GHCBPersonality {
        switch self {
        case .kvm: .kvm
        case .kvm2026: .kvm2026
        case .strict: .strict
        case .hostile:
            .hostile(
                Hostility(
                    attacks.isEmpty
                        ? Set(HostileAttack.allCases) : Set(attacks.compactMap(HostileAttack.init(rawValue:))),
                    seed: seed)
            )
        }
    }

    /// The attacks of a hostile host: the name and one line for people.
    public static var attacks: [(name: String, summary: String)] {
        HostileAttack.allCases.map { ($0.rawValue, $0.summary) }
    }
}

/// What a hostile host has done to the guest.
public struct AttackReport: Hashable, Sendable {
    /// The attacks that were carried out, in the order of their definition.
    public var attacks: [ExitTally]
    /// How many private pages were compared around attacks on memory.
    public var comparedPageCount: UInt64
    /// Private pages that read otherwise than written, in words; empty while SNP keeps its promise.
    public var corruptions: [String]

    init(_ record: HostileRecord) {
        attacks = HostileAttack.allCases.compactMap { attack in
            record.counts[attack].map { ExitTally(name: attack.rawValue, count: $0) }
        }
        comparedPageCount = record.comparedPageCount
        corruptions = record.corruptions
    }
}

/// A run of a guest.
public struct RunRequest: Sendable {
    /// What runs.
    public enum Program: Hashable, Sendable {
        /// A guest that is part of the program.
        case bundled(BundledGuest)
        /// A file: ELF, Multiboot, or what else can be recognised.
        case file(String)

        /// How messages name it.
        public var name: String {
            switch self {
            case .bundled(let guest): guest.rawValue
            case .file(let path): path
            }
        }
    }

    /// What runs.
    public var program: Program
    /// The guest's memory.
    public var memory: ByteSize
    /// The number of virtual CPUs.
    public var vcpuCount: Int
    /// What the guest is told.
    public var commandLine: String
    /// Which host kernel answers.
    public var personality: PersonalityName
    /// What a hostile host does, by name; empty for everything.
    public var attacks: [String]
    /// How conversions change the RMP.
    public var policy: PolicyName
    /// How long the run may take in seconds; nil for as long as it likes.
    public var timeLimit: Double?
    /// Whether the run is recorded.
    public var isTraced: Bool
    /// Seeds the machine and its chip.
    public var seed: UInt64

    /// Makes a request.
    public init(
        program: Program, memory: ByteSize, vcpuCount: Int, commandLine: String = "",
        personality: PersonalityName = .kvm2026, attacks: [String] = [],
        policy: PolicyName = .eager, timeLimit: Double? = nil, isTraced: Bool = false, seed: UInt64 = 0
    ) {
        self.program = program
        self.memory = memory
        self.vcpuCount = vcpuCount
        self.commandLine = commandLine
        self.personality = personality
        self.attacks = attacks
        self.policy = policy
        self.timeLimit = timeLimit
        self.isTraced = isTraced
        self.seed = seed
    }
}

/// How a guest ended.
public enum GuestEnding: Hashable, Sendable, CustomStringConvertible {
    /// It wrote a number to the exit port.
    case exited(UInt32)
    /// It asked for termination: its GHCB MSR.
    case terminated(ghcb: UInt64)
    /// A triple fault.
    case shutdown
    /// No virtual CPU can run, and nothing will wake one.
    case halted
    /// The host would not run it: the exit, and which virtual CPU.
    case refused(String, vcpu: UInt32)
    /// A virtual CPU makes no progress: its nested page fault at this address comes again and again, and nothing changes.
    case stuck(GPA, vcpu: UInt32)
    /// The time was up.
    case timeLimit
    /// The user ended it at the console.
    case quit

    /// One line for the user.
    public var description: String {
        switch self {
        case .exited(let status): "the guest ended with status \(status)"
        case .terminated(let ghcb): Self.termination(ghcb)
        case .shutdown: "the guest died of a triple fault"
        case .halted: "every virtual CPU is halted, and nothing will wake one"
        case .refused(let exit, let vcpu): "virtual CPU \(vcpu) cannot go on: \(exit)"
        case .stuck(let gpa, let vcpu):
            "virtual CPU \(vcpu) is stuck: its nested page fault at \(gpa) repeats, and nothing changes"
        case .timeLimit: "the time limit was reached"
        case .quit: "the guest was ended at the console"
        }
    }

    /// The kinds of endings, one word each, for programs.
    public enum Kind: String, CaseIterable, Sendable {
        case exited, terminated, shutdown, halted, refused, stuck, timeLimit, quit
    }

    /// The kind of this one.
    public var kind: Kind {
        switch self {
        case .exited: .exited
        case .terminated: .terminated
        case .shutdown: .shutdown
        case .halted: .halted
        case .refused: .refused
        case .stuck: .stuck
        case .timeLimit: .timeLimit
        case .quit: .quit
        }
    }

    /// How often a nested page fault comes in a row until its guest counts as stuck.
    public static var repetitionLimit: Int { RepeatedFault.limit }

    private static func termination(_ ghcb: UInt64) -> String {
        guard ghcb & 0xfff == 0x100 else {
            return "the guest asked to be terminated (GHCB 0x\(String(ghcb, radix: 16)))"
        }
        return
            "the guest asked to be terminated: reason set \(ghcb >> 12 & 0xf), reason 0x\(String(ghcb >> 16 & 0xff, radix: 16))"
    }
}

/// A number of exits of one kind.
public struct ExitTally: Hashable, Sendable {
    /// The kind, in words.
    public var name: String
    /// How often.
    public var count: UInt64
}

/// What a run came to.
public struct RunReport: Sendable {
    /// The request.
    public var request: RunRequest
    /// The launch digest, 48 bytes.
    public var digest: [UInt8]
    /// How it ended.
    public var ending: GuestEnding
    /// What the guest wrote to the console.
    public var console: [UInt8]
    /// What each virtual CPU did.
    public var processors: [ProcessorCounts]
    /// #VMEXITs by kind, the most frequent first.
    public var exits: [ExitTally]
    /// Exits to the monitor by kind.
    public var userExits: [ExitTally]
    /// The pages by state at the end.
    public var pages: [PageTally]
    /// What the host did.
    public var counts: OperationCounts
    /// The attestation report that the guest handed over, if it did.
    public var attestation: [UInt8]?
    /// Why that report does not verify; nil if it does.
    public var attestationRefusal: String?
    /// What a hostile host has done; nil for any other.
    public var attacks: AttackReport?
    /// Broken invariants, in words.
    public var violations: [String]
    /// The wall-clock time of the guest's run.
    public var duration: Duration
    /// The recorded run, as `TraceFile` reads it, if that was asked for.
    public var trace: String
    /// Why the guest died, if it did.
    public var autopsy: String?

    /// Instructions that raised #UD, by their bytes or names.
    public var undefined: [ExitTally] {
        var all: [String: UInt64] = [:]
        for processor in processors { all.merge(processor.undefined) { $0 + $1 } }
        return all.sorted { $0.key < $1.key }.map { ExitTally(name: $0.key, count: $0.value) }
    }
    /// Instructions of all virtual CPUs.
    public var instructions: UInt64 { processors.reduce(0) { $0 &+ $1.instructions } }
    /// All is well: the guest ended by itself with 0, its report verifies, the invariants hold.
    public var isGood: Bool { ending == .exited(0) && attestationRefusal == nil && violations.isEmpty }
}
