// Lies: answers that are not what was done, values that are not what was found, and old pages for new ones.

internal import SNPArchitecture

extension HostileHost {
    /// What the guest finds in the MSR instead of a true answer.
    func answer(_ response: GHCBMSRResponse) -> UInt64 {
        switch response {
        case .cpuid(let value, let register):
            guard strikes(.lieCPUID) else { break }
            return GHCBMSRResponse.cpuid(value ^ UInt32(truncatingIfNeeded: draw() | 1), register).rawValue
        case .sevInformation, .preferredGHCB, .registerGHCB, .hypervisorFeatures:
            guard strikes(.lieInfo) else { break }
            // Another code, no bit set, or one bit wrong.
            switch draw(below: 3) {
            case 0: return response.rawValue ^ 0x800
            case 1: return response.rawValue & 0xfff
            default: return response.rawValue ^ 1 << (12 + draw(below: 52))
            }
        case .apResetHold, .pageStateChange, .runVMPL, .unknown: break
        }
        return response.rawValue
    }

    /// What is written to the page instead of a true answer.
    func falsified(_ reply: GHCBReply, _ request: GHCBRequest) -> GHCBReply {
        var reply = reply
        if request.code == .cpuid, strikes(.lieCPUID) { falsify(&reply.registers) }
        if !reply.registers.isEmpty, request.code != .cpuid, strikes(.lieRegisters) { falsify(&reply.registers) }
        guard strikes(.lieInfo) else { return reply }
        let isDone = reply.action == .none
        switch draw(below: 4) {
        case 0:
            reply.action = isDone ? .malformedInput : .none
            reply.info2 = isDone ? 1 + draw(below: 6) : 0
        case 1: reply.info2 = draw()
        case 2: (reply.action, reply.info2) = (.raiseException, EventInjection(.exception, vector: 14).rawValue)
        default: (reply.action, reply.info2) = (.raiseException, EventInjection(.exception, vector: 13).rawValue)
        }
        return reply
    }

    private func falsify(_ registers: inout [GHCBField: UInt64]) {
        // In the order of the fields, so that one seed gives one answer.
        for field in registers.keys.sorted(by: { $0.rawValue < $1.rawValue }) {
            registers[field]? ^= draw() & 0xffff_ffff | 1
        }
    }

    /// Spoils the page once the answer stands in it.
    func spoil(_ session: GHCBSession, of cpu: VirtualCPU) {
        if strikes(.strayFields) {
            for field in [.cpl, .rip, .rsp, .rbp, .rsi, .rdi, .r8, .r15, .xcr0, .scratch] as [GHCBField] {
                if field == .cpl {
                    session.page.store([UInt8(truncatingIfNeeded: draw())], at: field.rawValue)
                } else {
                    session.page.store(draw(), at: field.rawValue)
                }
            }
            session.page.store(~0, at: GHCBPage.validBitmapOffset)
            session.page.store(~0, at: GHCBPage.validBitmapOffset + 8)
        }
        if strikes(.omitFields) {
            session.page.store(0, at: GHCBPage.validBitmapOffset)
            session.page.store(0, at: GHCBPage.validBitmapOffset + 8)
        }
        guard hostility.attacks.contains(.replayGHCB), let answered = try? session.page.read() else { return }
        if let old = withState({ $0.pages[cpu.id] }), strikes(.replayGHCB) {
            session.page.store(old, at: 0)
        } else {
            withState { $0.pages[cpu.id] = answered }
        }
    }

    /// Firmware's answer, or the one before it.
    func answer(_ message: [UInt8]) -> [UInt8] {
        if let old = withState({ $0.message }), strikes(.replayMessage) { return old }
        withState { $0.message = message }
        return message
    }

    /// Another header for the list of a page state change that has been processed, or nil.
    func header(after true: PageStateChangeHeader) -> PageStateChangeHeader? {
        guard strikes(.growList) else { return nil }
        let last = UInt16(PageStateChangeBuffer.maximumEntryCount - 1)
        return draw(below: 2) == 0
            ? PageStateChangeHeader(currentEntry: `true`.currentEntry, endEntry: `true`.endEntry == last ? 0 : last)
            : PageStateChangeHeader(rawValue: `true`.rawValue | 1 << 32)
    }

    /// The VMSA with which a processor starts in place of the one that the guest named.
    func vmsa(for gpa: GPA) -> GPA {
        let others = withState { state in
            defer { if !state.vmsas.contains(gpa) { state.vmsas.append(gpa) } }
            return state.vmsas.filter { $0 != gpa }
        }
        guard strikes(.wrongVMSA) else { return gpa }
        // Another processor's, or the page that follows: ordinary private memory, if that.
        guard !others.isEmpty, draw(below: 2) == 0 else { return gpa + 4096 }
        return others[Int(draw(below: UInt64(others.count)))]
    }
}
