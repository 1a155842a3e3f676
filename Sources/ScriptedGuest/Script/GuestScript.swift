// A scripted guest's program: steps and the pools that they refer to. The builder's functions add one step each.

public import Machine
public import SNPArchitecture

/// A guest written as steps.
public struct GuestScript: Hashable, Sendable {
    /// The steps, in order.
    public private(set) var steps: [GuestStep] = []
    /// Contents that steps store or expect.
    public private(set) var bytes: [UInt8] = []
    /// Events of the GHCB page protocol.
    public private(set) var calls: [GHCBCall] = []
    /// Entries of page state changes.
    public private(set) var pageStates: [PageStateChangeEntry] = []
    /// Requests for reports.
    public private(set) var reports: [ReportStep] = []

    /// Makes a script without steps.
    public init() {}

    /// Adds a step.
    ///
    /// - Throws: what is wrong with its operands
    public mutating func append(_ step: GuestStep) throws(ScriptProblem) {
        try step.operation.check()
        steps.append(step)
    }

    /// Adds an access to pages in a row.
    ///
    /// - Throws: `.address`
    public mutating func touch(
        _ gpa: GPA, count: UInt32 = 1, _ cBit: CBit = .private, _ kind: AccessKind = .read,
        expecting outcome: StepOutcome = .done
    ) throws(ScriptProblem) {
        try append(GuestStep(.touch(gpa, cBit, kind, count: count), .outcome(outcome)))
    }

    /// Adds a read that must give these bytes.
    ///
    /// - Throws: `.address`
    public mutating func read(
        _ gpa: GPA, _ cBit: CBit = .private, _ contents: [UInt8], expecting outcome: StepOutcome = .done
    ) throws(ScriptProblem) {
        try append(GuestStep(.read(gpa, cBit, pool(contents)), .outcome(outcome)))
    }

    /// Adds a store of these bytes.
    ///
    /// - Throws: `.address`
    public mutating func write(
        _ gpa: GPA, _ cBit: CBit = .private, _ contents: [UInt8], expecting outcome: StepOutcome = .done
    ) throws(ScriptProblem) {
        try append(GuestStep(.write(gpa, cBit, pool(contents)), .outcome(outcome)))
    }

    /// Adds a PVALIDATE of pages in a row.
    ///
    /// - Throws: `.address`
    public mutating func pvalidate(
        _ gpa: GPA, count: UInt32 = 1, _ size: PageSize = .size4K, _ validation: Validation = .validate,
        expecting outcome: StepOutcome = .done
    ) throws(ScriptProblem) {
        try append(GuestStep(.pvalidate(gpa, size, validation, count: count), .outcome(outcome)))
    }

    /// Adds an RMPADJUST.
    ///
    /// - Throws: `.address`
    public mutating func rmpAdjust(
        _ gpa: GPA, _ size: PageSize = .size4K, target: VMPL, _ permissions: VMPLPermissions, vmsa: Bool = false,
        expecting outcome: StepOutcome = .done
    ) throws(ScriptProblem) {
        try append(GuestStep(.rmpAdjust(gpa, size, target: target, permissions, vmsa: vmsa), .outcome(outcome)))
    }

    /// Adds an RMPQUERY.
    ///
    /// - Throws: `.address`
    public mutating func rmpQuery(
        _ gpa: GPA, target: VMPL, expecting expectation: StepExpectation
    ) throws(ScriptProblem) {
        try append(GuestStep(.rmpQuery(gpa, target: target), expectation))
    }

    /// Adds a request of the MSR protocol.
    ///
    /// - Parameter response: what must stand in the MSR afterwards; nil for anything
    public mutating func msr(_ request: UInt64, expecting response: UInt64?) throws(ScriptProblem) {
        try append(GuestStep(.msr(request), response.map { .outcome(.msr($0)) } ?? .anything))
    }

    /// Adds the choice of a page for the GHCB.
    ///
    /// - Throws: `.address`
    public mutating func useGHCB(_ gpa: GPA) throws(ScriptProblem) { try append(GuestStep(.useGHCB(gpa))) }

    /// Adds an event of the page protocol. The call says what is expected.
    ///
    /// - Throws: `.bufferTooLong`
    public mutating func vmgexit(_ call: GHCBCall) throws(ScriptProblem) {
        guard call.buffer.count <= GHCBPage.sharedBuffer.count, call.expectedBuffer.count <= GHCBPage.sharedBuffer.count
        else { throw .bufferTooLong }
        calls.append(call)
        try append(GuestStep(.vmgexit(call: UInt32(calls.count - 1))))
    }

    /// Adds a page state change of pages in a row.
    ///
    /// - Throws: `.address`, `.noPages`
    public mutating func changePageStates(
        _ gpa: GPA, count: UInt32 = 1, _ size: PageSize = .size4K, to operation: PageStateOperation,
        expecting outcome: StepOutcome = .done
    ) throws(ScriptProblem) {
        try GuestOperation.checkRange(gpa, byteCount: UInt64(count) * size.byteCount)
        let first = pageStates.count
        for index in 0..<UInt64(count) {
            pageStates.append(PageStateChangeEntry(gpa.frame + index * size.pageCount, operation, size))
        }
        try append(
            GuestStep(
                .changePageStates(first: UInt32(first), count: UInt32(pageStates.count - first)), .outcome(outcome)))
    }

    /// Adds a page state change of any entries.
    ///
    /// - Throws: `.noPages`
    public mutating func changePageStates(
        _ entries: [PageStateChangeEntry], expecting outcome: StepOutcome = .done
    ) throws(ScriptProblem) {
        let first = UInt32(pageStates.count)
        pageStates += entries
        try append(GuestStep(.changePageStates(first: first, count: UInt32(entries.count)), .outcome(outcome)))
    }

    /// Adds the start of a virtual CPU: writes its VMSA, marks the page and asks the host to run it.
    ///
    /// - Throws: `.address`
    public mutating func startAP(apicID: UInt32, vmsa: VMSA, at gpa: GPA) throws(ScriptProblem) {
        try write(gpa, .private, vmsa.bytes)
        try rmpAdjust(gpa, target: .vmpl1, [], vmsa: true)
        try vmgexit(
            GHCBCall(
                .apCreation, info1: APCreationInput(.create, apicID: apicID, vmsa: gpa).exitInfo1,
                info2: gpa.rawValue, [GHCBFieldValue(.rax, vmsa.sevFeatures.rawValue)]))
    }

    /// Adds the end of a virtual CPU: asks the host to stop it and gives its VMSA page back.
    ///
    /// - Throws: `.address`
    public mutating func stopAP(apicID: UInt32, vmsaAt gpa: GPA) throws(ScriptProblem) {
        try vmgexit(
            GHCBCall(.apCreation, info1: APCreationInput(.destroy, apicID: apicID, vmsa: gpa).exitInfo1))
        try rmpAdjust(gpa, target: .vmpl1, [], vmsa: false)
    }

    /// Adds a request for a report.
    ///
    /// - Throws: in check order: `.report`, `.address`
    public mutating func report(
        _ request: ReportStep, expecting outcome: StepOutcome = .done
    ) throws(ScriptProblem) {
        guard request.data.count <= 64, request.vmpck < 4 else { throw .report }
        for gpa in [request.secrets, request.request, request.response] {
            try GuestOperation.checkRange(gpa, byteCount: 4096)
        }
        reports.append(request)
        try append(GuestStep(.report(request: UInt32(reports.count - 1)), .outcome(outcome)))
    }

    /// Adds the end of the guest, for a reason of a set.
    public mutating func terminate(set: UInt8, reason: UInt8) throws(ScriptProblem) {
        try append(GuestStep(.terminate(0x100 | UInt64(set & 0xf) << 12 | UInt64(reason) << 16)))
    }

    /// Replaces what the last step should come to.
    mutating func expect(_ expectation: StepExpectation) { steps[steps.count - 1].expectation = expectation }

    private mutating func pool(_ contents: [UInt8]) -> ByteRange {
        defer { bytes += contents }
        return ByteRange(offset: UInt32(bytes.count), count: UInt32(contents.count))
    }

    /// The longest contents that a step reads.
    var longestRead: Int {
        steps.map { if case .read(_, _, let range) = $0.operation { Int(range.count) } else { 0 } }.max() ?? 0
    }
}

extension VMSA {
    /// A state that VMRUN accepts, for a virtual CPU that a script starts: what a script does needs no registers.
    public static func scripted(vmpl: VMPL = .vmpl0, features: SEVFeatures = .snpActive) -> VMSA {
        var vmsa = VMSA.reset(
            vmm: .qemu, eip: bootstrapEIP, cpuSignature: CPUSignature(rawValue: 0), features: features)
        vmsa.vmpl = vmpl.rawValue
        return vmsa
    }
}
