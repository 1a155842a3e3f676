// Error codes of host page faults, nested page faults and #VC.

/// The error code of a #PF on the host, or EXITINFO1 of a nested page fault: the low bits agree.
///
/// - Spec: APM2 8.4.2 (#PF), 15.25.6 (nested page fault), 15.36.10 (RMP bits)
@frozen public struct PageFaultError: OptionSet, Hashable, Sendable {
    /// The bits.
    public var rawValue: UInt64
    /// Makes a code from its bits.
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// P, bit 0: a protection violation, not a missing page.
    @inlinable public static var present: Self { Self(rawValue: 1 << 0) }
    /// RW, bit 1: a write.
    @inlinable public static var write: Self { Self(rawValue: 1 << 1) }
    /// US, bit 2: in user mode. Nested page faults of the final access are user accesses.
    @inlinable public static var user: Self { Self(rawValue: 1 << 2) }
    /// RSV, bit 3: a reserved bit was set in an entry.
    @inlinable public static var reserved: Self { Self(rawValue: 1 << 3) }
    /// ID, bit 4: an instruction fetch.
    @inlinable public static var instructionFetch: Self { Self(rawValue: 1 << 4) }
    /// SS, bit 6: a shadow-stack access.
    @inlinable public static var shadowStack: Self { Self(rawValue: 1 << 6) }
    /// RMP, bit 31: the RMP refused the access.
    @inlinable public static var rmp: Self { Self(rawValue: 1 << 31) }
    /// Bit 32, nested only: the fault was on the final guest physical address.
    @inlinable public static var finalAddress: Self { Self(rawValue: 1 << 32) }
    /// Bit 33, nested only: the fault was on a guest page-table access.
    @inlinable public static var guestPageTable: Self { Self(rawValue: 1 << 33) }
    /// ENC, bit 34, nested only: the guest's effective C-bit was 1.
    @inlinable public static var encrypted: Self { Self(rawValue: 1 << 34) }
    /// SIZEM, bit 35, nested only: the size of the mapping and of the RMP entry (or of the instruction) differ.
    @inlinable public static var sizeMismatch: Self { Self(rawValue: 1 << 35) }
    /// VMPL, bit 36, nested only: the VMPL permissions refused.
    @inlinable public static var vmpl: Self { Self(rawValue: 1 << 36) }
    /// SSS, bit 37, nested only: VMPL supervisor shadow-stack check.
    @inlinable public static var supervisorShadowStack: Self { Self(rawValue: 1 << 37) }
}

/// The kind of a memory access.
@frozen public enum AccessKind: UInt8, CaseIterable, Sendable {
    /// A data read.
    case read
    /// A data write.
    case write
    /// An instruction fetch.
    case execute
}

/// A fault of a host access, delivered as #PF on the host.
@frozen public struct HostPageFault: Error, Hashable, Sendable {
    /// The address, host virtual in the direct map: equal to the SPA it maps.
    public var address: SPA
    /// The error code; only bits that a host #PF has.
    public var error: PageFaultError
    /// Makes a fault.
    @inlinable public init(address: SPA, error: PageFaultError) {
        self.address = address
        self.error = error
    }
}

/// An access by a device that the IOMMU refused: an RMP_PAGE_FAULT event.
@frozen public struct DeviceFault: Error, Hashable, Sendable {
    /// The address.
    public var address: SPA
    /// Makes a fault.
    @inlinable public init(address: SPA) { self.address = address }
}

/// Why a guest access did not complete.
@frozen public enum GuestFault: Error, Hashable, Sendable {
    /// #NPF: an exit to the hypervisor with EXITINFO1 and EXITINFO2.
    case nestedPageFault(gpa: GPA, error: PageFaultError)
    /// #VC with error code 0x404 (PAGE_NOT_VALIDATED), delivered inside the guest without an exit.
    case pageNotValidated(gpa: GPA)
}
