// Writes down what happens in a run: always who changed which page, and every event if a trace is wanted.
//
// Virtual CPUs take turns on one thread, so nothing here is locked.

internal import Hypervisor
internal import Machine
internal import Monitor
internal import Processor
internal import SNPArchitecture

/// The recorder of one run.
final class RunRecorder: @unchecked Sendable {
    /// A trace of more events than these drops the rest, and says how many.
    static let eventLimit = 1 << 24
    let isTraced: Bool
    private(set) var lines: [String] = []
    private var dropped = 0
    private(set) var history = PageHistory()
    private(set) var actor = Actor()
    /// How often an RMP entry has changed, in all and while each virtual CPU ran or was served.
    private var changes: UInt64 = 0
    private var ownChanges: [UInt32: UInt64] = [:]
    /// The call that changes memory attributes at the moment.
    private var attributeCall: AttributeCall?
    private let clock: VirtualClock
    /// The processor whose turn it is.
    private var running: X86Processor?
    private var isGuest = false

    init(isTraced: Bool, clock: VirtualClock) {
        self.isTraced = isTraced
        self.clock = clock
    }

    /// Listens to a host's RMP, mailbox and attributes for as long as the host lives.
    func attach(to emulated: EmulatedHost) {
        emulated.machine.rmp.watch.set { [self] change, outcome in changed(change, outcome) }
        emulated.machine.mailbox.watch.set { [self] moment in heard(moment) }
        emulated.host.attributeWatch.set { [self] moment in heard(moment) }
    }

    /// Virtual time, within a turn too.
    var time: UInt64 { clock.ticks }

    /// Adds an event.
    func note(_ name: String, vcpu: UInt32? = nil, _ fields: @autoclosure () -> [(String, String)] = []) {
        guard isTraced else { return }
        guard lines.count < Self.eventLimit else {
            dropped += 1
            return
        }
        lines.append(
            TraceEvent(
                time: time, vcpu: vcpu ?? actor.vcpu, name: name, fields: fields().map { TraceEvent.Field($0.0, $0.1) }
            ).line)
    }

    /// The trace as a file; empty if none was wanted.
    func text(_ ending: GuestEnding) -> String {
        guard isTraced else { return "" }
        var fields = [TraceEvent.Field("events", String(lines.count)), TraceEvent.Field("ending", ending.description)]
        if dropped > 0 { fields.append(TraceEvent.Field("dropped", String(dropped))) }
        let last = TraceEvent(time: time, vcpu: nil, name: TraceFile.last, fields: fields)
        return ([TraceFile.magic] + lines + [last.line]).joined(separator: "\n")
    }

    /// How often an RMP entry has changed by another's doing than this virtual CPU's.
    func changes(notBy vcpu: UInt32) -> UInt64 { changes - (ownChanges[vcpu] ?? 0) }

    // MARK: Turns

    func beginTurn(of processor: X86Processor) { running = processor }

    /// The clock has been told of the turn.
    func endTurn() { running = nil }

    func entered(_ vcpu: UInt32) {
        isGuest = true
        actor = Actor(vcpu: vcpu)
    }

    func left(_ vcpu: UInt32, _ exit: GuestExit, ghcb: UInt64) {
        isGuest = false
        actor = Actor(vcpu: vcpu, activity: .exit(exit, ghcb: ghcb))
    }

    func userExit(_ exit: UserExit, of vcpu: UInt32) {
        actor = Actor(vcpu: vcpu, activity: .userExit(exit))
        note("user_exit", [("reason", exit.traceName)] + exit.traceFields)
    }

    // MARK: What the watchers tell

    private func changed(_ change: RMPChange, _ outcome: RMPOutcome) {
        var actor = actor
        switch change {
        case .pvalidate, .rmpAdjust: if isGuest { actor.guestRIP = running?.instructionStart }
        default: break
        }
        history.add(PageChange(time: time, actor: actor, event: .rmp(change, outcome)))
        if outcome == .done {
            changes += 1
            if let vcpu = actor.vcpu { ownChanges[vcpu, default: 0] += 1 }
        }
        guard isTraced else { return }
        note(change.traceName, change.traceFields + [("status", outcome.word)])
    }

    private func heard(_ moment: MailboxMoment) {
        switch moment {
        case .begins(let command, _): actor.command = command
        case .ends(let command, let status):
            actor.command = nil
            note("firmware", [("command", command.description), ("status", status.description)])
        case .silence(let command):
            actor.command = nil
            note("firmware", [("command", command.description), ("status", "none")])
        }
    }

    private func heard(_ moment: AttributeMoment) {
        switch moment {
        case .begins(let gpa, let byteCount, let attribute):
            actor.attributes = attribute
            attributeCall = AttributeCall(gpa: gpa, byteCount: byteCount)
            note("attributes", [("gpa", gpa.description), ("bytes", hexadecimal(byteCount)), ("to", "\(attribute)")])
        case .ends(let counts, let errno):
            if counts.skipped > 0, var call = attributeCall {
                call.skipped = counts.skipped
                history.add(PageChange(time: time, actor: actor, event: .passedOver(call)))
            }
            actor.attributes = nil
            attributeCall = nil
            note(
                "converted",
                [
                    ("private", String(counts.madePrivate)), ("shared", String(counts.madeShared)),
                    ("skipped", String(counts.skipped)), ("zaps", String(counts.zaps)),
                    ("result", errno?.description ?? "0"),
                ])
        }
    }
}
