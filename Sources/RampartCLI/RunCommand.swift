// `rampart run`: runs a program as an SNP guest.

import ArgumentParser
import Monitor
import Rampart
import SNPArchitecture

struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Run a program as an SNP guest, with its console here and a summary at the end.",
        discussion: """
            Without arguments the bundled guest "hello" runs: it gets a GHCB, converts a page, and has firmware attest to it. \
            The other bundled guests are convert, smp, misbehave and ticks. A program of your own is a static ELF or Multiboot \
            image; Guests/README.md says what it finds when it starts.

            At a terminal the keys are the guest's, but for Ctrl-A x, which ends it, and Ctrl-A h, which tells of the \
            others. Input from a file or a pipe is given to the guest when it waits for it, so that equal input gives equal \
            runs.

            When a guest dies, the summary says why: its last instructions, the way of the faulting address through guest \
            tables, nested tables and the RMP, and who changed the page last. docs/explanations.md reads four of these. A guest \
            counts as dead, too, when it is stuck: one nested page fault has come \(GuestEnding.repetitionLimit) times in a row, and \
            nothing has changed in between. So ends a guest under --policy asPosted, where a host with KVM would hang.

            Ends with status 0 if the guest ended with 0, its report verifies and the invariants hold; with 3 if the time \
            was up or the guest was ended at the console; else, as with every death, with 1. In JSON, "endingKind" is one of \
            \(GuestEnding.Kind.allCases.map(\.rawValue).joined(separator: ", ")).

            A hostile host answers as kvm2026 does and attacks the guest within the machine's rules: it lies, replays, \
            remaps, drops. It makes every attack, or those named: \
            \(PersonalityName.attacks.map(\.name).joined(separator: ", ")). Which requests it attacks follows from --seed. The \
            guest may then end in any way but one: no private page may ever read otherwise than it was written, and that \
            is checked.

              rampart run
              rampart run --personality hostile:remap,lie-cpuid --seed 7
              rampart run --guest misbehave --append "psc-too-many forged-message" --personality strict
              rampart run --elf kernel.elf --memory 256M --vcpus 4 --trace kernel.trace
            """)

    @Option(help: "The bundled guest (hello, convert, smp, misbehave, ticks).")
    var guest: String?

    @Option(
        name: [.customLong("elf"), .customLong("image")], help: ArgumentHelp("A program instead.", valueName: "path"))
    var image: String?

    @Option(
        help: ArgumentHelp("The guest's memory (default: 64M).", valueName: "size"),
        transform: ByteSize.init(argument:))
    var memory: ByteSize?

    @Option(help: ArgumentHelp("Number of virtual CPUs, 1 to 64.", valueName: "n"))
    var vcpus = 2

    @Option(help: ArgumentHelp("What the guest is told: its command line.", valueName: "text"))
    var append = ""

    @Option(help: "Which host kernel answers (kvm, kvm2026, strict, hostile or hostile:attack,...).")
    var personality = "kvm2026"

    @Option(help: "How conversions change the RMP (eager, lazy, asPosted).", transform: PolicyName.init(argument:))
    var policy = PolicyName.eager

    @Option(help: ArgumentHelp("Stop after this time.", valueName: "seconds"))
    var timeLimit: Double?

    @Option(help: ArgumentHelp("Record the run in a file, for rampart trace.", valueName: "path"))
    var trace: String?

    @Option(help: ArgumentHelp("Write the report that the guest got to a file.", valueName: "path"))
    var reportOut: String?

    @Option(help: ArgumentHelp("Seeds the machine and its chip.", valueName: "n"))
    var seed: UInt64 = 0

    @Flag(help: "Print JSON; the console is part of it, and a terminal is left alone.")
    var json = false

    /// What the arguments ask for.
    ///
    /// - Throws: `CommandFailure`, in check order: the program, the memory's size, the number of virtual CPUs, the
    ///   personality, its attacks, the time limit
    func request() throws -> RunRequest {
        guard guest == nil || image == nil else { throw CommandFailure.usage("give --guest or --elf, not both.") }
        let program: RunRequest.Program
        if let image {
            program = .file(image)
        } else {
            let name = guest ?? BundledGuest.hello.rawValue
            guard let bundled = BundledGuest(rawValue: name) else {
                throw CommandFailure.usage(
                    "no bundled guest is called \(name). Use hello, convert, smp, misbehave or ticks.")
            }
            program = .bundled(bundled)
        }
        let memory = try memory ?? ByteSize(parsing: "64M")
        try checkMemory(memory, multipleOf: .size4K)
        guard (1...64).contains(vcpus) else {
            throw CommandFailure.usage("--vcpus \(vcpus) is not possible. Use 1 to 64.")
        }
        let words = personality.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard let host = PersonalityName(rawValue: words[0]) else {
            throw CommandFailure.usage("the personality \(words[0]) is unknown. Use kvm, kvm2026, strict or hostile.")
        }
        let attacks = try attacks(words.dropFirst().first, of: host)
        if let timeLimit, !(timeLimit > 0 && timeLimit < 1e9) {
            throw CommandFailure.usage("--time-limit \(timeLimit) is no time. Use seconds above 0.")
        }
        return RunRequest(
            program: program, memory: memory, vcpuCount: vcpus, commandLine: append, personality: host,
            attacks: attacks, policy: policy,
            timeLimit: timeLimit, isTraced: trace != nil, seed: seed)
    }

    /// The attacks that follow a personality's name.
    private func attacks(_ list: String?, of host: PersonalityName) throws -> [String] {
        guard let list else { return [] }
        guard host == .hostile else {
            throw CommandFailure.usage("only a hostile host has attacks; \(host.rawValue) takes none.")
        }
        let names = list.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        let known = PersonalityName.attacks.map(\.name)
        for name in names where !known.contains(name) {
            throw CommandFailure.usage(
                "the attack \"\(name)\" is unknown. Use some of \(known.joined(separator: ", ")).")
        }
        return names
    }

    func outcome(_ report: RunReport) throws -> CommandOutcome {
        if let trace { try write(Array((report.trace + "\n").utf8), to: trace) }
        if let reportOut {
            guard let bytes = report.attestation else {
                throw CommandFailure.unsupported(
                    "the guest handed over no report, so there is nothing for \(reportOut).")
            }
            try write(bytes, to: reportOut)
        }
        let isOpen = report.ending == .timeLimit || report.ending == .quit
        let status: CommandStatus = report.isGood ? .good : isOpen ? .unsupported : .violation
        return CommandOutcome(output: json ? report.json.indented() + "\n" : report.text, status: status)
    }

    private func write(_ bytes: [UInt8], to path: String) throws {
        do { try writeFile(path, bytes) } catch { throw InputError("\(path): \(error)") }
    }
}

extension RunCommand: OutcomeCommand {
    func perform() throws -> CommandOutcome {
        let request = try request()
        do {
            let console = StandardConsole(.standard, isSilent: json)
            defer { console.close() }
            let report = try runGuest(request, console: console)
            return try outcome(report)
        } catch let failure as LaunchFailure {
            throw CommandFailure(failure)
        }
    }
}

extension RunReport {
    private var rate: String {
        let nanoseconds = duration.nanoseconds
        guard nanoseconds > 0 else { return "" }
        let mips = Double(instructions) * 1000 / Double(nanoseconds)
        return ", \(Int(mips.rounded())) MIPS"
    }

    /// The summary for a person.
    var text: String {
        var lines = ["", "\(ending)"]
        lines.append("launch digest  \(hexadecimal(digest))")
        lines.append("instructions   \(instructions) in \(duration.text)\(rate)")
        lines.append("exits          " + list(exits))
        lines.append("user exits     " + list(userExits))
        if let attacks {
            lines.append("attacks        " + list(attacks.attacks))
            lines.append(
                "integrity      \(attacks.comparedPageCount) private pages compared, "
                    + "\(attacks.corruptions.count) read otherwise than written")
        }
        lines += pages.map { "pages  " + padded($0.state, to: 16) + padded(left: String($0.pageCount), to: 12) }
        lines.append(counts.text)
        if let attestation {
            lines.append(
                attestationRefusal.map { "REPORT: \(attestation.count) bytes that do not verify: \($0)" }
                    ?? "report         \(attestation.count) bytes, verified under Rampart's TEST root")
        }
        if !undefined.isEmpty { lines.append("undefined instructions: " + list(undefined)) }
        if let autopsy { lines.append(autopsy) }
        return (lines + violationLines(violations)).joined(separator: "\n") + "\n"
    }

    private func list(_ tallies: [ExitTally]) -> String {
        tallies.isEmpty ? "none" : tallies.map { "\($0.count) \($0.name)" }.joined(separator: ", ")
    }

    /// The summary for a program.
    var json: JSON {
        func tally(_ tallies: [ExitTally]) -> JSON { .object(tallies.map { ($0.name, .unsigned($0.count)) }) }
        return .object([
            ("program", .string(request.program.name)), ("memoryBytes", .unsigned(request.memory.byteCount)),
            ("vcpus", .integer(request.vcpuCount)), ("personality", .string(request.personality.rawValue)),
            ("attacks", attacks.map { tally($0.attacks) } ?? .null),
            ("comparedPages", attacks.map { .unsigned($0.comparedPageCount) } ?? .null),
            ("policy", .string(request.policy.rawValue)), ("digest", .string(hexadecimal(digest))),
            ("ending", .string(ending.description)), ("endingKind", .string(ending.kind.rawValue)),
            ("good", .boolean(isGood)),
            ("console", .string(String(decoding: console, as: UTF8.self))), ("instructions", .unsigned(instructions)),
            ("exits", tally(exits)), ("userExits", tally(userExits)), ("pages", tallyJSON(pages)),
            ("counts", counts.json),
            ("report", attestation.map { .string(hexadecimal($0)) } ?? .null),
            ("reportRefusal", attestationRefusal.map { .string($0) } ?? .null),
            ("violations", .array(violations.map { .string($0) })), ("nanoseconds", duration.json),
        ])
    }
}
