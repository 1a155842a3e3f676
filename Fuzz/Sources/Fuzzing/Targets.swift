// The targets by name.

internal import Hypervisor

/// There is no target or defect of the name.
public struct UnknownName: Error, CustomStringConvertible {
    /// What was asked for and what there is.
    public let description: String
}

/// The names of all targets.
public let targetNames = ["ioctls", "ghcb", "psc", "mailbox", "report", "files"]

/// Builds a target.
///
/// - Parameter defect: the name of a known defect to switch on, to see the target find it
/// - Throws: `UnknownName`, or what the machine refuses
public func makeTarget(_ name: String, defect: String? = nil) throws -> any FuzzTarget {
    var defects: KnownDefects = []
    if let defect {
        guard let known = KnownDefect(rawValue: defect) else {
            throw UnknownName(description: "there is no defect \(defect)")
        }
        defects = KnownDefects(known)
    }
    switch name {
    case "ioctls": return ScenarioTarget(try IoctlWorld(defects: defects), IoctlWorld.operations)
    case "ghcb": return ScenarioTarget(try RequestWorld(defects: defects), RequestWorld.operations)
    case "psc": return ScenarioTarget(try RequestWorld(defects: defects), RequestWorld.pageStateOperations)
    case "mailbox": return ScenarioTarget(try MailboxWorld(defects: defects), MailboxWorld.operations)
    case "report": return ScenarioTarget(ReportWorld(), ReportWorld.operations)
    case "files": return FileTarget()
    default:
        throw UnknownName(description: "there is no target \(name); there are \(targetNames.joined(separator: ", "))")
    }
}
