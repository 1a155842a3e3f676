// The `rampart` command: its subcommands, and the way from arguments to an outcome.

public import ArgumentParser
import Rampart

/// The `rampart` command.
public struct RampartCommand: ParsableCommand {
    /// Name, summary and subcommands.
    public static let configuration = CommandConfiguration(
        commandName: "rampart",
        abstract: "AMD SEV-SNP without the hardware.",
        discussion: """
            Exit status: 0 good, 1 a violation or mismatch was found, 2 wrong usage or input, 3 unsupported or \
            inconclusive.
            """,
        version: RampartVersion.string,
        subcommands: [
            RunCommand.self, TraceCommand.self, LaunchCommand.self, ConvertCommand.self, MeasureCommand.self,
            ReportCommand.self,
            CertsCommand.self,
            IDBlockCommand.self, KDSCommand.self, FirmwareRootCommand.self, ExploreCommand.self,
            ReplayCommand.self, ScenariosCommand.self, KnownBugsCommand.self, DoctorCommand.self,
        ])

    /// Makes the command; the parser fills it.
    public init() {}
}

/// A subcommand that gives an outcome instead of printing.
protocol OutcomeCommand: ParsableCommand {
    /// Does what the command says.
    ///
    /// - Throws: `CommandFailure`; `InputError`, whose status is `.usage`
    func perform() throws -> CommandOutcome
}

extension RampartCommand {
    /// Parses arguments and does what they say, without printing.
    public static func execute(_ arguments: [String]) -> CommandOutcome {
        do {
            var command = try parseAsRoot(arguments)
            if let command = command as? any OutcomeCommand { return try command.perform() }
            // The root command and the parser's own commands end by throwing what they print.
            try command.run()
            return CommandOutcome()
        } catch let failure as CommandFailure {
            return CommandOutcome(diagnostics: "Error: \(failure)\n", status: failure.status)
        } catch let error as InputError {
            return CommandOutcome(diagnostics: "Error: \(error)\n", status: .usage)
        } catch {
            let message = fullMessage(for: error)
            let text = message.isEmpty || message.hasSuffix("\n") ? message : message + "\n"
            return exitCode(for: error).isSuccess
                ? CommandOutcome(output: text) : CommandOutcome(diagnostics: text, status: .usage)
        }
    }

    /// Runs the program with the process's arguments, prints, and ends the process.
    public static func start() -> Never {
        let outcome = execute(Array(CommandLine.arguments.dropFirst()))
        Progress.clear()
        StandardStream.error.send(outcome.diagnostics)
        guard StandardStream.output.send(outcome.output) else {
            StandardStream.error.send("Error: cannot write standard output. Make room, or keep the reader open.\n")
            endProcess(.unsupported)
        }
        endProcess(outcome.status)
    }
}
