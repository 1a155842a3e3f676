// What a handler of an event decides, and how that reaches the guest's page.

internal import SNPArchitecture

/// One request of the page protocol from its copy to its answer.
struct GHCBSession {
    /// The copy.
    let request: GHCBRequest
    /// The page, mapped when the request came.
    let page: MappedPage
}

/// What the guest finds in its page.
struct GHCBReply: Hashable {
    /// SW_EXITINFO1.
    var action = GHCBAction.none
    /// SW_EXITINFO2.
    var info2: UInt64 = 0
    /// The registers that the event returns; RAX, RBX, RCX or RDX.
    var registers: [GHCBField: UInt64] = [:]

    /// Done, with nothing to say.
    static let done = GHCBReply()

    /// The request is malformed.
    static func malformed(_ reason: GHCBMalformedInput) -> GHCBReply {
        GHCBReply(action: .malformedInput, info2: reason.rawValue)
    }

    /// The guest raises #GP, as KVM says it: without an error code.
    static let generalProtection = GHCBReply(
        action: .raiseException, info2: EventInjection(.exception, vector: 13).rawValue)
}

/// What a handler of an event decides.
enum GHCBAnswer {
    /// The guest goes on with this.
    case reply(GHCBReply)
    /// User space first, then this.
    case exit(UserExit, then: (VirtualCPU, VirtualMachine, UserReply) -> GHCBAnswer)
    /// The run ends, and the guest hears nothing.
    case end(UserExit)
    /// The virtual CPU waits for a SIPI.
    case hold

    /// The request is malformed.
    static func malformed(_ reason: GHCBMalformedInput) -> GHCBAnswer { .reply(.malformed(reason)) }
}

extension VirtualCPU {
    /// Does what a handler has decided.
    func carryOut(_ answer: GHCBAnswer, _ session: GHCBSession) -> ExitDisposition {
        switch answer {
        case .reply(let reply):
            finish(reply, session)
            return .resume
        case .exit(let exit, let then):
            completion = { cpu, reply in
                guard let machine = cpu.machine else { return .exit(.failed(.ioError)) }
                return cpu.carryOut(then(cpu, machine, reply), session)
            }
            return .exit(exit)
        case .end(let exit): return .exit(exit)
        case .hold:
            holdUntilSIPI { cpu, woken in cpu.finish(GHCBReply(info2: woken ? 1 : 0), session) }
            return .resume
        }
    }

    /// Writes an answer to the guest's page: registers, infos, and the bitmap that marks them.
    ///
    /// - Spec: GHCB 56421, "NAE event results"; Linux: `sev_es_sync_to_ghcb()`
    func finish(_ reply: GHCBReply, _ session: GHCBSession) {
        let request = session.request
        let reply = request.hostile?.falsified(reply, request) ?? reply
        var marked = GHCBValidBitmap([.exitInfo1, .exitInfo2])
        for field in [.rax, .rbx, .rcx, .rdx] as [GHCBField] {
            let value = reply.registers[field]
            guard value != nil || request.personality.returnsAllRegisters else { continue }
            session.page.store(value ?? request.register(field), at: field.rawValue)
            marked.insert(field)
        }
        session.page.store(UInt64(reply.action.rawValue), at: GHCBField.exitInfo1.rawValue)
        session.page.store(reply.info2, at: GHCBField.exitInfo2.rawValue)
        session.page.store(marked.low, at: GHCBPage.validBitmapOffset)
        session.page.store(marked.high, at: GHCBPage.validBitmapOffset + 8)
        request.hostile?.spoil(session, of: self)
    }

    /// Stops the virtual CPU until a SIPI, or another wake, and then finishes the request.
    func holdUntilSIPI(_ finish: @escaping (VirtualCPU, _ woken: Bool) -> Void) {
        state = .apResetHold
        sipiHasCome = false
        completion = { cpu, _ in
            finish(cpu, cpu.sipiHasCome)
            return .resume
        }
    }
}
