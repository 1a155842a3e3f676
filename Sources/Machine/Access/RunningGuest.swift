// Who a guest access comes from, and under which encryption: the words of Access/.

public import SNPArchitecture

/// The effective C-bit of a guest access: which key is used and what the RMP must say.
@frozen public enum CBit: UInt8, CaseIterable, Sendable {
    /// C = 0: the host's view; the page must belong to the hypervisor.
    case shared = 0
    /// C = 1: the guest's key; the page must be the guest's own.
    case `private` = 1
}

/// The privilege of the guest's code, for VMPL execute permissions.
@frozen public enum GuestPrivilege: UInt8, CaseIterable, Sendable {
    /// CPL 0 to 2.
    case supervisor = 0
    /// CPL 3.
    case user = 1
}

/// What a nested access is for, as EXITINFO1 tells it.
@frozen public enum AccessPurpose: UInt8, CaseIterable, Sendable {
    /// The guest's own access: bit 32.
    case finalAddress
    /// The walk of the guest's page tables: bit 33.
    case guestPageTable

    /// The bit.
    @inlinable public var error: PageFaultError { self == .finalAddress ? .finalAddress : .guestPageTable }
}

/// A guest as its virtual processor runs it.
@frozen public struct RunningGuest: Hashable, Sendable {
    /// The guest's ASID.
    public var asid: ASID
    /// The VMPL that runs.
    public var vmpl: VMPL
    /// The frame of the top nested table.
    public var nestedRoot: PFN
    /// The key of the ASID: `MemoryEncryption.key(for:)`.
    public var key: KeyID

    /// Makes a context.
    @inlinable public init(asid: ASID, vmpl: VMPL, nestedRoot: PFN, key: KeyID) {
        self.asid = asid
        self.vmpl = vmpl
        self.nestedRoot = nestedRoot
        self.key = key
    }
}
