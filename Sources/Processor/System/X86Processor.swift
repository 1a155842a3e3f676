// An x86-64 processor that runs guest code between VMRUN and #VMEXIT. The core runs operations; whatever it has none for,
// cannot reach or may not do comes back here, to ordinary Swift.

public import Machine
internal import ProcessorCore
internal import SNPArchitecture

/// Why an instruction did not complete.
enum Interruption: Error {
    /// An exception or software interrupt inside the guest.
    case exception(GuestException)
    /// The guest stops; the instruction has not begun.
    case exit(GuestExit)
}

/// An exception on its way into the guest.
struct GuestException: Hashable {
    var vector: UInt8
    var errorCode: UInt32?
    /// What CR2 becomes, for #PF.
    var address: UInt64?
    /// INT n, INT3, INTO: the privilege of the gate is checked, and RIP is that of the next instruction.
    var isSoftware = false
    /// Of a software interrupt: the instruction's own RIP, where a fault of its delivery stands.
    var start: UInt64?
    /// Comes from outside the instruction stream.
    var isExternal = false

    static let divide = Self(vector: 0)
    static let undefined = Self(vector: 6)
    static let deviceNotAvailable = Self(vector: 7)
    static func doubleFault() -> Self { Self(vector: 8, errorCode: 0) }
    static func invalidTSS(_ selector: UInt16) -> Self { Self(vector: 10, errorCode: UInt32(selector & 0xfffc)) }
    static func notPresent(_ selector: UInt16) -> Self { Self(vector: 11, errorCode: UInt32(selector & 0xfffc)) }
    static func stack(_ selector: UInt16 = 0) -> Self { Self(vector: 12, errorCode: UInt32(selector & 0xfffc)) }
    static func protection(_ selector: UInt16 = 0) -> Self { Self(vector: 13, errorCode: UInt32(selector & 0xfffc)) }
    static func communication(_ code: ExitCode) -> Self {
        Self(vector: 29, errorCode: UInt32(truncatingIfNeeded: code.rawValue))
    }
}

/// What a run has come to, for its summary.
public struct ProcessorCounts: Hashable, Sendable {
    /// Instructions completed, those that ended in an exception not counted.
    public var instructions: UInt64 = 0
    /// Blocks decoded.
    public var blocks: UInt64 = 0
    /// Translations that the core had to ask for.
    public var translations: UInt64 = 0
    /// Exceptions and interrupts delivered, by vector.
    public var exceptions: [UInt8: UInt64] = [:]
    /// Instructions that raised #UD, by their bytes in hexadecimal.
    public var undefined: [String: UInt64] = [:]

    /// Makes counts of zero.
    public init() {}
}

/// An x86-64 processor.
///
/// - Spec: APM1 to APM5; what an SNP guest may do, APM2 15.34 to 15.36
/// - Deviates: one instruction takes one tick of the time-stamp counter; the pause filter is 3000 without a threshold; A20 is always open; no hardware breakpoints, no
///   single-step trap, no task switches, no VEX, XOP and EVEX instructions, no MMX
@safe public final class X86Processor: GuestProcessor {
    /// The core's memory.
    let core: CoreMemory
    let blocks = BlockCache()
    /// What the processors of the machine know of each other's code, and this one's number there.
    let code: CodeRegistry
    let codeNumber: Int
    var codeGeneration: UInt64 = 0
    var codeVersion: UInt64 = 0
    var hasOthers = false
    /// What the jump cache was filled under.
    var jumpKey = JumpKey(mode: BlockMode(.bits16), base: 0)
    /// The registers of the run. General registers and arithmetic flags are in the core while the guest runs.
    var state = VirtualCPUState(registers: VMSA())
    /// The guest's memory. Nil outside a run.
    var memory: GuestAccess?
    /// Why a callback refused.
    var refusal: Interruption?
    /// What a callback wants to be done one instruction at a time.
    var step: SingleStep?
    /// Where in a block to go on, and how many of its instructions are accounted for.
    private var continuation: (operation: UnsafeMutablePointer<Operation>, completed: Int)?
    /// PAUSE instructions since the last exit for one.
    var pauses = 0
    /// How many PAUSE instructions make an exit: what KVM sets as the pause filter count.
    static let pauseFilter = 3000
    /// A repeated string instruction wants to go on: RIP is its own again.
    var repeatsInstruction = false
    /// Counts since the processor was made.
    public internal(set) var counts = ProcessorCounts()
    /// Entropy of RDRAND and RDSEED.
    var entropy: UInt64
    /// Which lent pages the TLB depends on: 2 MiB regions of the RMP and their generations.
    var regions: [UInt64: (pfn: PFN, generation: UInt32)] = [:]
    /// The ASID's epoch and the control registers that the TLB was filled under.
    var translationKey = TranslationKey()
    /// Frames that were last lent for access without the C-bit.
    var sharedFrames: Set<PFN> = []
    /// When `regions` would grow past this, the TLB is emptied instead.
    static let maximumRegions = 256

    /// Makes a processor in no particular state: VMRUN brings the registers.
    ///
    /// - Parameters:
    ///   - seed: of the random numbers that RDRAND gives
    ///   - code: shared by all processors that run code in the same memory
    public init(seed: UInt64 = 0, code: CodeRegistry = CodeRegistry()) {
        self.code = code
        codeNumber = code.join()
        entropy = seed &* 0x9e37_79b9_7f4a_7c15 | 1
        core = unsafe CoreMemory(
            CoreCallbacks(
                fill: { core, operation in unsafe X86Processor.of(core).fill(operation) },
                block: { core, rip in unsafe X86Processor.of(core).findBlock(rip) }))
        unsafe core.context = UnsafeRawPointer(Unmanaged.passUnretained(self).toOpaque())
    }

    deinit { code.leave(codeNumber) }

    /// The processor whose core calls back.
    private static func of(_ core: UnsafeMutableRawPointer) -> X86Processor {
        // SAFETY: the processor put itself there, and it owns the core.
        unsafe Unmanaged<X86Processor>.fromOpaque(
            core.load(fromByteOffset: CoreLayout.context, as: UnsafeRawPointer.self)
        ).takeUnretainedValue()
    }

    // MARK: Running

    /// The most instructions between two looks at the interrupt line.
    private static let sliceCount: UInt64 = 20_000

    /// Runs guest code until a #VMEXIT.
    public func run(
        _ state: inout VirtualCPUState, _ memory: GuestAccess, interruptedBy interrupt: InterruptLine
    ) -> GuestExit {
        self.state = state
        self.memory = memory
        unsafe continuation = nil
        loadRegisters()
        core[CoreLayout.stagedElement] = 0
        revalidateTranslations()
        let exit = runUntilExit(interrupt)
        storeRegisters()
        state = self.state
        self.memory = nil
        return exit
    }

    /// Forgets decoded code: for whoever has changed the guest's memory by other means than guest code.
    public func forgetCode() {
        blocks.removeAll()
        code.removeAll(of: codeNumber)
        core.flushJumps()
    }

    private func runUntilExit(_ interrupt: InterruptLine) -> GuestExit {
        do throws(Interruption) {
            try takeEvent()
            while true {
                guard !interrupt.isRaised, state.budget > 0 else { return GuestExit(.interrupt) }
                try runSlice()
            }
        } catch {
            guard case .exit(let exit) = error else { preconditionFailure("an exception was not delivered") }
            return exit
        }
    }

    /// Runs until the core has a reason to come back, and deals with it.
    private func runSlice() throws(Interruption) {
        readNews()
        if blocks.isFull {
            forgetCode()
            unsafe continuation = nil
        }
        let slice = Int64(min(state.budget, Self.sliceCount))
        core[CoreLayout.budget] = UInt64(slice)
        if let point = unsafe continuation {
            unsafe continuation = nil
            unsafe core.run(from: point.operation)
            return try handleExit(slice - Int64((unsafe point.completed)))
        }
        guard let first = unsafe blockNow() else { return try deliver(takeRefusal()) }
        unsafe core.run(from: first)
        try handleExit(slice)
    }

    private func takeRefusal() -> Interruption {
        guard let refusal else { preconditionFailure("the core stopped for no reason") }
        self.refusal = nil
        return refusal
    }

    /// Accounts for what ran.
    ///
    /// - Parameters:
    ///   - slice: what the budget was, less the instructions of the block that had been accounted for before
    ///   - ordinal: how many instructions of a block that did not come to its end are complete
    private func account(_ slice: Int64, inBlock ordinal: Int) {
        let left = Int64(bitPattern: core[CoreLayout.budget]) - Int64(ordinal)
        complete(UInt64(max(0, slice - left)))
    }

    /// Counts instructions as done.
    func complete(_ count: UInt64) {
        counts.instructions &+= count
        state.budget -= min(count, state.budget)
    }

    private func handleExit(_ slice: Int64) throws(Interruption) {
        switch core.exit {
        case .none: preconditionFailure("the core stopped for no reason")
        case .stepped: preconditionFailure("a single step outside of one")
        case .budget:
            account(slice, inBlock: 0)
            setRIP(core[CoreLayout.exitRIP])
        case .refused:
            guard let operation = unsafe core.exitOperation else {
                // The fetch behind a branch that is done.
                account(slice, inBlock: 0)
                setRIP(core[CoreLayout.exitRIP])
                return try deliver(takeRefusal())
            }
            unsafe stand(at: operation, slice)
            if let step {
                self.step = nil
                return try unsafe perform(step, at: operation)
            }
            try deliver(takeRefusal())
        case .complex:
            guard let operation = unsafe core.exitOperation else { preconditionFailure("no operation") }
            unsafe stand(at: operation, slice)
            try unsafe executeComplex(operation)
        }
    }

    /// Accounts for the instructions before an operation's, and makes RIP that instruction's.
    private func stand(at operation: UnsafeMutablePointer<Operation>, _ slice: Int64) {
        account(slice, inBlock: Int(unsafe operation.pointee.ordinal) - 1)
        setRIP(core[CoreLayout.blockRIP] &+ UInt64(bitPattern: Int64(unsafe operation.pointee.start)))
    }

    /// Executes the instruction that an operation stands for.
    func executeComplex(_ operation: UnsafeMutablePointer<Operation>) throws(Interruption) {
        let ordinal = Int(unsafe operation.pointee.ordinal)
        var number = unsafe operation.pointee.immediate
        do throws(Interruption) {
            let instruction: Instruction
            if unsafe operation.pointee.code == OperationCode.complex {
                instruction = blocks.instructions[Int(number < 0 ? ~number : number)]
            } else {
                // An operation that could not do its work: a quotient that does not fit, an operand that is not aligned.
                instruction = try decodeInstruction()
                number = 0
            }
            if number < 0 {
                // A check only: the operations that follow belong to the same instruction.
                try checkSegment(of: instruction)
                unsafe continuation = (operation + 1, ordinal - 1)
                return
            }
            let start = state.registers.rip
            state.registers.rip = nextRIP(after: instruction)
            do throws(Interruption) { try execute(instruction) } catch {
                if !isDone(error) { state.registers.rip = start }
                if case .exception(var exception) = error, exception.isSoftware {
                    exception.start = start
                    throw .exception(exception)
                }
                throw error
            }
            if repeatsInstruction {
                repeatsInstruction = false
                return
            }
            complete(1)
            if !instruction.endsBlock { unsafe continuation = (operation + 1, ordinal) }
        } catch {
            if isDone(error) { complete(1) }
            try deliver(error)
        }
    }

    /// The next slice begins at RIP.
    func forgetContinuation() { unsafe continuation = nil }

    /// Exits by which an instruction is complete: the guest goes on behind it.
    private func isDone(_ interruption: Interruption) -> Bool {
        switch interruption {
        case .exit(let exit):
            switch exit.code {
            case .halt, .vmgexit, .pause, .eferWriteTrap: true
            default: 0x90...0x9f ~= exit.code.rawValue
            }
        case .exception(let exception): exception.isSoftware
        }
    }

    // MARK: Registers

    /// The order of general registers by number.
    private func loadRegisters() {
        let r = state.registers
        let values = [
            r.rax, r.rcx, r.rdx, r.rbx, r.rsp, r.rbp, r.rsi, r.rdi, r.r8, r.r9, r.r10, r.r11, r.r12, r.r13, r.r14,
            r.r15,
        ]
        for (number, value) in values.enumerated() { core.setGeneral(number, value) }
        setFlagsRegister(r.rflags)
        loadSegmentBases()
        loadFloatingPoint()
    }

    private func storeRegisters() {
        state.registers.rax = core.general(0)
        state.registers.rcx = core.general(1)
        state.registers.rdx = core.general(2)
        state.registers.rbx = core.general(3)
        state.registers.rsp = core.general(4)
        state.registers.rbp = core.general(5)
        state.registers.rsi = core.general(6)
        state.registers.rdi = core.general(7)
        state.registers.r8 = core.general(8)
        state.registers.r9 = core.general(9)
        state.registers.r10 = core.general(10)
        state.registers.r11 = core.general(11)
        state.registers.r12 = core.general(12)
        state.registers.r13 = core.general(13)
        state.registers.r14 = core.general(14)
        state.registers.r15 = core.general(15)
        state.registers.rflags = flagsRegister
        storeFloatingPoint()
    }

    /// RFLAGS: the arithmetic flags and DF are in the core, the others in the VMSA.
    var flagsRegister: UInt64 {
        let kept = state.registers.rflags & ~(ArithmeticFlags.all | RFLAGS.direction)
        let down = Int64(bitPattern: core[CoreLayout.direction]) < 0
        return kept | core.flags | (down ? RFLAGS.direction : 0) | 2
    }

    /// Sets all of RFLAGS.
    func setFlagsRegister(_ value: UInt64) {
        core.flags = value
        core[CoreLayout.direction] = value & RFLAGS.direction != 0 ? ~0 : 1
        state.registers.rflags = value & ~(ArithmeticFlags.all | RFLAGS.direction) | 2
    }

    /// Sets RIP, cut to what the mode has.
    func setRIP(_ value: UInt64) {
        state.registers.rip = codeMode == .bits64 ? value : value & 0xffff_ffff
    }

    /// The mode of the code that runs.
    var codeMode: CodeMode {
        let r = state.registers
        if isLongMode && r.cs.attributes & SegmentAttributes.long != 0 { return .bits64 }
        return r.cs.attributes & SegmentAttributes.big != 0 && isProtected ? .bits32 : .bits16
    }
    var isLongMode: Bool { state.registers.efer & EFER.longModeActive != 0 }
    var isProtected: Bool { state.registers.cr0 & CR0.protection != 0 }
    var cpl: UInt8 { state.registers.cpl }

    private func nextRIP(after instruction: Instruction) -> UInt64 {
        let rip = state.registers.rip &+ UInt64(instruction.length)
        switch codeMode {
        case .bits64: return rip
        case .bits32: return rip & 0xffff_ffff
        case .bits16: return rip & 0xffff_ffff
        }
    }
}

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
