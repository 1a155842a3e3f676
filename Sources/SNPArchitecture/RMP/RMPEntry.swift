// An RMP entry as its fields mean it. The bit layout is in RMPEntryRaw; logic uses this type.

/// What the Reverse Map Table says of one page: who owns it, at which guest address, and in what state.
///
/// - Spec: APM2 15.36.3, RMP entry format
@frozen public struct RMPEntry: Hashable, Sendable {
    /// The page belongs to a guest (ASID not 0) or to the firmware (ASID 0), not to the hypervisor.
    public var assigned: Bool
    /// 4 KiB, or 2 MiB in the entry of the first of 512 frames.
    public var pageSize: PageSize
    /// RMPUPDATE and PSMASH refuse the page; only firmware clears this.
    public var immutable: Bool
    /// In the entry of a 2 MiB aligned frame: how many of the other 511 frames are assigned on their own.
    public var subpageCount: UInt16
    /// The guest frame at which the owner sees the page. Firmware keeps page kinds in its bits 38:36 while the ASID is 0.
    public var gfn: GFN
    /// The owner.
    public var asid: ASID
    /// The page is a VMSA (ASID not 0) or a guest context (ASID 0).
    public var vmsa: Bool
    /// The guest has accepted the page with PVALIDATE, or the firmware launched it.
    public var validated: Bool
    /// The entry is locked by firmware, or the VMSA is in use by a running virtual CPU.
    public var locked: Bool
    /// The permission byte of each VMPL; VMPL0 in the lowest byte.
    public var permissions: VMPLPermissionSet

    /// Makes an entry.
    @inlinable public init(
        assigned: Bool = false, pageSize: PageSize = .size4K, immutable: Bool = false, subpageCount: UInt16 = 0,
        gfn: GFN = GFN(0), asid: ASID = .host, vmsa: Bool = false, validated: Bool = false, locked: Bool = false,
        permissions: VMPLPermissionSet = VMPLPermissionSet(rawValue: 0)
    ) {
        self.assigned = assigned
        self.pageSize = pageSize
        self.immutable = immutable
        self.subpageCount = subpageCount
        self.gfn = gfn
        self.asid = asid
        self.vmsa = vmsa
        self.validated = validated
        self.locked = locked
        self.permissions = permissions
    }

    /// The page's state in the firmware's table of page states.
    public var state: PageState { PageState(self) }
}

/// The four permission bytes of an RMP entry.
@frozen public struct VMPLPermissionSet: RawRepresentable, Hashable, Sendable {
    /// VMPL0 in bits 7:0 to VMPL3 in bits 31:24.
    public var rawValue: UInt32
    /// Makes a set from its four bytes.
    @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }
    /// What RMPUPDATE gives: everything to VMPL0, nothing to the others.
    @inlinable public static var initial: Self { Self(rawValue: UInt32(VMPLPermissions.all.rawValue)) }
    /// The permissions of one VMPL.
    @inlinable public subscript(_ vmpl: VMPL) -> VMPLPermissions {
        get { VMPLPermissions(rawValue: UInt8(truncatingIfNeeded: rawValue >> (UInt32(vmpl.rawValue) &* 8))) }
        set {
            let shift = UInt32(vmpl.rawValue) &* 8
            rawValue = (rawValue & ~(0xff << shift)) | (UInt32(newValue.rawValue) << shift)
        }
    }
}
