// Patch 48 made right: the RMP changes with the attribute, prepare first, then commit.

public import SNPArchitecture

/// The seed's policy without its defects.
///
/// - Spec: patch 48 of the series; the rules are in docs/architecture.md, "Page-state conversion"
public struct EagerPolicy: ConversionPolicy {
    /// Makes the policy.
    public init() {}
    /// "eager".
    public var name: String { "eager" }
    /// True.
    public var isEager: Bool { true }
    /// True: a page that was not backed when its attribute changed is assigned at its first fault.
    public var preparesAtFault: Bool { true }
    /// False: attributes say exactly which frames were converted.
    public var storesAttributesOnFailure: Bool { false }

    /// Refuses a slot that can have no private pages.
    ///
    /// - Throws: EPERM (a slot without guest memory)
    public func check(_ machine: VirtualMachine, _ ranges: [SlotRange]) throws(ConversionFailure) {
        for range in ranges where range.slot.guestMemory == nil {
            throw ConversionFailure(.notPermitted, gfn: range.frames.lowerBound)
        }
    }

    /// Converts: first everything that can be refused, then RMPUPDATEs.
    ///
    /// To private, a failure takes back what was done; to shared it cannot, since RMPUPDATE has cleared the validated bit.
    ///
    /// - Throws: EINVAL (a page is another owner's or immutable; RMPUPDATE or PSMASH refused for good), ENOMEM (direct map)
    public func convert(
        _ machine: VirtualMachine, _ ranges: [SlotRange], to attribute: MemoryAttribute, asid: ASID,
        counts: inout ConversionCounts
    ) throws(ConversionFailure) {
        var plan = ConversionPlan()
        defer { machine.releaseDirectMap(plan, &counts) }
        switch attribute {
        case .private:
            try machine.preparePrivate(ranges, asid, &plan, &counts)
            try machine.commitPrivate(plan, asid, &counts)
        case .shared:
            try machine.prepareShared(ranges, asid, &plan, &counts)
            try machine.commitShared(plan, from: ranges.first?.frames.lowerBound, &counts)
        }
    }
}
