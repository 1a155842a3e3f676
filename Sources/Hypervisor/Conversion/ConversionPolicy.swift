// What a change of memory attributes does to the RMP: one protocol, three conformers.
//
//   eager     the series' patch 48, made right: the RMP changes with the attribute
//   lazy      mainline Linux: private at the first fault, back to the host when the backing page is freed
//   asPosted  patch 48 as posted, with its defects, for comparison

public import SNPArchitecture

/// The part of a change of attributes that lies in one slot.
public struct SlotRange {
    /// The slot.
    public var slot: MemorySlot
    /// The guest frames, inside the slot.
    public var frames: Range<GFN>
}

/// Decides what a change of attributes does to the RMP.
public protocol ConversionPolicy: Sendable {
    /// The name that `--policy` takes.
    var name: String { get }
    /// Whether the RMP follows the attribute at once, for the invariants.
    var isEager: Bool { get }

    /// Refuses before anything changes.
    ///
    /// - Throws: what the caller gets
    func check(_ machine: VirtualMachine, _ ranges: [SlotRange]) throws(ConversionFailure)

    /// Brings the RMP and the direct map in line with the attribute. The caller holds the slots' and the backing lock, has
    /// opened an invalidation bracket, zapped the nested mappings of the range and flushed TLBs.
    ///
    /// - Throws: a failure that says which frames were converted all the same
    func convert(
        _ machine: VirtualMachine, _ ranges: [SlotRange], to attribute: MemoryAttribute, asid: ASID,
        counts: inout ConversionCounts
    ) throws(ConversionFailure)

    /// Whether a fault on a private page whose frame is not assigned yet assigns it.
    var preparesAtFault: Bool { get }

    /// Whether attributes are stored even when `convert` fails.
    var storesAttributesOnFailure: Bool { get }
}

/// Mainline's policy: the attribute says what may happen, faults and freed pages make it happen.
///
/// - Spec: Linux: `kvm_arch_pre_set_memory_attributes()`, `sev_gmem_prepare()`, `sev_gmem_invalidate()`
public struct LazyPolicy: ConversionPolicy {
    /// Makes the policy.
    public init() {}
    /// "lazy".
    public var name: String { "lazy" }
    /// False.
    public var isEager: Bool { false }
    /// False; nothing fails here.
    public var storesAttributesOnFailure: Bool { false }
    /// True.
    public var preparesAtFault: Bool { true }
    /// Refuses nothing.
    public func check(_ machine: VirtualMachine, _ ranges: [SlotRange]) {}
    /// Does nothing: the caller has zapped the range and will store the attribute.
    public func convert(
        _ machine: VirtualMachine, _ ranges: [SlotRange], to attribute: MemoryAttribute, asid: ASID,
        counts: inout ConversionCounts
    ) {}
}
