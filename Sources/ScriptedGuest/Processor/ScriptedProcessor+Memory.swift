// Steps that access memory and the RMP: the same checks as for any guest code, and the same instructions.

internal import Machine
internal import SNPArchitecture
internal import Scheduling

extension ScriptedProcessor {
    /// Executes a step over pages in a row, from the page that is next. Each page costs one instruction.
    func walk(
        _ step: GuestStep, _ state: inout VirtualCPUState, _ memory: GuestAccess, _ interrupt: InterruptLine
    ) -> Progress {
        while true {
            let outcome: StepOutcome
            let isLast: Bool
            state.budget -= 1
            do throws(GuestInstructionFailure) {
                (outcome, isLast) = try page(step.operation, memory)
            } catch {
                switch Self.progress(after: error) {
                case .outcome(let failed):
                    guard step.expectation.accepts(failed) else { return .outcome(failed) }
                    progress += 1
                    if progress >= step.operation.pageCount { return .outcome(failed) }
                    if state.budget == 0 || interrupt.isRaised { return .exit(GuestExit(.interrupt)) }
                    continue
                case let other: return other
                }
            }
            guard step.expectation.accepts(outcome) else { return .outcome(outcome) }
            progress += 1
            if isLast { return .outcome(outcome) }
            if state.budget == 0 || interrupt.isRaised { return .exit(GuestExit(.interrupt)) }
        }
    }

    /// Executes a step on its next page.
    @inline(__always)
    private func page(
        _ operation: GuestOperation, _ memory: GuestAccess
    ) throws(GuestInstructionFailure) -> (StepOutcome, isLast: Bool) {
        switch operation {
        case .touch(let gpa, let cBit, let kind, let count):
            schedulePoint(.guestAccess)
            do throws(GuestFault) {
                _ = try memory.translate(gpa + UInt64(progress) << 12, kind, cBit)
            } catch { throw .fault(error) }
            return (.done, progress + 1 >= count)
        case .pvalidate(let gpa, let size, let validation, let count):
            let target = try resolve(gpa + UInt64(progress) * size.byteCount, memory)
            let changed = try memory.rmp.pvalidate(
                target, size: size, validate: validation == .validate, asid: memory.context.asid,
                vmpl: memory.context.vmpl)
            return (changed ? .done : .unchanged, progress + 1 >= count)
        case _: preconditionFailure("a step over pages")
        }
    }

    private func resolve(_ gpa: GPA, _ memory: GuestAccess) throws(GuestInstructionFailure) -> GuestPage {
        do throws(GuestFault) { return try memory.resolve(gpa) } catch { throw .fault(error) }
    }

    func adjust(
        _ gpa: GPA, _ size: PageSize, _ target: VMPL, _ permissions: VMPLPermissions, _ vmsa: Bool,
        _ memory: GuestAccess
    ) throws(GuestInstructionFailure) -> StepOutcome {
        try memory.rmp.rmpAdjust(
            try resolve(gpa, memory), size: size, target: target, permissions: permissions, vmsa: vmsa,
            asid: memory.context.asid, vmpl: memory.context.vmpl)
        return .done
    }

    func query(_ gpa: GPA, _ target: VMPL, _ memory: GuestAccess) throws(GuestInstructionFailure) -> StepOutcome {
        let found = try memory.rmp.rmpQuery(
            try resolve(gpa, memory), target: target, asid: memory.context.asid, vmpl: memory.context.vmpl)
        return .permissions(found.permissions, vmsa: found.vmsa, found.size)
    }

    func read(
        _ gpa: GPA, _ cBit: CBit, _ range: ByteRange, _ memory: GuestAccess
    ) throws(GuestInstructionFailure) -> StepOutcome {
        let count = Int(range.count)
        var fault: GuestFault?
        // A local, so that no access to the processor stays open while another thread may run.
        var bytes: [UInt8] = []
        swap(&bytes, &scratch)
        // SAFETY: the scratch is as long as the longest range of the script.
        unsafe bytes.withUnsafeMutableBytes { buffer in
            do throws(GuestFault) {
                unsafe try memory.read(gpa, into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<count]), cBit)
            } catch { fault = error }
        }
        swap(&bytes, &scratch)
        if let fault { throw .fault(fault) }
        let start = Int(range.offset)
        return scratch[..<count] == script.bytes[start..<start + count] ? .done : .mismatch
    }

    func write(
        _ gpa: GPA, _ cBit: CBit, _ range: ByteRange, _ memory: GuestAccess
    ) throws(GuestInstructionFailure) -> StepOutcome {
        let start = Int(range.offset)
        var fault: GuestFault?
        unsafe script.bytes.withUnsafeBytes { bytes in
            do throws(GuestFault) {
                unsafe try memory.write(
                    gpa, from: UnsafeRawBufferPointer(rebasing: bytes[start..<start + Int(range.count)]), cBit)
            } catch { fault = error }
        }
        if let fault { throw .fault(fault) }
        return .done
    }
}
