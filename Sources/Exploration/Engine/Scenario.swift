// A scenario: threads over a small world, and what must hold.

internal import Hypervisor

/// Which part of the hypervisor a scenario is about.
public enum ScenarioArea: String, CaseIterable, Sendable {
    /// Conversions of memory, and faults meanwhile.
    case conversion
    /// Backing memory and slots.
    case memory
    /// Launch, firmware and its statuses.
    case launch
    /// The host itself.
    case host
    /// Running guests, and what they ask for.
    case guest
}

/// Threads over a small world, and what must hold at every point and at the end.
public struct Scenario: Sendable, CustomStringConvertible {
    /// A name of lower-case letters, digits and minus signs.
    public let name: String
    /// What happens, in a line.
    public let summary: String
    /// What it is about.
    public let area: ScenarioArea
    /// Goes up when the threads change, so that old tokens are refused.
    public let version: Int
    /// The world that it needs.
    public let configuration: WorldConfiguration
    let build: @Sendable (World) throws -> Void

    /// Makes a scenario.
    ///
    /// - Parameter build: makes the guests, and adds threads and checks
    public init(
        _ name: String, _ summary: String, in area: ScenarioArea, version: Int = 1,
        configuration: WorldConfiguration = WorldConfiguration(), build: @escaping @Sendable (World) throws -> Void
    ) {
        self.name = name
        self.summary = summary
        self.area = area
        self.version = version
        self.configuration = configuration
        self.build = build
    }

    /// The name.
    public var description: String { name }

    /// All scenarios, area by area.
    public static let all: [Scenario] =
        faultScenarios + conversionScenarios + refusalScenarios + memoryScenarios + launchScenarios + hostScenarios
        + requestScenarios

    /// The scenario of a name.
    public static func named(_ name: String) -> Scenario? { all.first { $0.name == name } }
}

/// The two policies that are for use, with the names that scenarios end in.
let explorablePolicies: [(name: String, policy: any ConversionPolicy)] = [
    ("eager", EagerPolicy()), ("lazy", LazyPolicy()),
]
