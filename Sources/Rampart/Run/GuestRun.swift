// Carries out `rampart run`: launches a program as an SNP guest, runs its virtual CPUs in turns, and answers what they ask.

internal import Attestation
internal import Hypervisor
internal import Machine
internal import Monitor
internal import Processor
internal import SNPArchitecture
internal import SecureProcessor

/// Runs a guest as asked.
///
/// - Parameters:
///   - console: gets each byte that the guest writes to its first serial line
/// - Throws: in check order: `InputError` for the image and the plan; `LaunchFailure`
public func runGuest(
    _ request: RunRequest, console: @escaping (UInt8) -> Void = { _ in }
) throws -> RunReport {
    try runGuest(request, console: OutputConsole(console))
}

/// Runs a guest as asked, with a console that may also give input.
///
/// - Throws: as the other
public func runGuest(_ request: RunRequest, console: any GuestConsole) throws -> RunReport {
    try GuestRun.prepare(request, console).run()
}

/// One run: the virtual CPUs, the devices, and the loop between them.
final class GuestRun {
    let guest: LaunchedGuest
    let request: RunRequest
    private let responder: VMMResponder
    let processors: [TracingProcessor]
    private let chipset: Chipset
    private var feed: ConsoleFeed
    let recorder: RunRecorder
    private let exitPort = ExitPort()
    private let resultPort = ResultPort()
    private var console: [UInt8] = []
    private var userExits: [String: UInt64] = [:]
    /// How often a nested page fault comes in a row before the guest counts as stuck.
    var faultLimit = RepeatedFault.limit
    /// The run is made once more, to see how another one ended.
    private let isRepetition: Bool

    /// How many instructions a virtual CPU runs in one turn.
    private static let turn: UInt64 = 100_000

    /// When time has jumped so often and nobody has woken, nobody will.
    private static let maximumJumps = 10_000

    init(
        _ guest: LaunchedGuest, _ request: RunRequest, _ recorder: RunRecorder, _ clock: VirtualClock,
        _ retrace: Retrace?, _ terminal: any GuestConsole
    ) throws {
        chipset = Chipset(processorCount: guest.virtualCPUs.count, clock: clock)
        feed = ConsoleFeed(terminal, chipset.serial)
        self.guest = guest
        self.request = request
        self.recorder = recorder
        isRepetition = retrace != nil
        guest.machine.setPersonality(
            request.personality.personality(attacks: request.attacks, seed: request.seed))
        do throws(Errno) { responder = try VMMResponder(machine: guest.machine) } catch {
            throw LaunchFailure.call("KVM_ENABLE_CAP", error)
        }
        let code = CodeRegistry()
        processors = guest.virtualCPUs.map {
            TracingProcessor(
                X86Processor(seed: request.seed &+ UInt64($0.id) &+ 1, code: code), vcpu: $0.id, recorder: recorder,
                retrace: retrace)
        }
        for (cpu, processor) in zip(guest.virtualCPUs, processors) { cpu.attach(processor) }
        for device in [exitPort, resultPort] as [any PortDevice] { chipset.bus.connect(device) }
        chipset.connect(guest.virtualCPUs)
        chipset.serial.onTransmit = { [unowned self] byte in
            console.append(byte)
            terminal.write(byte)
        }
    }

    func run() -> RunReport {
        let start = ContinuousClock.now
        let ending = runTurns(until: request.timeLimit.map { start.advanced(by: .seconds($0)) })
        let duration = ContinuousClock.now - start
        return report(ending, duration)
    }

    /// Lets each virtual CPU run in turn. A halted one is asked again after the others, which may have woken it or started it
    /// anew. When all are halted, time jumps to the next thing that happens. A turn that a fault takes up without an instruction
    /// is as long as any other.
    private func runTurns(until deadline: ContinuousClock.Instant?) -> GuestEnding {
        var jumps = 0
        while true {
            var anyRan = false
            for (cpu, processor) in zip(guest.virtualCPUs, processors) {
                chipset.poll()
                feed.supply(waiting: remaining(until: deadline))
                if feed.quits { return .quit }
                recorder.beginTurn(of: processor.processor)
                let (exit, done) = chipset.run(cpu, processor.processor, turn: Self.turn)
                recorder.endTurn()
                // A halted one has nothing to say.
                guard done > 0 || exit != .halted else { continue }
                anyRan = true
                count(exit)
                if let ending = answer(exit, of: cpu) { return ending }
                if let status = exitPort.status { return .exited(status) }
                guard done == 0, processor.fault.isUnusual else { continue }
                if processor.fault.count >= faultLimit {
                    return .stuck(processor.fault.address, vcpu: cpu.id)
                }
                chipset.pass(Self.turn)
            }
            jumps = anyRan ? 0 : jumps + 1
            if !anyRan, jumps > Self.maximumJumps || !idle(until: deadline) { return .halted }
            if let deadline, ContinuousClock.now >= deadline { return .timeLimit }
        }
    }

    private func remaining(until deadline: ContinuousClock.Instant?) -> Duration? {
        deadline.map { max(.zero, $0 - ContinuousClock.now) }
    }

    /// Lets time pass while every virtual CPU is halted. With a person at the console it passes as outside, else at once.
    ///
    /// - Returns: false if nothing will wake one
    private func idle(until deadline: ContinuousClock.Instant?) -> Bool {
        guard guest.virtualCPUs.contains(where: \.takesInterrupts) else { return false }
        let now = chipset.clock.ticks
        let next = chipset.nextDeadline
        let mayType = !feed.hasEnded && chipset.serial.wantsInput
        guard next != nil || mayType else { return false }
        guard feed.console.isInteractive || next == nil else {
            if let next { chipset.clock.advance(to: next) }
            return true
        }
        let isDue = next.map { Duration.nanoseconds(Int64(clamping: $0 > now ? $0 - now : 0)) }
        let start = ContinuousClock.now
        feed.wait(atMost: [isDue, remaining(until: deadline)].compactMap(\.self).min())
        let passed = Self.nanoseconds(ContinuousClock.now - start)
        chipset.clock.advance(to: next.map { min($0, now &+ passed) } ?? now &+ passed)
        return true
    }

    private static func nanoseconds(_ duration: Duration) -> UInt64 {
        let (seconds, attoseconds) = duration.components
        return UInt64(clamping: seconds) &* 1_000_000_000 &+ UInt64(clamping: attoseconds / 1_000_000_000)
    }

    private func count(_ exit: UserExit) {
        let name =
            switch exit {
            case .io: "port access"
            case .mapRange: "page state change"
            case .mmio: "device memory"
            case .halted: "halt"
            case .shutdown: "shutdown"
            case .failEntry: "failed entry"
            case .interrupted: "end of turn"
            case .unexpectedExit: "unexpected exit"
            case .terminated: "termination"
            case .memoryFault: "memory fault"
            case .certificates: "certificates"
            case .failed: "failure"
            }
        userExits[name, default: 0] += 1
    }

    /// Does what an exit asks for; an ending if the guest cannot go on.
    private func answer(_ exit: UserExit, of cpu: VirtualCPU) -> GuestEnding? {
        recorder.userExit(exit, of: cpu.id)
        if chipset.answer(exit, of: cpu) { return nil }
        // A strict host converts nothing that the guest has not asked for; QEMU converts on a mismatching fault.
        let isStrict = request.personality == .strict
        if case .memoryFault = exit, isStrict {
        } else {
            switch responder.respond(to: exit, of: cpu) {
            case .goOn, .wait: return nil
            case .stop: break
            }
        }
        switch exit {
        case .terminated(let ghcb): return .terminated(ghcb: ghcb)
        case .shutdown: return .shutdown
        case .memoryFault(let gpa, _, let isPrivate, let errno):
            return .refused(
                "a \(isPrivate ? "private" : "shared") access to \(gpa) cannot be served (\(errno))", vcpu: cpu.id)
        case .failEntry(let code): return .refused("VMRUN refuses its state (\(code))", vcpu: cpu.id)
        case .failed(let errno): return .refused("KVM_RUN fails with \(errno)", vcpu: cpu.id)
        case .unexpectedExit(let code): return .refused("an exit that nobody expects (\(code))", vcpu: cpu.id)
        default: return .refused("\(exit)", vcpu: cpu.id)
        }
    }

    // MARK: The report

    private func report(_ ending: GuestEnding, _ duration: Duration) -> RunReport {
        var exits: [ExitCode: UInt64] = [:]
        for processor in processors { exits.merge(processor.exits) { $0 + $1 } }
        let machine = guest.machine
        let states = machine.countPageStates()
        let isDead =
            switch ending {
            case .exited, .timeLimit, .quit: false
            case .terminated, .shutdown, .halted, .refused, .stuck: true
            }
        machine.endHostilities()
        let attacks = machine.hostileRecord.map(AttackReport.init)
        let attestation = resultPort.bytes.isEmpty ? nil : resultPort.bytes
        let autopsy = isDead && !isRepetition ? Autopsy(self, ending).text : nil
        return RunReport(
            request: request, digest: guest.digest, ending: ending, console: console,
            processors: processors.map(\.processor.counts),
            exits: exits.map { ExitTally(name: $0.key.description, count: $0.value) }.sorted {
                ($1.count, $0.name) < ($0.count, $1.name)
            },
            userExits: userExits.map { ExitTally(name: $0.key, count: $0.value) }.sorted {
                ($1.count, $0.name) < ($0.count, $1.name)
            },
            pages: PageState.allCases.compactMap { state in states[state].map { PageTally(state.rawValue, $0) } },
            counts: OperationCounts(machine.conversionCounts), attestation: attestation,
            attestationRefusal: attestation.flatMap(refusal),
            attacks: attacks,
            violations: guest.emulated.host.checkInvariants(of: [machine]).map(\.description)
                + (attacks?.corruptions ?? []), duration: duration,
            trace: recorder.text(ending), autopsy: autopsy)
    }

    /// Why the report that the guest handed over does not verify under the emulator's own root; nil if it does.
    private func refusal(_ bytes: [UInt8]) -> String? {
        let processor = guest.emulated.secureProcessor
        let authority = TestAuthority(product: .genoa)
        let now = CertificateTime(year: 2026, month: 1, day: 1)
        do {
            let vcek = try authority.vcek(
                publicKey: processor.vcekPublicKey(), tcb: processor.platformStatus.reportedTCB,
                chipIdentifier: processor.chipIdentifier)
            let chain = try EndorsementChain(
                endorsement: vcek,
                under: AuthorityChain(
                    ark: authority.ark, intermediate: authority.ask, trust: .given, at: now), at: now)
            var policy = ReportPolicy()
            policy.measurements = [guest.digest]
            _ = try chain.verify(report: bytes, policy: policy)
            return nil
        } catch {
            return "\(error)"
        }
    }
}
