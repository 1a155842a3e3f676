// `rampart doctor`: what works on this computer.

import ArgumentParser
import Rampart

struct DoctorCommand: ParsableCommand, OutcomeCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Tell what works here: cores, memory, cryptography, and what is not modelled.",
        discussion: "Ends with status 3 if something that Rampart needs does not work here.")

    @Flag(help: "Print JSON.")
    var json = false

    func perform() throws -> CommandOutcome {
        let diagnosis = Diagnosis.run()
        return CommandOutcome(
            output: json ? diagnosis.json.indented() + "\n" : diagnosis.text,
            status: diagnosis.isGood ? .good : .unsupported)
    }
}

extension Diagnosis {
    /// The diagnosis for a person.
    var text: String {
        var lines = [
            "rampart \(RampartVersion.string)",
            "cores                   \(coreCount)",
            "memory                  \(memoryByteCount >> 20) MiB",
            "reservable memory       \(reservableByteCount >> 30) GiB",
        ]
        for check in checks {
            let name = check.name + String(repeating: " ", count: max(1, 24 - check.name.count))
            lines.append("\(name)\(check.isGood ? "ok" : "FAILS"): \(check.detail)")
        }
        lines.append("not modelled:")
        lines += Self.notModelled.map { "  - \($0)" }
        return lines.joined(separator: "\n") + "\n"
    }

    /// The diagnosis for a program.
    var json: JSON {
        .object([
            ("version", .string(RampartVersion.string)), ("good", .boolean(isGood)), ("cores", .integer(coreCount)),
            ("memoryBytes", .unsigned(memoryByteCount)), ("reservableBytes", .unsigned(reservableByteCount)),
            (
                "checks",
                .array(
                    checks.map {
                        .object([
                            ("name", .string($0.name)), ("good", .boolean($0.isGood)), ("detail", .string($0.detail)),
                        ])
                    })
            ),
            ("notModelled", .array(Self.notModelled.map { .string($0) })),
        ])
    }
}
