// What libFuzzer runs: a target takes an input, does what it says, and reports what is wrong.

/// One fuzz target.
public protocol FuzzTarget {
    /// Runs an input from the same beginning as every other. `trace` is told of each step before it is done.
    ///
    /// - Returns: what is wrong, in words; nil when all is well
    func run(_ bytes: UnsafeRawBufferPointer, trace: ((String) -> Void)?) -> String?

    /// An input as people read it; nil if it has no text.
    func text(_ bytes: UnsafeRawBufferPointer) -> String?

    /// The input of a text.
    ///
    /// - Throws: what is wrong with it
    func bytes(_ text: String) throws -> [UInt8]
}

/// A world in which a scenario plays: built once, put back after each run.
public protocol ScenarioWorld: AnyObject {
    /// Puts everything back.
    func restore()
    /// The first thing that is wrong now.
    func problem() -> String?
}

/// A target whose inputs are scenarios.
public struct ScenarioTarget<World: ScenarioWorld>: FuzzTarget {
    private let world: World
    private let grammar: Grammar<World>
    /// Longer scenarios find no more, and cost more.
    private let stepLimit = 64

    /// Makes a target over a world.
    public init(_ world: World, _ operations: [Operation<World>]) {
        self.world = world
        grammar = Grammar(operations)
    }

    /// Does the steps one by one, with a look at the invariants after each.
    public func run(_ bytes: UnsafeRawBufferPointer, trace: ((String) -> Void)?) -> String? {
        var problem: String?
        var steps = 0
        grammar.forEachStep(bytes) { operation, arguments in
            trace?(grammar.line(operation, arguments))
            do { try operation.perform(world, arguments) } catch { trace?("    refused: \(error)") }
            steps += 1
            if let found = world.problem() {
                problem = "after \(grammar.line(operation, arguments)): \(found)"
            }
            return problem == nil && steps < stepLimit
        }
        world.restore()
        return problem
    }

    /// The scenario.
    public func text(_ bytes: UnsafeRawBufferPointer) -> String? { grammar.text(bytes) }

    /// The bytes of a scenario.
    ///
    /// - Throws: what is wrong with the first bad line
    public func bytes(_ text: String) throws -> [UInt8] { try grammar.bytes(text) }
}
