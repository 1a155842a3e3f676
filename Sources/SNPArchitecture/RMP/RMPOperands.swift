// The memory operands of RMPUPDATE and RMPREAD.

/// The new state that RMPUPDATE reads from the 16 bytes at RCX.
///
/// - Spec: APM3 RMPUPDATE: u64 GPA, u8 assigned, u8 page size, u8 immutable, u8 reserved, u32 ASID
@frozen public struct RMPUpdateState: Hashable, Sendable {
    /// The guest physical address at which the owner sees the page.
    public var gpa: GPA
    /// Give the page to a guest or to firmware; false returns it to the hypervisor.
    public var assigned: Bool
    /// The size of the page.
    public var pageSize: PageSize
    /// Refuse later RMPUPDATEs until firmware clears this.
    public var immutable: Bool
    /// The owner; 0 with `assigned` means firmware.
    public var asid: ASID

    /// Makes a state.
    @inlinable public init(
        gpa: GPA = GPA(0), assigned: Bool, pageSize: PageSize = .size4K, immutable: Bool = false, asid: ASID = .host
    ) {
        self.gpa = gpa
        self.assigned = assigned
        self.pageSize = pageSize
        self.immutable = immutable
        self.asid = asid
    }

    /// Gives a page back to the hypervisor.
    @inlinable public static func shared(_ size: PageSize) -> Self { Self(assigned: false, pageSize: size) }
    /// Gives a page to a guest.
    @inlinable public static func guest(_ asid: ASID, at gpa: GPA, _ size: PageSize, immutable: Bool = false) -> Self {
        Self(gpa: gpa, assigned: true, pageSize: size, immutable: immutable, asid: asid)
    }
    /// Gives a 4 KiB page to the firmware.
    @inlinable public static var firmware: Self { Self(assigned: true, immutable: true) }
}

/// What RMPREAD discloses: neither VMSA, nor validated, nor permissions.
///
/// - Spec: APM3 RMPREAD: u64 GPA, u8 assigned, u8 {page size, 2M region status}, u8 immutable, u8 reserved, u32 ASID
@frozen public struct RMPReadResult: Hashable, Sendable {
    /// The guest physical address.
    public var gpa: GPA
    /// Owned by a guest or firmware.
    public var assigned: Bool
    /// The size of the entry.
    public var pageSize: PageSize
    /// Some 4 KiB page of the 2 MiB region is assigned.
    public var regionHasAssignedPages: Bool
    /// RMPUPDATE refuses it.
    public var immutable: Bool
    /// The owner.
    public var asid: ASID

    /// Makes a result.
    @inlinable public init(
        gpa: GPA, assigned: Bool, pageSize: PageSize, regionHasAssignedPages: Bool, immutable: Bool, asid: ASID
    ) {
        self.gpa = gpa
        self.assigned = assigned
        self.pageSize = pageSize
        self.regionHasAssignedPages = regionHasAssignedPages
        self.immutable = immutable
        self.asid = asid
    }
}
