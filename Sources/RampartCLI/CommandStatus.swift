// How a command ends. Scripts rely on these numbers.

import Rampart

/// The exit status of the program.
public enum CommandStatus: Int32, Sendable {
    /// Everything is as it should be.
    case good = 0
    /// A violation or a mismatch was found.
    case violation = 1
    /// The command line or an input file cannot be used.
    case usage = 2
    /// What was asked is not supported here, or nothing could be concluded.
    case unsupported = 3
}

/// A command that cannot do what it was asked to: the status, and one line for the user.
struct CommandFailure: Error, Equatable, CustomStringConvertible {
    let status: CommandStatus
    let description: String

    init(_ status: CommandStatus, _ description: String) {
        self.status = status
        self.description = description
    }

    /// What the user can mend is usage; an ID block that does not fit is a mismatch; what the host or firmware refuses otherwise
    /// leaves nothing to conclude.
    init(_ failure: LaunchFailure) {
        if failure.identityRefusal != nil {
            self.init(.violation, failure.description)
            return
        }
        switch failure {
        case .features, .memory, .host: self.init(.usage, failure.description)
        case .call, .command: self.init(.unsupported, failure.description)
        }
    }

    static func usage(_ description: String) -> CommandFailure { CommandFailure(.usage, description) }
    static func unsupported(_ description: String) -> CommandFailure { CommandFailure(.unsupported, description) }
}

/// What a command has to say, and how it ends.
public struct CommandOutcome: Hashable, Sendable {
    /// For standard output.
    public var output: String
    /// For standard error.
    public var diagnostics: String
    /// The exit status.
    public var status: CommandStatus

    /// Makes an outcome.
    public init(output: String = "", diagnostics: String = "", status: CommandStatus = .good) {
        self.output = output
        self.diagnostics = diagnostics
        self.status = status
    }
}
