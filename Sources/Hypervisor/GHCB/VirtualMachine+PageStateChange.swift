// Page state change by the page protocol: each run of pages goes to user space, which calls KVM_SET_MEMORY_ATTRIBUTES; the
// host itself changes nothing here.

internal import SNPArchitecture

extension VirtualMachine {
    /// Begins a page state change.
    ///
    /// - Spec: GHCB 56421, "SNP page state change"; Linux: `snp_begin_psc()`
    /// - Returns: in check order: invalid scratch area, generic error (user space does not take the call), invalid scratch
    ///   area (no room for a header, or no memory), `invalidHeader`; then the entries in order
    func answerPageStateChange(_ session: GHCBSession) -> GHCBAnswer {
        let request = session.request
        guard let start = ScratchArea(request, byteCount: 0) else { return .malformed(.invalidScratchArea) }
        guard convertsOnRequest else { return .result(.genericError) }
        // The buffer goes as far as it may: to the shared buffer's end, or 253 entries.
        let byteCount: UInt64
        switch start.place {
        case .sharedBuffer(let offset): byteCount = UInt64(GHCBPage.sharedBuffer.upperBound - offset)
        case .elsewhere: byteCount = UInt64(GHCBPage.sharedBuffer.count)
        }
        guard byteCount >= UInt64(PageStateChangeBuffer.quadwordByteCount),
            let area = ScratchArea(request, byteCount: byteCount), let bytes = try? session.read(area, of: self)
        else { return .malformed(.invalidScratchArea) }
        let isStrict = request.personality.checksReservedBits
        guard let run = PageStateChangeRun(bytes, isStrict: isStrict) else { return .result(.invalidHeader) }
        if let hostile = request.hostile, hostile.strikes(.claimConversion) {
            var done = run
            done.complete(Int(run.header.currentEntry)..<max(run.entries.count, Int(run.header.currentEntry)))
            store(done, since: run, area, session)
            return .result(.processed)
        }
        return advance(run, area, session)
    }

    /// Takes the next step, and tells the guest's buffer how far it has come.
    private func advance(_ before: PageStateChangeRun, _ area: ScratchArea, _ session: GHCBSession) -> GHCBAnswer {
        var run = before
        let step = run.next()
        store(run, since: before, area, session)
        switch step {
        case .end(let result):
            if let hostile = session.request.hostile {
                if let header = hostile.header(after: run.header) {
                    session.store(bytes(header.rawValue, 8), at: 0, in: area, of: self)
                }
                if result == .processed, hostile.strikes(.denyConversion) { return .result(.genericError) }
            }
            return .result(result)
        case .convert(let checked):
            let batch = host.has(.pageStateReadTwice) ? readAgain(checked, area, session) : checked
            let call = MapRangeCall(
                gpa: batch.gfn.address, pageCount: batch.pageCount, pageSize: batch.size, attribute: batch.attribute)
            return .exit(.mapRange(call)) { _, machine, reply in
                switch HypercallResult(reply, session.request.personality) {
                case .undefined: return .end(.failed(.invalidArgument))
                case .failed: return .result(.genericError)
                case .done:
                    var done = run
                    done.complete(batch.entries)
                    machine.store(done, since: run, area, session)
                    return machine.advance(done, area, session)
                }
            }
        }
    }

    /// Stores the entries that were passed, then the header's current entry. Those that were done already are stored as they
    /// were read.
    private func store(
        _ run: PageStateChangeRun, since before: PageStateChangeRun, _ area: ScratchArea, _ session: GHCBSession
    ) {
        guard run.header != before.header else { return }
        let passed = Int(before.header.currentEntry)..<Int(run.header.currentEntry)
        let offset = (passed.lowerBound + 1) * PageStateChangeBuffer.quadwordByteCount
        session.store(run.doneBytes(passed), at: offset, in: area, of: self)
        session.store(bytes(UInt64(run.header.currentEntry), 2), at: 0, in: area, of: self)
    }

    private func bytes(_ value: UInt64, _ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }
    }
}

extension GHCBAnswer {
    /// The result of a page state change, which is no malformed input.
    fileprivate static func result(_ result: PageStateChangeResult) -> GHCBAnswer {
        .reply(GHCBReply(info2: result.rawValue))
    }
}
