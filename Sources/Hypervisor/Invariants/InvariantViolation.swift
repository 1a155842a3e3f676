// What must hold between the RMP, the nested tables, the attributes, the backing and the allocator.
//
// The checks take no locks, so that an explorer can run them at any schedule point; on real threads call them at rest.

internal import Machine
public import SNPArchitecture

/// A broken invariant, in words.
public struct InvariantViolation: Hashable, Sendable, CustomStringConvertible {
    /// The number of the invariant in docs/architecture.md.
    public var number: Int
    /// What is wrong, where.
    public var text: String
    /// The frame that it is about, if it is about one.
    public var pfn: PFN?

    /// The number and the words.
    public var description: String { "invariant \(number): \(text)" }
}

/// Collects violations up to a limit.
struct Findings {
    private(set) var violations: [InvariantViolation] = []
    let limit: Int
    var isFull: Bool { violations.count >= limit }

    mutating func add(_ number: Int, _ text: @autoclosure () -> String, about pfn: PFN? = nil) {
        guard !isFull else { return }
        violations.append(InvariantViolation(number: number, text: text(), pfn: pfn))
    }
}

/// When a check is made: some invariants hold only between operations.
public enum InvariantMoment: Sendable {
    /// No call is under way.
    case atRest
    /// Anywhere: calls may be half done.
    case anywhere
}

extension Host {
    /// Checks every invariant over the machines that exist on the host.
    ///
    /// - Parameters:
    ///   - machines: all virtual machines of the host that are not destroyed
    ///   - moment: what may be under way
    ///   - limit: stop after so many findings
    public func checkInvariants(
        of machines: [VirtualMachine], _ moment: InvariantMoment = .atRest, limit: Int = 32
    ) -> [InvariantViolation] {
        var findings = Findings(limit: limit)
        for machine in machines {
            machine.checkMappings(moment, &findings)
            if moment == .atRest { machine.checkBacking(&findings) }
        }
        checkOwnership(machines, moment, &findings)
        for text in self.machine.rmp.findViolations(limit: limit) { findings.add(8, text) }
        for text in self.machine.rmp.audit.findings { findings.add(6, text) }
        return findings.violations
    }
}
