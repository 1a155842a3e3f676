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
    /// Instructions that raised #UD, by their bytes in hexadecimal, and their text if the decoder knows them.
    public var undefined: [String: UInt64] = [:]

    /// Makes counts of zero.
    public init() {}
}

/// An x86-64 processor.
///
/// - Spec: APM1 to APM5; what an SNP guest may do, APM2 15.34 to 15.36
/// - Deviates: one instruction takes one tick of the time-stamp counter; the pause filter is 3000
///   without a threshold; A20 is always open; no task switches; of VEX instructions those with general registers only, no XOP
///   and EVEX instructions
@safe public final class X86Processor: GuestProcessor {
    /// The core's memory.
    let core: CoreMemory
    let blocks = BlockCache()
    /// What the processors of the machine know of each other's code, and this one's number there.
    let code: CodeRegistry
    let codeNumber: Int
    var codeGeneration: UInt64 = 0
    @safe @exclusivity(unchecked) var codeVersion: UInt64 = 0
    var hasOthers = false
    /// What the jump cache was filled under.
    @safe @exclusivity(unchecked) var jumpKey = JumpKey(mode: BlockMode(.bits16), base: 0)
    /// The registers of the run where VMRUN has them: two kilobytes that are not copied for each entry. General registers and
    /// arithmetic flags are in the core while the guest runs.
    var state: VirtualCPUState {
        // SAFETY: points to the caller's state during a run, else to `restingState`.
        _read { yield unsafe currentState.pointee }
        _modify { yield unsafe &currentState.pointee }
    }
    @exclusivity(unchecked) private var currentState: UnsafeMutablePointer<VirtualCPUState>
    /// What `state` is outside a run.
    private let restingState: UnsafeMutablePointer<VirtualCPUState>
    /// The guest's memory. Nil outside a run.
    @safe @exclusivity(unchecked) var memory: GuestAccess?
    /// Why a callback refused.
    @safe @exclusivity(unchecked) var refusal: Interruption?
    /// What a callback wants to be done one instruction at a time.
    @exclusivity(unchecked) var step: SingleStep?
    /// Where in a block to go on, and how many of its instructions are accounted for.
    @exclusivity(unchecked) private var continuation:
        (operation: UnsafeMutablePointer<Operation>, completed: Int, isWithin: Bool)?
    /// PAUSE instructions since the last exit for one.
    var pauses = 0
    /// How many PAUSE instructions make an exit: what KVM sets as the pause filter count.
    static let pauseFilter = 3000
    /// The number of completed instructions at which the next one is not interrupted: behind STI and a load of SS.
    @safe @exclusivity(unchecked) private var shadowedCount: UInt64 = .max
    /// A repeated string instruction wants to go on: RIP is its own again.
    @safe @exclusivity(unchecked) var repeatsInstruction = false
    /// Counts since the processor was made.
    @safe @exclusivity(unchecked) public internal(set) var counts = ProcessorCounts()
    /// The last exceptions.
    public internal(set) var trail = ExceptionTrail()
    /// Where the instruction began that ran outside the core last: PVALIDATE and RMPADJUST are among these.
    @safe @exclusivity(unchecked) public private(set) var instructionStart: UInt64 = 0
    /// Entropy of RDRAND and RDSEED.
    var entropy: UInt64
    /// Which lent pages the TLB depends on: 2 MiB regions of the RMP and their generations.
    @safe @exclusivity(unchecked) var regions = LentRegions()
    /// What upper levels of the guest's page tables have said. Goes with the TLB.
    let tables = TableCache()
    /// How often the TLB was emptied.
    @safe @exclusivity(unchecked) var flushCount: UInt64 = 0
    /// The ASID's epoch and the control registers that the TLB was filled under.
    @safe @exclusivity(unchecked) var translationKey = TranslationKey()

    /// Makes a processor in no particular state: VMRUN brings the registers.
    ///
    /// - Parameters:
    ///   - seed: of the random numbers that RDRAND gives
    ///   - code: shared by all processors that run code in the same memory
    public init(seed: UInt64 = 0, code: CodeRegistry = CodeRegistry()) {
        self.code = code
        codeNumber = code.join()
        unsafe restingState = .allocate(capacity: 1)
        unsafe restingState.initialize(to: VirtualCPUState(registers: VMSA()))
        unsafe currentState = restingState
        entropy = seed &* 0x9e37_79b9_7f4a_7c15 | 1
        core = unsafe CoreMemory(
            CoreCallbacks(
                fill: { core, operation in unsafe X86Processor.of(core).fill(operation) },
                block: { core, rip in unsafe X86Processor.of(core).findBlock(rip) }))
        unsafe core.context = UnsafeRawPointer(Unmanaged.passUnretained(self).toOpaque())
    }

    deinit {
        code.leave(codeNumber)
        unsafe restingState.deinitialize(count: 1)
        unsafe restingState.deallocate()
    }

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
        self.memory = memory
        defer { self.memory = nil }
        // SAFETY: the pointer is forgotten before it ends.
        return unsafe withUnsafeMutablePointer(to: &state) { pointer in
            unsafe currentState = pointer
            defer { unsafe currentState = restingState }
            return run(interruptedBy: interrupt)
        }
    }

    private func run(interruptedBy interrupt: InterruptLine) -> GuestExit {
        unsafe continuation = nil
        shadowedCount = state.interruptShadow ? counts.instructions : .max
        loadRegisters()
        core[CoreLayout.stagedElement] = 0
        revalidateTranslations()
        let exit = runUntilExit(interrupt)
        storeRegisters()
        state.interruptShadow = isInShadow
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
                if state.wantsInterruptWindow, flagsRegister & RFLAGS.interrupt != 0 {
                    guard isInShadow else { return GuestExit(.virtualInterrupt) }
                    try runSlice(isSingle: true)
                } else {
                    try runSlice()
                }
            }
        } catch {
            guard case .exit(let exit) = error else { preconditionFailure("an exception was not delivered") }
            return exit
        }
    }

    /// Whether the next instruction is not interrupted.
    var isInShadow: Bool { shadowedCount == counts.instructions }

    /// Shields the instruction behind the one that is being executed from interrupts.
    func shadowNextInstruction() { shadowedCount = counts.instructions &+ 1 }

    /// Nothing is shielded any more: a handler begins.
    func endShadow() { shadowedCount = .max }

    /// Runs until the core has a reason to come back, and deals with it.
    ///
    /// - Parameter isSingle: comes back behind the first instruction
    private func runSlice(isSingle: Bool = false) throws(Interruption) {
        readNews()
        if blocks.isFull {
            forgetCode()
            unsafe continuation = nil
        }
        if watchesEachInstruction {
            return try runWatched { () throws(Interruption) in try runInstruction(isSingle: isSingle) }
        }
        if isSingle { return try runInstruction(isSingle: true) }
        let slice = Int64(min(state.budget, Self.sliceCount))
        guard let point = unsafe continuation else { return try unsafe run(from: blockNow(), slice) }
        try unsafe resume(point, slice)
    }

    /// Runs one instruction, where blocks have one each or this one alone shall run.
    private func runInstruction(isSingle: Bool) throws(Interruption) {
        unsafe continuation = nil
        try unsafe run(from: isSingle ? loneInstruction() : blockNow(), 1)
        // A check of its segment comes first.
        while let point = unsafe continuation, unsafe point.isWithin { try unsafe resume(point, 1) }
    }

    private func run(from first: UnsafeMutablePointer<Operation>?, _ slice: Int64) throws(Interruption) {
        guard let first = unsafe first else { return try deliver(takeRefusal()) }
        core[CoreLayout.budget] = UInt64(slice)
        unsafe core.run(from: first)
        try handleExit(slice)
    }

    private func resume(
        _ point: (operation: UnsafeMutablePointer<Operation>, completed: Int, isWithin: Bool), _ slice: Int64
    ) throws(Interruption) {
        unsafe continuation = nil
        core[CoreLayout.budget] = UInt64(slice)
        unsafe core.run(from: point.operation)
        try handleExit(slice - Int64((unsafe point.completed)))
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
            if let step = unsafe step {
                unsafe self.step = nil
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
                unsafe continuation = (operation + 1, ordinal - 1, true)
                return
            }
            let start = state.registers.rip
            instructionStart = start
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
            if !instruction.endsBlock { unsafe continuation = (operation + 1, ordinal, false) }
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
}
