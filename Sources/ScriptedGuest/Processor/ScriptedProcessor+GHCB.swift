// Steps that ask the host: by the GHCB MSR, by a GHCB page, and page state changes, which may take several events.

internal import Machine
internal import SNPArchitecture

extension ScriptedProcessor {
    /// A request of the MSR protocol: once to ask, once to read the answer.
    func msr(_ request: UInt64, _ state: inout VirtualCPUState) -> Progress {
        guard awaitsAnswer else {
            state.budget -= 1
            state.ghcb = request
            return ask()
        }
        return .outcome(.msr(state.ghcb))
    }

    /// An event of the page protocol.
    func vmgexit(_ call: GHCBCall, _ state: inout VirtualCPUState, _ memory: GuestAccess) -> Progress {
        guard let ghcb else { return .outcome(.noGHCB) }
        do throws(GuestFault) {
            guard awaitsAnswer else {
                state.budget -= 1
                fill(call, at: ghcb)
                try buffer.store(to: memory, at: ghcb)
                state.ghcb = ghcb.rawValue
                return ask()
            }
            try buffer.load(from: memory, at: ghcb)
        } catch { return Self.progress(after: error) }
        for output in call.outputs where output.field == .exitInfo1 || output.field == .exitInfo2 {
            guard buffer[output.field] == output.value else { return .outcome(response) }
        }
        guard call.outputs.allSatisfy({ buffer.isValid($0.field) && buffer[$0.field] == $0.value }) else {
            return .outcome(.mismatch)
        }
        return .outcome(buffer.sharedBegins(with: call.expectedBuffer) ? .done : .mismatch)
    }

    func fill(_ call: GHCBCall, at gpa: GPA) {
        buffer.clear()
        for input in call.inputs { buffer.set(input.field, input.value) }
        if call.usesSharedBuffer { buffer.set(.scratch, gpa.rawValue &+ UInt64(GHCBPage.sharedBuffer.lowerBound)) }
        buffer.storeShared(call.buffer)
        buffer[GHCBPage.usageOffset, as: UInt32.self] = call.usage
        buffer[GHCBPage.versionOffset, as: UInt16.self] = call.version
    }

    /// A page state change, in events of as many entries as the buffer holds. An event that ends before its last entry is
    /// repeated with the buffer as the host left it.
    ///
    /// - Spec: GHCB 56421, "SNP page state change"
    func changePageStates(
        _ first: Int, _ count: UInt32, _ state: inout VirtualCPUState, _ memory: GuestAccess
    ) -> Progress {
        guard let ghcb else { return .outcome(.noGHCB) }
        while true {
            let batch = min(count - progress, UInt32(PageStateChangeBuffer.maximumEntryCount))
            do throws(GuestFault) {
                guard awaitsAnswer else {
                    guard state.budget > 0 else { return .exit(GuestExit(.interrupt)) }
                    if !repeatsRequest { fill(first + Int(progress), Int(batch), at: ghcb) }
                    buffer.setExit(.pageStateChange, 0, 0)
                    buffer.set(.scratch, ghcb.rawValue &+ UInt64(GHCBPage.sharedBuffer.lowerBound))
                    try buffer.store(to: memory, at: ghcb)
                    state.budget -= 1
                    state.ghcb = ghcb.rawValue
                    return ask()
                }
                let asked = header
                try buffer.load(from: memory, at: ghcb)
                guard buffer[.exitInfo1] == 0, buffer[.exitInfo2] == 0 else { return .outcome(response) }
                // A host that moves the bounds, or goes back, could keep the guest busy for ever or skip pages.
                guard header.endEntry == asked.endEntry, header.reserved == 0,
                    header.currentEntry >= asked.currentEntry
                else { return .outcome(.mismatch) }
            } catch { return Self.progress(after: error) }
            awaitsAnswer = false
            repeatsRequest = header.currentEntry <= header.endEntry
            guard !repeatsRequest else { continue }
            progress += batch
            if progress >= count { return .outcome(.done) }
        }
    }

    private var header: PageStateChangeHeader {
        PageStateChangeHeader(rawValue: buffer[GHCBPage.sharedBuffer.lowerBound, as: UInt64.self])
    }

    private func fill(_ first: Int, _ count: Int, at gpa: GPA) {
        buffer.clear()
        let start = GHCBPage.sharedBuffer.lowerBound
        buffer[start, as: UInt64.self] =
            PageStateChangeHeader(currentEntry: 0, endEntry: UInt16(count - 1)).rawValue
        for index in 0..<count {
            buffer[start + 8 + index * 8, as: UInt64.self] = script.pageStates[first + index].rawValue
        }
        buffer[GHCBPage.versionOffset, as: UInt16.self] = 2
    }

    var response: StepOutcome { .response(info1: buffer[.exitInfo1], info2: buffer[.exitInfo2]) }

    func ask() -> Progress {
        awaitsAnswer = true
        return .exit(GuestExit(.vmgexit))
    }
}
