// A virtual CPU's state outside guest memory: for putting it back, and as a number.

internal import Machine
internal import SNPArchitecture
internal import Scheduling
internal import Synchronization

extension VirtualCPU {
    /// The state outside guest memory, for putting it back. What a processor of its own keeps is not part of it.
    func checkpoint() -> Checkpoint {
        let frames = (vmsaFrame, enteredVMSA)
        let kept = (state, vmsaSource, ghcb, ghcbState, sipiHasCome, eventInjection, tlbControl, completion)
        let (asked, reply) = (requests.withLock { $0 }, pendingReply.withLock { $0 })
        let isInterrupted = interrupt.isRaised
        let interrupts = interruptState
        var checkpoint = Checkpoint()
        checkpoint.add { [self] in
            (vmsaFrame, enteredVMSA) = frames
            (state, vmsaSource, ghcb, ghcbState, sipiHasCome, eventInjection, tlbControl, completion) = kept
            interruptState = interrupts
            requests.withLock { $0 = asked }
            pendingReply.withLock { $0 = reply }
            if isInterrupted { interrupt.raise() } else { interrupt.lower() }
        }
        return checkpoint
    }

    /// What tells two states of a virtual CPU apart that memory does not: whether and with what it runs, what was asked of it.
    func combine(into hasher: inout StateHasher) {
        let asked = requests.withLock { $0 }
        var flags = UInt64(state.rawValue) | UInt64(asked.newState?.rawValue ?? 0xff) << 8
        if asked.leavesGuest { flags |= 1 << 16 }
        if asked.isStarted { flags |= 1 << 17 }
        if sipiHasCome { flags |= 1 << 18 }
        if completion != nil { flags |= 1 << 19 }
        if asked.hasNonMaskable { flags |= 1 << 20 }
        if interruptState.isHalted { flags |= 1 << 21 }
        if interruptState.isNonMaskableBlocked { flags |= 1 << 22 }
        flags |= UInt64(interruptState.nonMaskableCount) << 24
        flags |= UInt64(interruptState.queued.map { UInt16($0) + 1 } ?? 0) << 32
        hasher.combine(flags)
        hasher.combine(ghcb)
        hasher.combine(Self.number(asked.newVMSA))
        hasher.combine(Self.number(asked.vmsaAtInit))
        hasher.combine(enteredVMSA?.rawValue ?? .max)
        switch vmsaSource {
        case .launched: hasher.combine(0)
        case .none: hasher.combine(1)
        case .guest(let gfn): hasher.combine(2 + gfn.rawValue)
        }
        switch pendingReply.withLock({ $0 }) {
        case .none: hasher.combine(0)
        case .result(let value): hasher.combine(1 &+ value)
        case .certificates(let error, let count):
            hasher.combine(UInt64(truncatingIfNeeded: error?.rawValue ?? 0) << 32 ^ count)
        case .data(let bytes): for byte in bytes { hasher.combine(UInt64(byte)) }
        }
    }

    private static func number(_ request: GFN??) -> UInt64 {
        switch request {
        case nil: 0
        case .some(nil): 1
        case .some(.some(let gfn)): 2 + gfn.rawValue
        }
    }
}
