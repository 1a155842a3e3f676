// The steps of a scripted guest as compact values: what one step does, and what it is expected to come to.
//
// A step that works on several pages is one value. Contents of memory and of GHCBs lie in the script's pools.

public import Machine
public import SNPArchitecture

/// A run of bytes in a script's pool.
@frozen public struct ByteRange: Hashable, Sendable {
    /// The first byte.
    public var offset: UInt32
    /// The number of bytes.
    public var count: UInt32
}

/// What PVALIDATE is asked for.
@frozen public enum Validation: UInt8, CaseIterable, Sendable {
    /// Takes the validated bit back.
    case rescind = 0
    /// Sets it.
    case validate = 1
}

/// What a step does.
@frozen public enum GuestOperation: Hashable, Sendable {
    /// Accesses `count` pages of 4 KiB in a row without changing them.
    case touch(GPA, CBit, AccessKind, count: UInt32)
    /// Reads bytes and compares them with the pool's.
    case read(GPA, CBit, ByteRange)
    /// Stores the pool's bytes.
    case write(GPA, CBit, ByteRange)
    /// PVALIDATE of `count` pages in a row.
    case pvalidate(GPA, PageSize, Validation, count: UInt32)
    /// RMPADJUST of one page.
    case rmpAdjust(GPA, PageSize, target: VMPL, VMPLPermissions, vmsa: Bool)
    /// RMPQUERY of one page.
    case rmpQuery(GPA, target: VMPL)
    /// Writes the GHCB MSR, VMGEXIT, and reads the MSR.
    case msr(UInt64)
    /// Chooses the page for the GHCB of later steps. Makes no exit and does not register the page.
    case useGHCB(GPA)
    /// Fills the GHCB from the pool, VMGEXIT, and reads the answer.
    case vmgexit(call: UInt32)
    /// A page state change of entries of the pool, as many events as it takes.
    case changePageStates(first: UInt32, count: UInt32)
    /// Asks firmware for an attestation report.
    case report(request: UInt32)
    /// Writes the GHCB MSR and VMGEXIT for the last time: nothing comes after it.
    case terminate(UInt64)
    /// PAUSE.
    case pause
    /// HLT.
    case halt
    /// A triple fault.
    case shutdown

    /// The instruction budget that one page of the step takes; 0 for steps that only change the script's own state.
    var pageCount: UInt64 {
        switch self {
        case .touch(_, _, _, let count), .pvalidate(_, _, _, let count): UInt64(count)
        case .changePageStates(_, let count): UInt64(count)
        case _: 1
        }
    }
}

/// What a step came to.
@frozen public enum StepOutcome: Hashable, Sendable {
    /// It did what it says.
    case done
    /// PVALIDATE succeeded with CF = 1: the validated bit already had the value.
    case unchanged
    /// EAX of an RMP instruction.
    case status(RMPStatus)
    /// #VC with this error code.
    case exception(ExitCode)
    /// What RMPQUERY says.
    case permissions(VMPLPermissions, vmsa: Bool, PageSize)
    /// The GHCB MSR after VMGEXIT.
    case msr(UInt64)
    /// SW_EXITINFO1 and SW_EXITINFO2 after VMGEXIT, where they are not those that were expected.
    case response(info1: UInt64, info2: UInt64)
    /// Memory or the GHCB has other contents than those expected.
    case mismatch
    /// The step needs a GHCB and none was chosen.
    case noGHCB
}

/// What a step should come to.
@frozen public enum StepExpectation: Hashable, Sendable {
    /// This.
    case outcome(StepOutcome)
    /// Whatever it is.
    case anything

    /// Whether an outcome is as expected.
    @inlinable public func accepts(_ outcome: StepOutcome) -> Bool {
        switch self {
        case .outcome(let expected): expected == outcome
        case .anything: true
        }
    }
}

/// One step of a scripted guest.
@frozen public struct GuestStep: Hashable, Sendable {
    /// What it does.
    public var operation: GuestOperation
    /// What it should come to; for steps of several pages, each of them.
    public var expectation: StepExpectation
    /// Makes a step.
    @inlinable public init(_ operation: GuestOperation, _ expectation: StepExpectation = .outcome(.done)) {
        self.operation = operation
        self.expectation = expectation
    }
}
