// `rampart launch`: launches a guest and tells what became of its pages.

import ArgumentParser
import Monitor
import Rampart
import SNPArchitecture

struct LaunchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "launch",
        abstract: "Launch an SNP guest and show its digest and the states of its pages.",
        discussion: """
            Without arguments the bundled firmware image is launched.

              rampart launch
              rampart launch --ovmf OVMF.fd --memory 2G --vcpus 4 --policy lazy
            """)

    @Option(help: ArgumentHelp("Firmware image.", valueName: "path"))
    var ovmf: String?

    @Option(
        help: ArgumentHelp("The guest's memory (default: 512M).", valueName: "size"),
        transform: ByteSize.init(argument:))
    var memory: ByteSize?

    @Option(help: ArgumentHelp("Number of virtual CPUs, 1 to 4096.", valueName: "n"))
    var vcpus = 1

    @Option(help: "How conversions change the RMP (eager, lazy, asPosted).", transform: PolicyName.init(argument:))
    var policy = PolicyName.eager

    @OptionGroup var owner: OwnerOptions

    @Flag(help: "Print JSON.")
    var json = false

    /// What the arguments ask for.
    ///
    /// - Throws: `CommandFailure`, in check order: the memory's size, the number of virtual CPUs, what the owner asks for
    func request() throws -> LaunchRequest {
        let memory = try memory ?? ByteSize(parsing: "512M")
        try checkMemory(memory, multipleOf: .size4K)
        guard (1...LaunchConfiguration.maximumVCPUCount).contains(vcpus) else {
            throw CommandFailure.usage(LaunchPlanError.vcpuCount(vcpus).description)
        }
        return LaunchRequest(
            imagePath: ovmf, memory: memory, vcpuCount: vcpus, policy: policy, owner: try owner.request())
    }

    func outcome(_ report: LaunchReport) -> CommandOutcome {
        CommandOutcome(
            output: json ? report.json.indented() + "\n" : report.text,
            status: report.violations.isEmpty ? .good : .violation)
    }
}

extension LaunchReport {
    /// The report for a person.
    var text: String {
        var lines = [
            "launched \(request.imagePath ?? "the bundled image"): ASID \(asid), \(request.memory) of memory, "
                + "\(request.vcpuCount) vCPU\(request.vcpuCount == 1 ? "" : "s"), policy \(request.policy.rawValue)",
            "launch digest  \(hexadecimal(digest))",
        ]
        lines += pages.map { "pages  " + padded($0.state, to: 16) + padded(left: String($0.pageCount), to: 12) }
        lines.append(counts.text + ", \(firmwareCommandCount) firmware commands")
        lines.append("time   \(duration.text)")
        return (lines + violationLines(violations)).joined(separator: "\n") + "\n"
    }

    /// The report for a program.
    var json: JSON {
        .object([
            ("image", request.imagePath.map { .string($0) } ?? .null),
            ("memoryBytes", .unsigned(request.memory.byteCount)), ("vcpus", .integer(request.vcpuCount)),
            ("policy", .string(request.policy.rawValue)), ("digest", .string(hexadecimal(digest))),
            ("asid", .unsigned(UInt64(asid.rawValue))), ("pages", tallyJSON(pages)), ("counts", counts.json),
            ("firmwareCommands", .unsigned(firmwareCommandCount)), ("nanoseconds", duration.json),
            ("violations", .array(violations.map { .string($0) })),
        ])
    }
}

extension LaunchCommand: OutcomeCommand {
    func perform() throws -> CommandOutcome {
        do {
            return outcome(try launch(request(), progress: Progress.show))
        } catch let failure as LaunchFailure {
            throw CommandFailure(failure)
        }
    }
}
