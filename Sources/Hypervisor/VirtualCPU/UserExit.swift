// What KVM_RUN returns to user space: the closed set of exits of an SNP guest, with KVM's numbers, and the replies.

public import SNPArchitecture

/// Why a run of a virtual CPU ended.
///
/// - Spec: KVMAPI section 5, "The kvm_run structure"
public enum UserExit: Hashable, Sendable {
    /// KVM_EXIT_IO: the guest reads or writes a port.
    case io(PortAccess)
    /// KVM_EXIT_HYPERCALL with KVM_HC_MAP_GPA_RANGE: make a range private or shared, then reply `.result`.
    case mapRange(MapRangeCall)
    /// KVM_EXIT_MMIO: the guest reads or writes a device's memory.
    case mmio(DeviceMemoryAccess)
    /// KVM_EXIT_HLT: nothing to run until something wakes the virtual CPU.
    case halted
    /// KVM_EXIT_SHUTDOWN: a triple fault.
    case shutdown
    /// KVM_EXIT_FAIL_ENTRY: VMRUN refused the guest's state.
    case failEntry(ExitCode)
    /// KVM_EXIT_INTR: the budget is used up, or `interrupt` was called.
    case interrupted
    /// KVM_EXIT_INTERNAL_ERROR, KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON.
    case unexpectedExit(ExitCode)
    /// KVM_EXIT_SYSTEM_EVENT, KVM_SYSTEM_EVENT_SEV_TERM: the guest ends itself; the data is its GHCB MSR.
    case terminated(ghcb: UInt64)
    /// KVM_EXIT_MEMORY_FAULT: KVM_RUN fails with the errno, and the access and its private-ness are told.
    case memoryFault(gpa: GPA, byteCount: UInt64, isPrivate: Bool, errno: Errno)
    /// KVM_EXIT_SNP_REQ_CERTS: put the certificates there, then reply `.result` with an errno or 0.
    case certificates(at: GFN, pageCount: UInt64)
    /// KVM_RUN fails with the errno and no exit.
    case failed(Errno)

    /// KVM's number of the exit, or nil for a run that failed without one.
    public var reason: UInt32? {
        switch self {
        case .io: 2
        case .mapRange: 3
        case .halted: 5
        case .mmio: 6
        case .shutdown: 8
        case .failEntry: 9
        case .interrupted: 10
        case .unexpectedExit: 17
        case .terminated: 24
        case .memoryFault: 39
        case .certificates: 43
        case .failed: nil
        }
    }

    /// What the reply is if user space does not fill one in.
    var presetReply: UserReply {
        switch self {
        case .mapRange, .certificates: .result(0)
        case .io(let access): access.isWrite ? .none : .data([UInt8](repeating: 0, count: access.byteCount))
        case .mmio(let access): access.isWrite ? .none : .data([UInt8](repeating: 0, count: access.byteCount))
        case .halted, .shutdown, .failEntry, .interrupted, .unexpectedExit, .terminated, .memoryFault, .failed: .none
        }
    }
}

/// What user space answers to an exit before the next run.
public enum UserReply: Hashable, Sendable {
    /// Nothing to say.
    case none
    /// `hypercall.ret` or `snp_req_certs.ret`: 0, or an errno as the exit defines it.
    case result(UInt64)
    /// `snp_req_certs`: nil, or ENOSPC with the pages needed, EAGAIN or EIO.
    case certificates(error: Errno?, pageCount: UInt64)
    /// The bytes that a port or a device's memory gave.
    case data([UInt8])
}

/// KVM_HC_MAP_GPA_RANGE as user space sees it.
public struct MapRangeCall: Hashable, Sendable {
    /// args[0]: the first byte.
    public var gpa: GPA
    /// args[1]: the length in 4 KiB pages.
    public var pageCount: UInt64
    /// args[2] bits 3:0: the size of the guest's pages; a hint.
    public var pageSize: PageSize
    /// args[2] bit 4: what the pages are to become.
    public var attribute: MemoryAttribute

    /// Makes a call.
    public init(gpa: GPA, pageCount: UInt64, pageSize: PageSize, attribute: MemoryAttribute) {
        self.gpa = gpa
        self.pageCount = pageCount
        self.pageSize = pageSize
        self.attribute = attribute
    }
}

/// A port access as user space sees it.
public struct PortAccess: Hashable, Sendable {
    /// The port.
    public var port: UInt16
    /// The size of one datum: 1, 2 or 4.
    public var size: UInt8
    /// How many data.
    public var count: UInt32
    /// OUT.
    public var isWrite: Bool
    /// What is written; empty for a read.
    public var data: [UInt8]

    /// The length of all data in bytes.
    public var byteCount: Int { Int(size) * Int(count) }

    /// Makes an access.
    public init(port: UInt16, size: UInt8, count: UInt32 = 1, isWrite: Bool, data: [UInt8] = []) {
        self.port = port
        self.size = size
        self.count = count
        self.isWrite = isWrite
        self.data = data
    }
}

/// An access to a device's memory as user space sees it, at most 8 bytes long.
public struct DeviceMemoryAccess: Hashable, Sendable {
    /// The address.
    public var gpa: GPA
    /// The length in bytes.
    public var byteCount: Int
    /// A write.
    public var isWrite: Bool
    /// What is written; empty for a read.
    public var data: [UInt8]

    /// Makes an access.
    public init(gpa: GPA, byteCount: Int, isWrite: Bool, data: [UInt8] = []) {
        self.gpa = gpa
        self.byteCount = byteCount
        self.isWrite = isWrite
        self.data = data
    }
}
