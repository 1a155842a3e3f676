// Guest code that does what the fuzzer says: a queue of actions, each ending in an exit or going on with the next.

internal import Machine
internal import SNPArchitecture

/// A processor whose guest code is a queue of actions.
final class HostileProcessor: GuestProcessor {
    /// What the guest does next; nil goes on with the action after it.
    typealias Action = (inout VirtualCPUState, GuestAccess) throws -> GuestExit?
    private var actions: [Action] = []
    private var next = 0
    private var tries = 0

    /// Adds an action.
    func add(_ action: @escaping Action) { actions.append(action) }

    /// Forgets everything.
    func clear() {
        actions.removeAll(keepingCapacity: true)
        next = 0
        tries = 0
    }

    /// Runs actions until an exit; with none left the guest halts. An access that faults too often is given up.
    func run(
        _ state: inout VirtualCPUState, _ memory: GuestAccess, interruptedBy interrupt: InterruptLine
    ) -> GuestExit {
        while next < actions.count {
            guard !interrupt.isRaised else { return GuestExit(.interrupt) }
            let fault: GuestFault
            do {
                let exit = try actions[next](&state, memory)
                next += 1
                tries = 0
                if let exit { return exit }
                continue
            } catch let found as GuestFault { fault = found } catch GuestInstructionFailure.fault(let found) {
                fault = found
            } catch {
                next += 1
                continue
            }
            tries += 1
            if tries > 4 {
                next += 1
                tries = 0
            }
            if case .exit(let exit) = fault.delivery { return exit }
            next += 1
        }
        return GuestExit(.halt)
    }
}
