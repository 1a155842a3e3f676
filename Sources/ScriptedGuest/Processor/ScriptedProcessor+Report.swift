// A request for a report: the key out of the secrets page, the sealed message, the host's answer, the opened message.

internal import Machine
internal import SNPArchitecture

extension ScriptedProcessor {
    /// Asks for a report and checks that the answer is the one to this request.
    ///
    /// A channel lives as long as the processor. Any failure closes it, since a message must not be sealed twice with one number.
    ///
    /// - Spec: GHCB 56421, "SNP guest request"; FWABI 56860, "Guest messages"
    func report(_ step: ReportStep, _ state: inout VirtualCPUState, _ memory: GuestAccess) -> Progress {
        guard let ghcb else { return .outcome(.noGHCB) }
        do throws(GuestFault) {
            guard awaitsAnswer else {
                state.budget -= 1
                if sealedMessage == nil {
                    guard let sealed = try seal(step, memory) else { return .outcome(.mismatch) }
                    sealedMessage = sealed
                }
                try memory.store(sealedMessage ?? [], at: step.request, .shared)
                let call = GHCBCall(.guestRequest, info1: step.request.rawValue, info2: step.response.rawValue)
                fill(call, at: ghcb)
                try buffer.store(to: memory, at: ghcb)
                state.ghcb = ghcb.rawValue
                return ask()
            }
            try buffer.load(from: memory, at: ghcb)
            guard buffer[.exitInfo1] == 0, buffer[.exitInfo2] == 0 else {
                channels[step.vmpck]?.close()
                return .outcome(response)
            }
            let answer = try memory.bytes(step.response, count: GuestMessageChannel.pageByteCount, .shared)
            return .outcome(isAnswer(answer, to: step) ? .done : .mismatch)
        } catch { return Self.progress(after: error) }
    }

    /// The sealed request, or nil if the channel cannot seal one.
    private func seal(_ step: ReportStep, _ memory: GuestAccess) throws(GuestFault) -> [UInt8]? {
        if channels[step.vmpck] == nil {
            let page = try memory.bytes(step.secrets, count: SecretsPage.byteCount, .private)
            channels[step.vmpck] = try? GuestMessageChannel(
                vmpck: Int(step.vmpck), secrets: SecretsPage(decoding: page))
        }
        let message = ReportRequestMessage(reportData: step.data, vmpl: step.vmpl)
        return try? channels[step.vmpck]?.seal(.reportRequest, message.encoded)
    }

    private func isAnswer(_ page: [UInt8], to step: ReportStep) -> Bool {
        guard let payload = try? channels[step.vmpck]?.open(page),
            let message = try? ReportResponseMessage(decoding: payload),
            let report = try? AttestationReport(decoding: message.report)
        else { return false }
        let data = step.data + [UInt8](repeating: 0, count: 64 - step.data.count)
        return report.reportData == data && report.vmpl == step.vmpl
    }
}
