// Bits of flags, control registers and segment attributes, by the names that the manuals give them.

/// Bits of RFLAGS beside the arithmetic flags.
enum RFLAGS {
    static let trap: UInt64 = 1 << 8
    static let interrupt: UInt64 = 1 << 9
    static let direction: UInt64 = 1 << 10
    static let ioPrivilege: UInt64 = 3 << 12
    static let nestedTask: UInt64 = 1 << 14
    static let resume: UInt64 = 1 << 16
    static let virtual8086: UInt64 = 1 << 17
    static let alignmentCheck: UInt64 = 1 << 18
    static let identification: UInt64 = 1 << 21
    /// What POPF and IRET can set, at CPL 0.
    static let writable: UInt64 = 0x0024_7fd5
}
/// Bits of EFER.
enum EFER {
    static let syscall: UInt64 = 1 << 0
    static let longMode: UInt64 = 1 << 8
    static let longModeActive: UInt64 = 1 << 10
    static let noExecute: UInt64 = 1 << 11
    static let svme: UInt64 = 1 << 12
    static let fastSave: UInt64 = 1 << 14
}
/// Bits of CR0.
enum CR0 {
    static let protection: UInt64 = 1 << 0
    static let emulation: UInt64 = 1 << 2
    static let taskSwitched: UInt64 = 1 << 3
    static let writeProtect: UInt64 = 1 << 16
    static let paging: UInt64 = 1 << 31
}
/// Bits of CR4.
enum CR4 {
    static let pageSizeExtensions: UInt64 = 1 << 4
    static let physicalAddressExtension: UInt64 = 1 << 5
    static let globalPages: UInt64 = 1 << 7
    static let osfxsr: UInt64 = 1 << 9
    static let osxmmexcpt: UInt64 = 1 << 10
    static let umip: UInt64 = 1 << 11
    static let fsgsbase: UInt64 = 1 << 16
    static let osxsave: UInt64 = 1 << 18
    static let smep: UInt64 = 1 << 20
    static let smap: UInt64 = 1 << 21
}
/// Bits of a segment register's packed attributes.
enum SegmentAttributes {
    static let typeMask: UInt16 = 0xf
    static let codeOrData: UInt16 = 1 << 4
    static let present: UInt16 = 1 << 7
    static let long: UInt16 = 1 << 9
    static let big: UInt16 = 1 << 10
    static let granular: UInt16 = 1 << 11
}
