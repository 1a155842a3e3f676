// A known bug as users name it.

internal import Hypervisor

/// A bug that hypervisors have had and that can be switched on.
public struct KnownBug: Hashable, Sendable {
    let defect: KnownDefect

    init(_ defect: KnownDefect) { self.defect = defect }

    /// Finds a bug by its name or number.
    public init?(_ text: String) {
        let byNumber = Int(text).flatMap { number in KnownDefect.allCases.first { $0.number == number } }
        guard let defect = KnownDefect(rawValue: text) ?? byNumber else { return nil }
        self.init(defect)
    }

    /// Every bug, in order of numbers.
    public static let all = KnownDefect.allCases.map { KnownBug($0) }

    /// The name.
    public var name: String { defect.rawValue }
    /// The number in the list of known bugs, or nil if it is not of the list.
    public var number: Int? { defect.number }
    /// What is wrong, in a line.
    public var summary: String { defect.summary }
}
