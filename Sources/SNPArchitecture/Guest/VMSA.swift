// The save area of an encrypted virtual CPU, as a value. Its place in the 4096-byte page is in VMSA+Fields, the
// conversion in VMSA+Coding. Reserved bytes are not kept: they encode as zero.

/// The saved registers of a virtual CPU: the contents of its virtual machine save area page.
///
/// Every value is raw, since a guest may write anything into a VMSA that it makes itself.
///
/// - Spec: APM2 Table B-4, VMSA layout
/// - Deviates: masking with REG_PROT_NONCE is the firmware's and the processor's work, not done here
public struct VMSA: Sendable {
    /// The number of bytes in the page.
    public static let byteCount = 4096
    /// The number of bytes that have a meaning; the rest of the page is zero.
    public static let saveAreaByteCount = 0x7c8

    /// Data, code and stack segments.
    public var es = SegmentRegister(), cs = SegmentRegister(), ss = SegmentRegister(), ds = SegmentRegister()
    /// Segments with a base of their own, and the descriptor tables' registers.
    public var fs = SegmentRegister(), gs = SegmentRegister(), gdtr = SegmentRegister(), ldtr = SegmentRegister()
    /// The interrupt descriptor table and the task register.
    public var idtr = SegmentRegister(), tr = SegmentRegister()

    /// Shadow-stack pointers of the four x86 privilege levels, and user CET control.
    public var pl0SSP: UInt64 = 0, pl1SSP: UInt64 = 0, pl2SSP: UInt64 = 0, pl3SSP: UInt64 = 0, uCET: UInt64 = 0
    /// Supervisor CET control, the shadow-stack pointer and the interrupt shadow-stack table.
    public var sCET: UInt64 = 0, ssp: UInt64 = 0, isstAddress: UInt64 = 0

    /// The privilege level at which the virtual CPU runs, as the page has it: it may be no VMPL at all.
    public var vmpl: UInt8 = 0
    /// The current privilege level of x86, 0 to 3.
    public var cpl: UInt8 = 0

    /// Control registers.
    public var efer: UInt64 = 0, xss: UInt64 = 0, cr4: UInt64 = 0, cr3: UInt64 = 0, cr0: UInt64 = 0, cr2: UInt64 = 0
    /// Debug control and status, flags and instruction pointer.
    public var dr7: UInt64 = 0, dr6: UInt64 = 0, rflags: UInt64 = 0, rip: UInt64 = 0
    /// Debug addresses.
    public var dr0: UInt64 = 0, dr1: UInt64 = 0, dr2: UInt64 = 0, dr3: UInt64 = 0
    /// Debug address masks.
    public var dr0AddressMask: UInt64 = 0, dr1AddressMask: UInt64 = 0
    /// Debug address masks.
    public var dr2AddressMask: UInt64 = 0, dr3AddressMask: UInt64 = 0

    /// General registers.
    public var rax: UInt64 = 0, rbx: UInt64 = 0, rcx: UInt64 = 0, rdx: UInt64 = 0
    /// Stack and index registers.
    public var rsp: UInt64 = 0, rbp: UInt64 = 0, rsi: UInt64 = 0, rdi: UInt64 = 0
    /// Numbered general registers.
    public var r8: UInt64 = 0, r9: UInt64 = 0, r10: UInt64 = 0, r11: UInt64 = 0
    /// Numbered general registers.
    public var r12: UInt64 = 0, r13: UInt64 = 0, r14: UInt64 = 0, r15: UInt64 = 0

    /// SYSCALL registers and the kernel's GS base.
    public var star: UInt64 = 0, lstar: UInt64 = 0, cstar: UInt64 = 0, sfmask: UInt64 = 0, kernelGSBase: UInt64 = 0
    /// SYSENTER registers and the page-attribute table.
    public var sysenterCS: UInt64 = 0, sysenterESP: UInt64 = 0, sysenterEIP: UInt64 = 0, gPAT: UInt64 = 0
    /// Debug control and the last branch.
    public var debugControl: UInt64 = 0, branchFrom: UInt64 = 0, branchTo: UInt64 = 0
    /// The last exception's branch, and speculation control.
    public var lastExceptionFrom: UInt64 = 0, lastExceptionTo: UInt64 = 0, specCtrl: UInt64 = 0
    /// Protection keys and time-stamp counter.
    public var pkru: UInt32 = 0, tscAux: UInt32 = 0, tscScale: UInt64 = 0, tscOffset: UInt64 = 0

    /// The nonce with which the hardware masks registers when SEV_FEATURES asks for that.
    public var registerProtectionNonce: UInt64 = 0
    /// Bit 0 enables Secure AVIC, bit 1 allows NMIs, bits 63:12 are the backing page.
    public var secureAVICControl: UInt64 = 0

    /// What the last exit was, for the guest's own eyes.
    public var guestExitInfo1: UInt64 = 0, guestExitInfo2: UInt64 = 0, guestExitIntInfo: UInt64 = 0
    /// Where the last exit would go on, and its code.
    public var guestNRIP: UInt64 = 0, guestExitCode: UInt64 = 0

    /// The features the virtual CPU runs with.
    public var sevFeatures: SEVFeatures = []
    /// Virtual interrupt state.
    public var vintrControl: UInt64 = 0
    /// The boundary between private and shared addresses, if the feature is on.
    public var virtualTOM: UInt64 = 0
    /// Which TLB and processor the virtual CPU used last; the hardware's own.
    public var tlbID: UInt64 = 0, pcpuID: UInt64 = 0
    /// An event to deliver on entry.
    public var eventInjection: UInt64 = 0
    /// Extended control register 0.
    public var xcr0: UInt64 = 0

    /// The last x87 data pointer.
    public var x87DP: UInt64 = 0
    /// SSE control and status.
    public var mxcsr: UInt32 = 0
    /// x87 tag, status and control words.
    public var x87FTW: UInt16 = 0, x87FSW: UInt16 = 0, x87FCW: UInt16 = 0
    /// x87 opcode and pointer selectors.
    public var x87FOP: UInt16 = 0, x87DS: UInt16 = 0, x87CS: UInt16 = 0
    /// The last x87 instruction pointer.
    public var x87RIP: UInt64 = 0
    /// Eight registers of 80 bits: eight low quadwords, then eight high words packed into two.
    public var x87Registers = InlineArray<10, UInt64>(repeating: 0)
    /// XMM0 to XMM15, two quadwords each.
    public var xmmRegisters = InlineArray<32, UInt64>(repeating: 0)
    /// The upper halves of YMM0 to YMM15, two quadwords each.
    public var ymmHighRegisters = InlineArray<32, UInt64>(repeating: 0)

    /// The last-branch stack, from and to for each entry.
    public var lbrStack = InlineArray<32, UInt64>(repeating: 0)
    /// Which branches the last-branch stack records.
    public var lbrSelect: UInt64 = 0
    /// Instruction-based sampling registers, in the order of the page.
    public var ibsRegisters = InlineArray<10, UInt64>(repeating: 0)

    /// Makes a save area in which every field is zero.
    public init() {}
}

extension VMSA: Equatable {
    /// Compares the encoded pages, and so every field.
    public static func == (a: Self, b: Self) -> Bool {
        let first = a.quadwords
        let second = b.quadwords
        return first.indices.allSatisfy { first[$0] == second[$0] }
    }
}
